"""What pictures lose when all are brought to one size and form, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gans.data.reading import Reader, opened

GREY = {"1", "L", "LA", "La", "I", "F"}  # modes of Pillow, and I;16 of several orders
MOST = 10_000  # pictures of a set that are looked at


def fitted(
    sizes: np.ndarray,
    in_colour: np.ndarray,
    resolution: int | None,
    channels: int,
    squash: bool = False,
) -> dict[str, Any]:
    """Counts what `gans.data.image.fit` does to pictures; what it does not is left out.

    Args:
      sizes: int [N, 2], width and height.
      in_colour: bool [N], whether they are stored in colour.
      resolution, channels, squash: see `gans.data.image.fit`.

    Returns of

        median_size   [width, height]
        cropped       how many are not square, whose middle is cut out
        cut_off       the share of all pixels that is cut off
        squashed      how many are not square, and squashed
        enlarged      how many are smaller than the resolution
        made_grey     how many are stored in colour, and read as grey
    """
    sizes, sides = np.asarray(sizes, np.int64), np.min(sizes, 1)
    area = sizes.prod(1)
    found = {"median_size": np.median(sizes, 0).astype(int).tolist()}
    oblong = int((sides**2 < area).sum())
    if resolution is not None and squash:
        found["squashed"] = oblong
    elif resolution is not None:
        found["cropped"] = oblong
        found["cut_off"] = float(1 - (sides**2).sum() / area.sum())
    if resolution is not None:
        found["enlarged"] = int((sides < resolution).sum())
    if channels == 1:
        found["made_grey"] = int(np.sum(in_colour))
    return {name: x for name, x in found.items() if x}


def of_files(
    files: Sequence[str], reader: Reader, halved: bool = False
) -> dict[str, Any]:
    """Returns `fitted` of picture files, by their headers.

    Of more than MOST, as many are looked at, which is said: {"looked_at": MOST, ...}.
    Files that cannot be read are passed over. halved: see `reading.common_size`.
    """
    if len(files) > MOST:
        rows = np.linspace(0, len(files) - 1, MOST).astype(int)
        some = of_files([files[i] for i in rows], reader, halved)
        return {"looked_at": MOST, **some}
    with ThreadPoolExecutor() as pool:
        headers = [x for x in pool.map(_header, files) if x is not None]
    if not headers:
        return {}
    sizes, modes = zip(*headers, strict=True)
    in_colour = np.array([x not in GREY and x[:4] != "I;16" for x in modes])
    sizes = np.array(sizes) // ((2, 1) if halved else (1, 1))
    options = reader.resolution, reader.channels, reader.squash
    return fitted(sizes, in_colour, *options)


def _header(path: str) -> tuple[tuple[int, int], str] | None:
    try:
        with opened(path) as image:
            return image.size, image.mode
    except Exception:  # Pillow has a dozen kinds for damaged files
        return None
