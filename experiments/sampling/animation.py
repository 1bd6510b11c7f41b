"""Animations: frames in a GIF or WebP, and those that a run's samples make."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from experiments.files import replacing
from experiments.sampling import pictures

SUFFIXES = (".gif", ".webp")
FPS = 12
SIDE = 512  # pixels
MOST_FRAMES = 400  # of a training: Pillow holds them all
_HOLD = 2000  # milliseconds that the last picture of a training is shown
_CAPTION = 18  # pixels


def save(
    path: str | os.PathLike,
    frames: Iterable[np.ndarray],
    *,
    fps: float = FPS,
    hold: int | None = None,
) -> int:
    """Writes frames, uint8 [H, W, 1 or 3] of one size, that are shown again and again.

    path: ends in .gif (256 colours a frame) or .webp (lossless).
    fps: frames a second, to whole hundredths of a second in a GIF.
    hold: milliseconds for the last frame; None: as for the others.

    Returns the number of frames. Raises ValueError if there are none.
    """
    shown = [_picture(frame) for frame in frames]
    if not shown:
        raise ValueError(f"{path}: there are no frames")
    durations = [round(1000 / fps)] * len(shown)
    durations[-1] = hold or durations[-1]
    kind = Path(path).suffix[1:].upper()
    options = {
        "GIF": {"comment": pictures.SOFTWARE.encode()},
        "WEBP": {"lossless": True, "exif": pictures.exif()},
    }[kind]
    with replacing(path) as temporary:
        shown[0].save(
            temporary,
            kind,
            save_all=True,
            append_images=shown[1:],
            duration=durations,
            loop=0,
            **options,
        )
    return len(shown)


def enlarged(frame: np.ndarray) -> np.ndarray:
    """Returns a small frame [H, W, C] enlarged, each pixel to a square, up to SIDE."""
    factor = max(1, SIDE // max(frame.shape[:2]))
    return frame.repeat(factor, 0).repeat(factor, 1)


def _picture(frame):
    return Image.fromarray(frame[:, :, 0] if frame.shape[2] == 1 else frame)


def steps_of(workdir: str | os.PathLike, output: str | None = None) -> dict[int, Path]:
    """Returns {step: picture} of the samples that a run has drawn in training.

    output: one besides "sample", whose pictures are STEP_OUTPUT.png.
    """
    end = "" if output in (None, "sample") else f"_{re.escape(output)}"
    found = {}
    for path in Path(workdir).glob("samples/step_*.png"):
        named = re.fullmatch(rf"step_(\d+){end}\.png", path.name)
        if named:
            found[int(named[1])] = path
    return dict(sorted(found.items()))


def training(
    path: str | os.PathLike,
    workdir: str | os.PathLike,
    *,
    output: str | None = None,
    fps: float = FPS,
) -> int:
    """Writes an animation of the samples that a run has drawn, with their steps.

    Of many, 400 are taken, evenly, with the last. Returns the number of frames. Raises
    FileNotFoundError if there are none.
    """
    found = steps_of(workdir, output)
    if not found:
        other = f" of output {output!r}" if output else ""
        raise FileNotFoundError(
            f"{workdir}: no pictures{other} there (samples/step_*.png)"
        )
    steps = [*found]
    if len(steps) > MOST_FRAMES:
        rows = np.linspace(0, len(steps) - 1, MOST_FRAMES).round().astype(int)
        steps = [steps[row] for row in rows]
    sizes = []
    for step in steps:
        with Image.open(found[step]) as picture:
            sizes.append(picture.size)
    size = tuple(int(side) for side in np.max(sizes, axis=0))
    frames = _captioned(((step, found[step]) for step in steps), size)
    return save(path, frames, fps=fps, hold=_HOLD)


def _captioned(drawn, size) -> Iterator[np.ndarray]:
    """Pictures of one size, with their steps below them."""
    font = ImageFont.load_default(12)
    for step, path in drawn:
        with Image.open(path) as file:
            picture = file.convert("RGB")
        if picture.size != size:  # of an earlier stage, at a lower resolution
            picture = picture.resize(size, Image.Resampling.NEAREST)
        frame = Image.new("RGB", (size[0], size[1] + _CAPTION), "white")
        frame.paste(picture)
        draw = ImageDraw.Draw(frame)
        draw.text((4, size[1] + 2), f"step {step:,}", fill="black", font=font)
        yield np.asarray(frame)
