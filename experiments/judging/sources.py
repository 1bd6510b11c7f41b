"""The pictures of a study: of a folder or data set, or drawn by a trained model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import experiments
from experiments.evaluation import image_sets
from gans.data import kinds
from gans.data.kinds.image import opaque


def is_run(spec: str) -> bool:
    """Whether it names the folder of a run."""
    return (Path(spec) / "config.json").is_file()


def named(specs: Sequence[str]) -> list[str]:
    """Returns the names of models: the last parts of their paths.

    Raises ValueError if two are the same, or stand for something else.
    """
    found = [Path(spec).name for spec in specs]
    found = [x.removesuffix(".npz").removesuffix(".npy") for x in found]
    for name, spec in zip(found, specs, strict=True):
        if found.count(name) > 1 or name in ("real", "catch"):
            why = "means something else" if found.count(name) == 1 else "is there twice"
            raise ValueError(
                f"--fake={spec}: the name {name!r} {why}; a link or a copy by another "
                "name helps"
            )
    return found


def load(
    flag: str,
    spec: str,
    n: int,
    *,
    seed: int = 0,
    resolution: int | None = None,
    checkpoint: str | None = None,
) -> np.ndarray:
    """Returns n pictures, uint8 [n, H, W, 1 or 3], no two the same row or latent.

    Args:
      spec: the folder of a run, whose samples are drawn; or a folder, a file or a data
        set as `image_sets.load` takes them.
      resolution: crops and resizes those of sets to this side.
      checkpoint: of a run.

    Raises ValueError, with the flag, for anything else than n pictures.
    """
    if is_run(spec):
        return _drawn(flag, spec, n, seed, checkpoint)
    source = image_sets.load(spec, seed=seed, resolution=resolution)
    try:
        found = image_sets.of_source(source, spec, n=n, seed=seed)
    except ValueError as error:
        raise ValueError(f"{flag}={error}") from None
    pictures = np.concatenate([*found.batches()])
    if pictures.ndim != 4:
        raise ValueError(f"{flag}={spec} holds clips, not pictures")
    # Drawn in the order of the data, which may be that of classes.
    return opaque(pictures[np.random.default_rng(seed).permutation(n)])


def _drawn(flag, workdir, n, seed, checkpoint):
    model = experiments.load(workdir, checkpoint or "last")
    output = model.main_output
    sampler = model.sampler(output)
    fields = [
        x for x in sampler.fields if x in model.spec and model.spec[x].kind == "image"
    ]
    if len(fields) != 1:
        raise ValueError(
            f"{flag}={workdir}: output {output!r} holds {', '.join(sampler.fields)}; "
            "wanted one field of images"
        )
    if sampler.n_examples is not None and sampler.n_examples < n:
        raise ValueError(
            f"{flag}={workdir}: there are {sampler.n_examples} examples to make "
            f"pictures of, fewer than the {n} wanted"
        )
    made = model.sample(n, seed=seed, output=output)[fields[0]]
    return opaque(kinds.of(model.spec[fields[0]]).encode(made))


def check_alike(pictures: dict[str, np.ndarray]) -> None:
    """Raises ValueError unless all sets [n, H, W, C] are of one size and one C.

    Anybody would tell them apart otherwise.
    """
    shapes = {name: x.shape[1:] for name, x in pictures.items()}
    if len(set(shapes.values())) > 1:
        said = ", ".join(
            f"{name} {w}x{h} {'grey' if c == 1 else 'in colours'}"
            for name, (h, w, c) in shapes.items()
        )
        side = min(min(shape[:2]) for shape in shapes.values())
        raise ValueError(
            f"the pictures are not alike: {said}; --resize={side} brings those of sets "
            "to one size"
        )


def noise(pictures: np.ndarray, seed: int) -> np.ndarray:
    """Returns [n, H, W, C] with the pixels of each picture in random order."""
    n, height, width, channels = pictures.shape
    pixels = pictures.reshape(n, height * width, channels)
    mixed = np.random.default_rng(seed).permuted(
        np.broadcast_to(np.arange(height * width), (n, height * width)), axis=1
    )
    return np.take_along_axis(pixels, mixed[..., None], 1).reshape(pictures.shape)


def encoded(picture: np.ndarray) -> bytes:
    """Returns [H, W, 1 or 3] as a WebP without loss, silent about its origin."""
    shown = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    packed = io.BytesIO()
    shown.convert("RGB").save(packed, "WEBP", lossless=True, method=4)
    return packed.getvalue()
