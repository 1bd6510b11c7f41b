"""The user's own pictures: `folder:PATH`, read recursively."""

import logging
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tqdm
from PIL import Image

from gans.data.image import fit
from gans.data.sets import NoSplit
from gans.data.source import InMemory, Streamed, hold
from gans.data.spec import Field

NAMES = ("folder:PATH",)
SEEDED = False
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = 3,
    split: str = "train",
    skip_corrupt: bool = False,
    **_unused,
) -> InMemory | Streamed:
    """All pictures below the folder `path`, in the order of their relative paths.

    Each becomes uint8 [R, R, C] as `gans.data.image.fit` does it, with C 3 unless
    `channels` says 1; `resolution` None needs pictures of one size, which they keep.
    If all lie in sub-folders, the sorted names of those at the first level are the
    classes. Hidden files and folders are left out.

    Raises FileNotFoundError without pictures; ValueError naming a file that cannot be
    read, unless `skip_corrupt` is set: then each is decoded once beforehand, and the
    broken ones are logged and left out.
    """
    root = pathlib.Path(path).expanduser()
    name = f"folder:{path}"
    if split != "train":
        raise NoSplit(f"{name} has no split {split!r}, only 'train'")
    paths = _find(root, name)
    channels = channels or 3
    if skip_corrupt:
        paths = _intact(paths, name)
    if resolution is None:
        height, width = _common_size(paths, name)
    else:
        height = width = resolution

    parts = [p.relative_to(root).parts for p in paths]
    labels = None
    spec = {"image": Field("image", (height, width, channels), "uint8")}
    if all(len(p) > 1 for p in parts):
        classes, labels = np.unique([p[0] for p in parts], return_inverse=True)
        labels = labels.astype(np.int32)
        spec["label"] = Field("label", (), "int32", len(classes))

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        images = [_read(paths[i], resolution, channels) for i in indices]
        taken = {"image": np.stack(images)}
        return taken if labels is None else taken | {"label": labels[indices]}

    return hold(Streamed(name, take, len(paths), spec))


def _find(root: pathlib.Path, name: str) -> list[pathlib.Path]:
    if not root.is_dir():
        raise FileNotFoundError(f"{name}: there is no such folder")
    paths = [
        p
        for p in root.rglob("*")
        if p.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in p.relative_to(root).parts)
        and p.is_file()
    ]
    if not paths:
        raise FileNotFoundError(f"{name} holds no {', '.join(EXTENSIONS)} files")
    return sorted(paths, key=lambda p: p.relative_to(root).as_posix())


def _read(path: pathlib.Path, resolution: int | None, channels: int) -> np.ndarray:
    """One picture as uint8 [R, R, C]."""
    try:
        with Image.open(path) as image:
            if resolution is not None:
                # A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves
                # twice what is wanted; no other format takes notice.
                image.draft(None, (2 * resolution, 2 * resolution))
            return fit(image, resolution, channels)
    except Exception as error:  # Pillow has a dozen kinds for damaged files
        raise ValueError(f"cannot read {path}: {error}") from None


def _intact(paths: list[pathlib.Path], name: str) -> list[pathlib.Path]:
    """Those of `paths` that can be read; logs how many cannot."""

    def broken(path: pathlib.Path) -> str | None:
        try:
            _read(path, 1, 3)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        bar = tqdm.tqdm(
            pool.map(broken, paths),
            desc=f"checking {name}",
            total=len(paths),
            unit=" images",
            leave=False,
            delay=1,
        )
        errors = list(bar)
    found = [error for error in errors if error]
    if len(found) == len(paths):
        raise ValueError(f"{name}: none of {len(paths)} files can be read; {found[0]}")
    if found:
        logging.getLogger(__name__).warning(
            "%s: left out %d of %d files: %s",
            name,
            len(found),
            len(paths),
            "; ".join(found[:10]) + (" ..." if len(found) > 10 else ""),
        )
    return [path for path, error in zip(paths, errors, strict=True) if not error]


def _common_size(paths: list[pathlib.Path], name: str) -> tuple[int, int]:
    """Height and width that all of `paths` share, from their headers."""
    sizes = {}
    for path in paths:
        try:
            with Image.open(path) as image:
                # Orientations 5 to 8 exchange the two sides.
                turned = image.getexif().get(0x0112, 1) >= 5
                size = image.size if turned else image.size[::-1]
        except Exception as error:
            raise ValueError(f"cannot read {path}: {error}") from None
        sizes.setdefault(size, path)
        if len(sizes) > 1:
            (a, b), (c, d) = sizes
            one, other = sizes.values()
            raise ValueError(
                f"{name} holds pictures of several sizes ({one} is {b}x{a}, {other} "
                f"is {d}x{c}): set `resolution` to bring them to one"
            )
    return next(iter(sizes))
