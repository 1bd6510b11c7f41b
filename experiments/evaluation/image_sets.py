"""The two sides of a comparison: images, however they are kept, in batches of uint8."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator

import numpy as np
from tqdm import tqdm

from gans import data
from gans.data.sets import OptionWanted
from gans.data.source import Source
from gans.data.spec import main_field

BATCH = 256  # images read at a time
LUMA = np.array([19595, 38470, 7471], np.uint32)  # of 2^16

# Flags that bring about what a data set wants.
_ADVICE = {
    "resolution": "--resize=64 brings all to that side",
    "skip_corrupt": "--skip_corrupt leaves out what cannot be read",
}


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """Images one after another.

    Attributes:
      name: what the user calls it.
      n: how many there are.
      batches: () -> iterator of uint8 [b, H, W, C], n in all, the same each time and
        in C order.
      labels: int32 [n], where there are classes.
      n_classes: how many.
      identity: identifies the content, across processes too; None: unknown.
    """

    name: str
    n: int
    batches: Callable[[], Iterator[np.ndarray]]
    labels: np.ndarray | None = None
    n_classes: int | None = None
    identity: str | None = None


def load(
    spec: str,
    *,
    seed: int = 0,
    resolution: int | None = None,
    data_dir: str | None = None,
    skip_corrupt: bool = False,
) -> Source:
    """Returns the source that `spec` names; its images are not read yet.

    Arguments and errors are those of `open_set`. skip_corrupt: leaves out files that
    cannot be read, and says so.
    """
    name, split = spec, "train"
    prefix, at, after = spec.rpartition("@")
    if data.of_path(spec) is None and at and "/" not in after:
        name, split = prefix, after
    if data.of_path(name) in (f"folder:{name}", f"array:{name}"):
        name = data.of_path(name)
    if ":" not in name and name not in data.known_names():
        known = ", ".join(data.known_names())
        raise FileNotFoundError(f"{spec}: no such folder or file, nor a set of {known}")
    try:
        return data.load(
            name,
            resolution=resolution,
            split=split,
            data_dir=data_dir,
            skip_corrupt=skip_corrupt,
            seed=seed,
        )
    except OptionWanted as error:
        raise ValueError(f"{error}; {_ADVICE[error.option]}") from None


def open_set(
    spec: str,
    *,
    n: int | None = None,
    seed: int = 0,
    resolution: int | None = None,
    data_dir: str | None = None,
) -> ImageSet:
    """Returns the images that `spec` names.

    Args:
      spec: a folder, an .npy or .npz file, or a name of `gans.data.load`, perhaps with
        a split: "digits@test", "tfds:cifar10@train".
      n: so many of them, drawn by `seed` without repetition; None: all.
      resolution: crops and resizes to this side; None: they must be of one size.
      data_dir: of TFDS.

    Raises ValueError and FileNotFoundError as `gans.data.load` does, and ValueError if
    there are fewer than n, or no images but points.
    """
    source = load(spec, seed=seed, resolution=resolution, data_dir=data_dir)
    return of_source(source, spec, n=n, seed=seed)


def image_field(source: Source, name: str, field: str | None = None) -> str:
    """Returns the field that holds a source's images, or clips; ValueError without."""
    field = field or main_field(source.spec)
    if source.spec[field].kind not in ("image", "video", "voxels"):
        raise ValueError(f"{name} holds {source.spec[field].kind} data, not images")
    return field


def in_channels(images: ImageSet, n_channels: int) -> ImageSet:
    """Returns the images with 1 or 3 channels.

    Grey is repeated; colours become ITU-R 601 luma, rounded as Pillow does, so that
    equal channels are kept as they are.
    """

    def converted():
        for batch in images.batches():
            if batch.shape[-1] == n_channels:
                yield batch
            elif n_channels == 3:
                yield np.repeat(batch, 3, axis=-1)
            else:
                weighted = batch.astype(np.uint32) @ LUMA + (1 << 15)
                yield (weighted >> 16).astype(np.uint8)[..., None]

    identity = images.identity and f"{images.identity} in {n_channels} channels"
    return dataclasses.replace(images, batches=converted, identity=identity)


def of_source(
    source,
    name: str,
    *,
    n: int | None = None,
    seed: int = 0,
    field: str | None = None,
) -> ImageSet:
    """Returns the images of a source, or `n` of them drawn by `seed`, in order.

    field: name of the images in the source; by default its only field besides labels.
    Their labels are those of `source.label_of(field)`.

    Raises ValueError if the field holds no images, and if there are fewer than n.
    """
    field = image_field(source, name, field)
    label, length = source.label_of(field), source.length_of(field)
    indices = np.arange(length)
    if n is not None and n > length:
        raise ValueError(f"{name} holds {length} images, fewer than the {n} wanted")
    if n is not None and n < length:
        indices = np.sort(np.random.default_rng(seed).permutation(length)[:n])
    starts = range(0, len(indices), BATCH)

    def take(start: int) -> dict[str, np.ndarray]:
        taken = source.take(indices[start : start + BATCH])
        return {key: np.ascontiguousarray(x) for key, x in taken.items()}

    def batches() -> Iterator[np.ndarray]:
        for start in starts:
            yield take(start)[field]

    labels = []
    identity = hashlib.sha256(repr(source.spec[field].shape).encode())
    # A large folder is decoded here, which takes minutes.
    for start in tqdm(
        starts, desc=f"reading {name}", disable=None, leave=False, delay=1
    ):
        taken = take(start)
        identity.update(taken[field])
        if label is not None:
            labels.append(taken[label])
    return ImageSet(
        name,
        len(indices),
        batches,
        np.concatenate(labels) if labels else None,
        None if label is None else source.spec[label].n_classes,
        identity.hexdigest(),
    )
