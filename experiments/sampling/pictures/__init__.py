"""Pictures of what a model makes: one file for each kind of data, found by its name.

A kind is a module with

    PLURAL = "Images"  what a page calls the examples
    N = 64          how many examples the picture of a run holds
    GRID = True     whether examples have their own tiles, in rows of `columns`
    SOURCE = False  whether `draw` needs the source
    REAL = True     if there, the pictures show real examples of the source anyway
    CAPTIONS = True if there, columns of tiles may get captions
    draw(path, examples, *, name, beside=(), source=None, columns=None)
                    draws examples [n, ...], decoded, and saves them as a PNG; returns
                    the picture, uint8 [H, W, 1 or 3]. `beside` holds more arrays
                    [n, ...], to be shown side by side with the examples, before them;
                    `name` is that of the field, of which `source` has real examples.
    single(path, example)   saves one example, in a file that ends in SUFFIX, if the
                    kind has such a form
    save(path, examples)    saves examples [n, ...] as one mesh, if they have surfaces
    frames(examples, columns=None)   yields the frames, uint8 [h, w, C], of an animation
                    of examples [n, ...] side by side, if they move
"""

from __future__ import annotations

import math
import os
import pkgutil
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from experiments.files import replacing
from experiments.origin import SOFTWARE
from experiments.origin.files import encoded
from experiments.sampling import texts, written
from gans import names
from gans.data.kinds.image import encode, opaque

# Images up to half this many pixels are enlarged to (nearly) as many, to be seen.
_EXIF = 0x0131  # the key of what has written a WebP
CAPTION = 18  # pixels, of the names above a grid
_TILE = 64
_GAP = 2  # pixels
_MOST_IN_A_ROW = 16  # classes, each a column
_GAP_VALUE = 128
Arrays = Mapping[str, np.ndarray]


class Drawn(NamedTuple):
    """A picture, uint8 [H, W, C], and the PNG that holds it."""

    path: Path
    pixels: np.ndarray


def kinds() -> list[str]:
    """Returns the kinds of data that can be drawn, of ours."""
    return [module.name for module in pkgutil.iter_modules(__path__)]


def drawable(kind: str) -> bool:
    """Whether a kind of data can be drawn; one of a user's own, if it has `draw`."""
    if kind in kinds() or kind in names.files("gans.data.kinds"):
        return kind in kinds()
    return hasattr(of_kind(kind), "draw")


def of(field) -> ModuleType:
    """Returns the module that draws a `gans.data.spec.Field`.

    Raises ValueError for a kind that cannot be drawn, such as a label.
    """
    return of_kind(field.kind)


def of_kind(kind: str) -> ModuleType:
    """Returns the module that draws a kind of data; see `of`."""
    return names.module(kind, __name__, "pictures of a field of kind")


def count(spec: Mapping[str, Any]) -> int:
    """Returns how many examples the pictures of a run need at most."""
    return max((of(f).N for f in spec.values() if drawable(f.kind)), default=1)


