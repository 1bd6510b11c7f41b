"""One pass of a feature extractor over images, split among all devices."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from tqdm import tqdm

from experiments import process
from experiments.evaluation import cache
from experiments.evaluation.image_sets import ImageSet, of_source
from gans.data.source import Rows
from gans.data.spec import main_field
from gans.metrics.features.extractor import Extractor

# Images per device and call. On CPU more would not fit its caches.
PER_DEVICE = {"cpu": 16}
PER_ACCELERATOR = 128
OUTPUTS = ("features", "logits")
N_REAL = 50_000  # at most, of a run's training images


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """What the scores see of a set of images.

    Attributes:
      features: float32 [N, D].
      logits: float32 [N, K], where the extractor classifies.
      labels: int32 [N], where there are classes; n_classes: their number.
      shape: (H, W, C) of the images.
      n_repeated: how many are copies of earlier ones, bit for bit; None: not counted.
    """

    features: np.ndarray
    logits: np.ndarray | None
    shape: tuple[int, int, int]
    n_repeated: int | None
    labels: np.ndarray | None = None
    n_classes: int | None = None

    def __len__(self) -> int:
        return len(self.features)

    def some(self, n: int, seed: int = 0) -> Features:
        """Returns those of `n` images, drawn by `seed` without repetition."""
        rows = np.random.default_rng(seed).permutation(len(self))[:n]
        return self.rows(np.sort(rows))

    def rows(self, rows: np.ndarray) -> Features:
        """Returns those of some images, by their places [n]."""
        parts = {
            name: getattr(self, name)[rows]
            for name in ("features", "logits", "labels")
            if getattr(self, name) is not None
        }
        return dataclasses.replace(self, n_repeated=None, **parts)


class Data:
    """A run's data as the scores see it, made when it is first asked for.

    Args:
      name: of the data.
      source: the training images.
      load: () -> Extractor.
      load_test: () -> source of the test images, or None.
      field: of the images, see `of_source`.
    """

    def __init__(
        self,
        name: str,
        source: Any,
        load: Callable[[], Extractor],
        load_test: Callable[[], Any],
        field: str | None = None,
    ):
        self.name, self._source = name, source
        self._field = field or main_field(source.spec)
        self._load, self._load_test = load, load_test

    @functools.cached_property
    def extractor(self) -> Extractor:
        return self._load()

    @functools.cached_property
    def images(self) -> Any:
        """The source, or N_REAL of it."""
        source = self._source
        length = source.length_of(self._field)
        if length <= N_REAL:
            return source
        rows = np.sort(np.random.default_rng(0).permutation(length)[:N_REAL])
        return Rows(source, rows, self._field)

    @functools.cached_property
    def real(self) -> Features:
        images = of_source(self.images, self.name, field=self._field)
        return extract_once(self.extractor, images)

    @functools.cached_property
    def test(self) -> Features | None:
        test = self._load_test()
        if test is None:
            return None
        shapes = [list(x.spec[self._field].shape) for x in (self._source, test)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{self.name} holds images {shapes[0]}, its test images are "
                f"{shapes[1]}: config.resolution brings them to one size"
            )
        images = of_source(test, f"{self.name}@test", field=self._field)
        return extract_once(self.extractor, images)


def extract(extractor: Extractor, images: ImageSet) -> Features:
    """Returns the features of all images, with a progress bar.

    The last batch is filled up, and what was added is dropped. Raises ValueError if
    the features are not finite, no "features" [B, D], or too large for the memory, and
    for images of another shape than the only one that the extractor takes.
    """
    devices = jax.devices()
    mesh = Mesh(np.array(devices), ("batch",))
    whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, P("batch"))
    per_device = PER_DEVICE.get(devices[0].platform, PER_ACCELERATOR)
    size = len(devices) * per_device
    variables = jax.device_put(extractor.variables, whole)
    apply = jax.jit(extractor.apply, in_shardings=(whole, split))
    only = extractor.protocol.get("image_shape")
    seen, shape, parts = set(), None, []
    # disable=None: at a terminal only
    with tqdm(
        total=images.n,
        unit=" images",
        desc=f"{extractor.name}, {images.name}",
        disable=None,
        leave=False,
    ) as bar:
        pending = None
        for batch in _regroup(images.batches(), size):
            shape = batch.shape[1:]
            if only and list(shape) != list(only):
                raise ValueError(
                    f"{images.name} holds images {list(shape)}; {extractor.name} takes "
                    f"only {list(only)}, the shape it was trained on"
                )
            seen.update(hashlib.blake2b(x, digest_size=16).digest() for x in batch)
            n = len(batch)
            if n < size:
                batch = np.concatenate([batch, batch[-1:].repeat(size - n, 0)])
            # The host gathers and hashes the next batch while this one is computed.
            # Accelerators would round products to 10 bits, which changes the scores.
            with jax.default_matmul_precision("float32"):
                found = apply(variables, jax.device_put(batch, split)), n
            if pending is None:
                _check(found[0], extractor.name, size)
                _check_memory(found[0], extractor.name, images)
            else:
                parts.append(_fetch(*pending))
                bar.update(pending[1])
            pending = found
        if pending is None:
            raise ValueError(f"{images.name} holds no images")
        parts.append(_fetch(*pending))
        bar.update(pending[1])
    outputs = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    for name, values in outputs.items():
        bad = int((~np.isfinite(values).all(axis=-1)).sum())
        if bad:
            raise ValueError(
                f"{extractor.name} gave {name} that are not finite for {bad} of "
                f"{len(values)} images of {images.name}"
            )
    return Features(
        outputs["features"],
        outputs.get("logits"),
        tuple(int(s) for s in shape),
        len(outputs["features"]) - len(seen),
        images.labels,
        images.n_classes,
    )


def extract_once(extractor: Extractor, images: ImageSet) -> Features:
    """Returns the features, kept in the cache folder if all they depend on is known.

    That is the content of the images and the weights of the extractor.
    """
    if images.identity is None or not extractor.protocol.get("weights"):
        return extract(extractor, images)
    # What a device and a version of JAX make of the same weights differs a little.
    by = jax.__version__, jax.devices()[0].device_kind
    named = json.dumps(
        [extractor.name, extractor.protocol, images.identity, images.n, by]
    )
    key = hashlib.sha256(named.encode()).hexdigest()[:32]
    path = process.cache_folder() / "features" / f"{key}.npz"
    kept = cache.read(path)
    if kept is None:
        found = extract(extractor, images)
        kept = {
            "features": found.features,
            "shape": np.array(found.shape),
            "n_repeated": np.array(found.n_repeated),
        }
        if found.logits is not None:
            kept["logits"] = found.logits
        cache.keep(path, kept)
    return Features(
        kept["features"],
        kept.get("logits"),
        tuple(kept["shape"].tolist()),
        int(kept["n_repeated"]),
        images.labels,
        images.n_classes,
    )


def n_logits(extractor: Extractor, shape: tuple[int, int, int]) -> int:
    """Returns how many logits it gives of images [H, W, C]: 0 if it does not classify.

    Nothing is computed. Raises ValueError if it is not an extractor, as `extract` does.
    """
    images = jax.ShapeDtypeStruct((1, *shape), np.uint8)
    outputs = jax.eval_shape(extractor.apply, extractor.variables, images)
    _check(outputs, extractor.name, 1)
    return outputs["logits"].shape[1] if "logits" in outputs else 0


def _memory():
    """Bytes of memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _check_memory(outputs, name, images):
    d = outputs["features"].shape[1]
    needed = 2 * 4 * d * images.n  # twice, as batches are put together in the end
    if needed > _memory():
        raise ValueError(
            f"{name} gives {d} features; those of the {images.n} images of "
            f"{images.name} need {needed / 2**30:.1f} GiB, and this machine has "
            f"{_memory() / 2**30:.1f}"
        )


def _check(outputs, name, size):
    """A user's function may return anything."""
    shapes = jax.tree.map(lambda x: list(x.shape), outputs)
    known = [shapes[x] for x in OUTPUTS if isinstance(outputs, dict) and x in outputs]
    fits = all(len(x) == 2 and x[0] == size for x in known)
    if not fits or "features" not in shapes:
        raise ValueError(
            f"{name} gave {shapes} for {size} images; wanted a dict of "
            "`features` [B, D], and of `logits` [B, K] if it classifies"
        )


def _fetch(outputs, n):
    return {
        name: np.asarray(outputs[name], np.float32)[:n]
        for name in OUTPUTS
        if name in outputs
    }


def _regroup(batches: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same images in batches of `size`, but for the last."""
    left = None
    for batch in batches:
        batch = np.ascontiguousarray(batch)  # as their hashes need them
        left = batch if left is None else np.concatenate([left, batch])
        while len(left) >= size:
            yield left[:size]
            left = left[size:]
    if left is not None and len(left):
        yield left
