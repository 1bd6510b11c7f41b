"""What is timed: configs without their data, and random batches, images and features.

Importing it imports neither JAX nor PyTorch: every candidate's process can do so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments import config as configs
from experiments.files import expanded
from gans import names
from gans.data import kinds, pipeline, spec
from gans.data.sets import series, sr

SIDE = 32  # pixels, of the images for extractors
# Sets whose examples are known without loading them, of images by their prefix.
PLANE = ("circle", "ring8", "grid25")
IMAGES = ("tfds", "folder")
SIDES = ("pairs", "unpaired")
ENLARGED = ("sr",)
CLIPS = ("moving", "video")
VOLUMES = ("voxels",)
WINDOWS = ("series",)
CAPTIONED, SENTENCES, WORDS = ("captions",), (4, 16), 100  # up to 4 of 16 words
EMBEDDED = ("captions:digits",)  # is loaded: the words are its own
N_CLASSES = 10  # of images


def load(config: str, batch_size: int | None = None, changes: Sequence[str] = ()):
    """Returns a config, given as PATH.py[:PRESET], resolved.

    The data are loaded only if the config alone does not say what they hold.

    Args:
      batch_size: replaces the config's.
      changes: --config.KEY=VALUE, of any config.

    Raises ValueError for an unknown config, key or value.
    """
    config, _, module = configs.opened(expanded(config))
    config, _ = configs.changed(config, list(changes), configs.own_keys(module))
    if batch_size is not None:
        config.batch_size = batch_size
    return configs.resolve(config, source(config))


def source(config):
    """Returns what `experiments.config.resolve` needs: the data, or a stand-in.

    Raises ValueError for data that cannot be loaded.
    """
    known = _spec(config)
    if known:
        return _Source(known)
    try:
        return configs.load_data(config)
    except (RuntimeError, OSError) as error:
        raise ValueError(str(error)) from error


def _spec(config):
    """The spec of images, pairs, clips, series, points ...; None for others."""
    if config.data in PLANE:
        return {"point": spec.Field("point", (2,), "float32")}
    kind, _, argument = config.data.partition(":")
    if kind in WINDOWS:
        return series.fields(config.data, argument, config.channels or 1)
    known = config.resolution and config.channels
    kinds_known = (*IMAGES, *SIDES, *ENLARGED, *CLIPS, *VOLUMES, *CAPTIONED)
    if kind not in kinds_known or not known or config.data in EMBEDDED:
        return None
    shape = (config.resolution, config.resolution, config.channels)
    if kind in ENLARGED:
        scale = sr.scale_of(config.data, argument)
        return sr.fields(config.resolution, scale, config.channels)
    if kind in SIDES:
        return {side: spec.Field("image", shape, "uint8") for side in "ab"}
    label = spec.Field("label", (), "int32", config.n_classes or N_CLASSES)
    if kind in CLIPS:
        clip = spec.Field("video", (config.frames, *shape), "uint8")
        return {"video": clip, "label": label}
    if kind in CAPTIONED:
        said = spec.Field("captions", SENTENCES, "int32", WORDS)
        return {"image": spec.Field("image", shape, "uint8"), "caption": said}
    if kind in VOLUMES:
        volume = spec.Field("voxels", (config.resolution, *shape), "uint8")
        return {"voxels": volume, "label": label}
    return {"image": spec.Field("image", shape, "uint8"), "label": label}


class _Source:
    """Stands in for a data source: `resolve` asks only what one example holds."""

    def __init__(self, fields):
        self.spec = fields
        self.shape = next(f.shape for f in fields.values() if f.kind != "label")
        label = spec.label_field(fields)
        self.n_classes = fields[label].n_classes if label else None


def example(config) -> dict[str, np.ndarray]:
    """A random batch of a resolved config, in storage dtypes: {field: [B, ...]}.

    Labels and tokens are uniform over their classes, other fields over the range of
    uint8 or of their kind; [-1, 1] if the kind has none. If the config asks for
    mirroring, the batch lists the mirrored examples, as in `gans.data.pipeline`.
    """
    random, n = np.random.default_rng(0), config.batch_size
    batch = {}
    for name, field in spec.from_json(config.spec).items():
        shape = (n, *field.shape)
        if field.n_classes is not None or field.dtype == "uint8":
            high = field.n_classes or 256
            batch[name] = random.integers(0, high, shape, field.dtype)
        else:
            low, high = kinds.of(field).RANGE or (-1, 1)
            batch[name] = random.uniform(low, high, shape).astype(field.dtype)
    return batch | ({"flip/0": random.random(n) < 0.5} if config.flip else {})


def decoder(config):
    """Returns the pure function that decodes a batch of `example` on the device."""
    fields = spec.from_json(config.spec)
    return pipeline.prepare(fields, [[*fields]])


def steps_per_run(config) -> int:
    """The steps in one timed run: whole calls, in which each update is done equally
    often in every run."""
    # Variants without the key do every update in every step.
    n = math.lcm(config.get("n_critic", 1), config.steps_per_call)
    n = math.lcm(n, config.get("singular_every", 1) or 1)
    updates = {"generator": config.get("n_critic", 1), "discriminator": 1}
    for role, per_update in updates.items():
        terms = config.get(role, {}).get("penalties", ())
        each = [names.named(x, "penalties")[1].get("every", 1) for x in terms]
        n = math.lcm(n, *(per_update * every for every in each))
    return n


def images(batch_size: int) -> np.ndarray:
    """Noise, uint8 [B, 32, 32, 3]."""
    shape = (batch_size, SIDE, SIDE, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def picture(side: int, channels: int) -> np.ndarray:
    """A picture of noise, uint8 [side, side, C]."""
    shape = side, side, channels
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def features(n: int, d: int, n_classes: int):
    """Returns real and generated features, [N, D] each, and logits [N, K]: float32.

    As in a network's features, a sixteenth of the directions hold most of the variance.
    """
    random = np.random.default_rng(0)

    def draw(*shape):
        return random.standard_normal(shape, np.float32)

    rank = d // 16
    mixing = draw(rank, d) / rank**0.5
    real = draw(n, rank) @ mixing + 0.1 * draw(n, d)
    fake = (0.9 * draw(n, rank) + 0.1) @ mixing + 0.1 * draw(n, d)
    return real, fake, 3 * draw(n, n_classes)