def draw(
    stem: str | os.PathLike,
    spec: Mapping[str, Any],
    outputs: Mapping[str, Arrays],
    *,
    given: Mapping[str, Arrays] | None = None,
    targets: Mapping[str, Arrays] | None = None,
    source: Any = None,
    columns: int | None = None,
    at_most: int | None = 0,
) -> dict[str, Drawn]:
    """Draws everything that a model has made and that has a picture.

    Outputs that are made of the same examples share a picture: the examples, what was
    made of them, and what that should be, side by side. So do fields of one kind.
    Fields that the data do not have, such as scores, are left out.

    Args:
      stem: where to, without a suffix. The first picture of "sample" is STEM.png, one
        of another output STEM_OUTPUT.png; where an output has several, their kinds are
        added. Of outputs in one picture it is the first that names it.
      spec: of the data.
      outputs: {output: {field: [n, ...]}}, decoded.
      given: {output: {field: [n, ...]}}, the examples, decoded.
      targets: the same of what outputs should be. If not None, columns have captions.
      source: of real examples.
      columns: examples in a row, of kinds that have tiles; None: a class in each, if
        they are of few classes in turn, else as many as make a square.
      at_most: examples in a picture; None: all; 0: the kind's own number.

    Returns {"samples" or "samples/OUTPUT": `Drawn`}, as the log names them.
    """
    stem, found = Path(stem), {}
    for together in groups(outputs, given):
        output, fields = together[0], outputs[together[0]]
        shown: dict[str, list[Column]] = {}
        for column in _columns(together, outputs, given or {}, targets or {}):
            kind = spec[column.field].kind if column.field in spec else None
            if kind and drawable(kind) and (column.made or _captions(kind)):
                shown.setdefault(kind, []).append(column)
        made = {spec[x].kind for one in together for x in outputs[one] if x in spec}
        shown = {kind: group for kind, group in shown.items() if kind in made}
        for i, (kind, group) in enumerate(shown.items()):
            parts = [] if output == "sample" else [output]
            parts += [kind] if i else []
            module = of_kind(kind)
            n = module.N if at_most == 0 else at_most
            row = columns
            if row is None and len(group) == 1:
                row = row_of_classes(spec, fields)
                if row and at_most == 0:  # no row is cut short
                    n -= n % row
            *beside, examples = (np.asarray(x.examples)[:n] for x in group)
            path = stem.with_name("_".join([stem.name, *parts]) + ".png")
            pixels = module.draw(
                path,
                examples,
                name=group[-1].field,
                beside=beside,
                source=source,
                columns=row,
            )
            said = texts.of(spec, (given or {}).get(output, {}))[: len(examples)]
            if said and _captions(kind):
                each = len(group)
                wide = row * each if row else columns_of(len(examples), each)
                wide = wide or math.ceil(math.sqrt(len(examples)))
                pixels = written.above(pixels, said, wide, each)
                save_png(path, pixels)
            if targets is not None and beside and _captions(kind):
                each, names = len(group), [x.caption for x in group]
                n_columns = row * each if row else columns_of(len(examples), each)
                pixels = caption(path, names * (n_columns // each), n_columns)
            found["/".join(["samples", *parts])] = Drawn(path, pixels)
    return found


class Column(NamedTuple):
    """Examples [n, ...] of a field, and what is written above them."""

    field: str
    caption: str
    examples: np.ndarray
    made: bool = True  # or given; no targets


def _captions(kind):
    return getattr(of_kind(kind), "CAPTIONS", False)


def groups(
    outputs: Mapping[str, Iterable[str]], given: Mapping[str, Arrays] | None = None
) -> list[list[str]]:
    """Returns the outputs that share a picture, which the first of each names.

    "sample" comes first; there and back again, what returns its input comes last.

    outputs: {output: its fields}. given: see `draw`.
    """
    found: dict[Any, list[str]] = {}
    for output in sorted(outputs, key=lambda name: name != "sample"):
        made_of = tuple((given or {}).get(output, ()))
        found.setdefault(made_of or output, []).append(output)
    return [
        sorted(together, key=lambda x: any(field in made_of for field in outputs[x]))
        for made_of, together in found.items()
    ]


def _columns(together, outputs, given, targets):
    """The columns of a picture, from left to right."""
    first = together[0]
    known = given.get(first, {})
    for name, x in known.items():
        yield Column(name, f"input {name}", x)
    for output in together:
        for name, x in outputs[output].items():
            yield Column(name, said(output, name), x)
    for name, x in targets.get(first, {}).items():
        yield Column(name, f"target {name}", x, False)


def said(output: str, field: str) -> str:
    """Returns what is written above a field of an output."""
    return f"output {field}" if output == "sample" else output.replace("_", " ")


def row_of_classes(spec, fields):
    """Returns the length of rows, about a square's, with a class in each column.

    None unless the samples are of classes in turn, few enough for a row.
    """
    for name, x in fields.items():
        n = spec[name].n_classes if name in spec else None
        if n and n <= min(_MOST_IN_A_ROW, len(x)):
            if np.array_equal(x, np.arange(len(x)) % n):
                return n * max(1, round(math.sqrt(len(x)) / n))
    return None


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Images side by side, row by row, with gaps of two grey pixels.

    Args:
      images: [N, H, W, C] floats in [-1, 1]; what is not a number is shown grey.
      columns: images in a row; by default as many as make a square.

    Returns:
      uint8 [h, w, C]. Images of at most 32 pixels are enlarged, each pixel to a square,
      by the largest integer that keeps them within 64.

    Raises ValueError if there are no images, or columns < 1.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not images.size:
        raise ValueError(f"grid wants images [N, H, W, C], N > 0, got {images.shape}")
    if columns is None:
        columns = math.ceil(math.sqrt(len(images)))
    if columns < 1:
        raise ValueError(f"grid wants at least 1 column, got {columns}")
    factor = max(1, _TILE // max(images.shape[1:3]))
    tiles = encode(np.nan_to_num(opaque(images))).repeat(factor, 1).repeat(factor, 2)

    n, height, width, channels = tiles.shape
    rows = -(-n // columns)
    shape = (rows * columns, height + _GAP, width + _GAP, channels)
    cells = np.full(shape, _GAP_VALUE, np.uint8)
    cells[:n, :height, :width] = tiles
    cells = cells.reshape(rows, columns, *shape[1:]).swapaxes(1, 2)
    return cells.reshape(rows * shape[1], columns * shape[2], channels)[:-_GAP, :-_GAP]


def side_by_side(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Interleaves arrays [n, ..., H, W, C] of images: [n * K, ..., H, W, C].

    The first of each, then the second of each, and so on. Smaller images are enlarged
    to the largest, by repeating pixels; grey ones become RGB among coloured ones.
    """
    arrays = [opaque(np.asarray(x, np.float32)) for x in arrays]
    height, width, channels = np.max([x.shape[-3:] for x in arrays], axis=0)
    same = []
    for x in arrays:
        h, w, c = x.shape[-3:]
        x = x[..., np.arange(height) * h // height, :, :]
        x = x[..., np.arange(width) * w // width, :]
        same.append(x if c == channels else x[..., :1].repeat(channels, -1))
    return np.stack(same, 1).reshape(-1, *same[0].shape[1:])


def columns_of(n: int, n_arrays: int) -> int | None:
    """Returns how many tiles a row has, if each example has `n_arrays` tiles."""
    if n_arrays == 1:
        return None
    return n_arrays * math.ceil(math.sqrt(n / n_arrays))


def caption(path: str | os.PathLike, names: Iterable[str], columns: int) -> np.ndarray:
    """Writes names above the columns of a grid, into its PNG; see `captioned`."""
    with Image.open(path) as file:
        pixels = captioned(np.asarray(file.convert("RGB")), names, columns)
    save_png(path, pixels)
    return pixels


def captioned(grid: np.ndarray, names: Iterable[str], columns: int) -> np.ndarray:
    """Returns a grid, uint8 [H, W, 1 or 3], with names above its columns; [h, W, 3].

    Names that are too long are cut.
    """
    grid = grid if grid.shape[2] == 3 else grid.repeat(3, 2)
    width = (grid.shape[1] + _GAP) / columns
    font = ImageFont.load_default(12)
    strip = Image.new("RGB", (grid.shape[1], CAPTION), "white")
    draw = ImageDraw.Draw(strip)
    for i, name in enumerate(names):
        short = name
        while short and draw.textlength(short, font=font) > width - 2 * _GAP:
            short = short.removesuffix("…")[:-1] + "…" if len(short) > 2 else ""
        draw.text((i * width + _GAP, 2), short, fill="black", font=font)
    return np.concatenate([np.asarray(strip), grid])


def save_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W, C], C = 1 (grey), 3 or 4; whole, or not at all.

    Raises ValueError for another shape or type, OSError if it cannot be written.
    """
    content = encoded(image)
    with replacing(path) as temporary:
        Path(temporary).write_bytes(content)


def is_ours(path: str | os.PathLike) -> bool:
    """Whether a file is a picture, or an animation, that was drawn here."""
    try:
        with Image.open(path) as picture:
            known = picture.info.get("Software"), picture.getexif().get(_EXIF)
            comment = picture.info.get("comment", b"").partition(b"\n")[0]
            return SOFTWARE in known or comment == SOFTWARE.encode()
    except UnidentifiedImageError:
        return False


def drop(folder: Path, last: int) -> None:
    """Removes a run's pictures of steps after `last`, which will be drawn again.

    A killed process may have left half a picture, whose name ends in .tmp.
    """
    for path in folder.glob("step_*"):
        step = _step(path)
        if step is not None and (step > last or path.suffix == ".tmp"):
            path.unlink()


def latest(folder: Path) -> Path | None:
    """Returns the picture of the last step, the first of several; None without any."""
    found = {path: _step(path) for path in sorted(folder.glob("step_*.png"))}
    found = {path: step for path, step in found.items() if step is not None}
    return max(found, key=found.get, default=None)


def _step(path):
    named = re.match(r"step_(\d+)", path.name)
    return named and int(named[1])
