"""The user's own arrays: `array:PATH` of an .npy or .npz file."""

from __future__ import annotations

import pathlib

import numpy as np
from PIL import Image

from gans.data.image import fit
from gans.data.sets import NoSplit
from gans.data.source import InMemory

NAMES = ("array:PATH",)
SEEDED = False


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    split: str = "train",
    **_unused,
) -> InMemory:
    """Images [N, H, W, C] or [N, H, W] of the file `path`, C 1 or 3, held as uint8.

    An .npz holds them as `image`, and class numbers [N] from 0 on as `label` if it
    likes; an .npy holds the images alone. They are uint8, or floats in [-1, 1].

    Raises ValueError for anything else, FileNotFoundError where there is no file.
    """
    file = pathlib.Path(path).expanduser()
    if split != "train":
        raise NoSplit(f"array:{path} has no split {split!r}, only 'train'")
    if not file.is_file():
        raise FileNotFoundError(f"array:{path}: no such file; wanted an .npy or .npz")
    try:
        # An .npy stays on the disk, so it may be larger than the memory.
        content = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises half a dozen kinds for a damaged file
        raise ValueError(
            f"array:{path} is not a readable .npy or .npz file: {error}"
        ) from None
    if isinstance(content, np.ndarray):
        arrays = {"image": content}
    else:
        with content:
            arrays = {k: content[k] for k in ("image", "label") if k in content}
            if "image" not in arrays:
                raise ValueError(
                    f"array:{path} holds {', '.join(content.files) or 'nothing'}; "
                    "wanted `image` [N, H, W, C] and perhaps `label` [N]"
                )
    image = _images(path, arrays["image"])
    height, width, own = image.shape[1:]
    wanted = (resolution or height, resolution or width, channels or own)
    if wanted != (height, width, own):
        flat = image[..., 0] if own == 1 else image
        image = np.stack(
            [fit(Image.fromarray(x), resolution, wanted[-1]) for x in flat]
        )
    if "label" not in arrays:
        return InMemory(f"array:{path}", {"image": image})
    label = _labels(path, arrays["label"], len(image))
    return InMemory(f"array:{path}", {"image": image, "label": label})


def _images(path: str, image: np.ndarray) -> np.ndarray:
    """Checked, as uint8 [N, H, W, C]."""
    if image.ndim == 3:
        image = image[..., None]
    if image.ndim != 4 or image.shape[-1] not in (1, 3) or 0 in image.shape:
        raise ValueError(
            f"array:{path}: `image` has shape {image.shape}; "
            "wanted [N, H, W] or [N, H, W, C] with C 1 or 3"
        )
    if image.dtype == np.uint8:
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(
            f"array:{path}: `image` is {image.dtype}; "
            "wanted uint8, or floats in [-1, 1]"
        )
    low, high = image.min(), image.max()
    if not (-1 <= low and high <= 1):
        raise ValueError(
            f"array:{path}: `image` is {image.dtype} in [{low}, {high}]; "
            "floats must lie in [-1, 1] (or give uint8 in 0..255)"
        )
    from gans.data.kinds.image import encode  # imports JAX, which only floats need

    return encode(image)


def _labels(path: str, label: np.ndarray, n_images: int) -> np.ndarray:
    """Checked, as int32 [N]."""
    if (
        label.shape != (n_images,)
        or not np.issubdtype(label.dtype, np.integer)
        or label.min() < 0
    ):
        raise ValueError(
            f"array:{path}: `label` is {label.dtype} of shape {label.shape}; wanted "
            f"{n_images} integers from 0 on, one for each image"
        )
    return label.astype(np.int32)
