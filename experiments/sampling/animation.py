"""Animations: frames in a GIF, WebP or MP4, and those that a run's samples make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from experiments.files import replacing
from experiments.origin import SOFTWARE
from experiments.origin import files as origins
from experiments.sampling import pictures

SUFFIXES = (".gif", ".webp", ".mp4")
FPS = 12
SIDE = 512  # pixels
MOST_FRAMES = 400  # of a training: Pillow holds them all
_HOLD = 2000  # milliseconds that the last picture of a training is shown
_CAPTION = 18  # pixels


def check(path: str | os.PathLike, flag: str = "--out") -> None:
    """Raises ValueError, before any work, where a file of this name cannot be made."""
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"{flag}={path}: wanted a name in {', '.join(SUFFIXES)}")
    if suffix == ".mp4" and not shutil.which("ffmpeg"):
        raise ValueError(
            f"{flag}={path}: MP4 needs the program ffmpeg, which is not installed; "
            ".webp and .gif need nothing"
        )


def save(
    path: str | os.PathLike,
    frames: Iterable[np.ndarray],
    *,
    fps: float = FPS,
    hold: int | None = None,
    lossless: bool = True,
) -> int:
    """Writes frames, uint8 [H, W, 1 or 3] of one size, that are shown again and again.

    path: ends in .gif (256 colours a frame), .webp or .mp4 (H.264, which
      ffmpeg writes, frame by frame; players repeat it if asked to).
    fps: frames a second, to whole hundredths of a second in a GIF.
    hold: milliseconds for the last frame; None: as for the others.
    lossless: whether a WebP keeps all pixels as they are.

    Returns the number of frames. Raises ValueError if there are none, and with what
    ffmpeg says where it fails.
    """
    with replacing(path) as temporary:
        if Path(path).suffix == ".mp4":
            n = _mp4(temporary, frames, fps, hold)
        else:
            n = _pillow(temporary, Path(path).suffix, frames, fps, hold, lossless)
        if not n:
            raise ValueError(f"{path}: there are no frames")
    return n


def _pillow(temporary, suffix, frames, fps, hold, lossless):
    shown = [_picture(frame) for frame in frames]
    if not shown:
        return 0
    durations = [round(1000 / fps)] * len(shown)
    durations[-1] = hold or durations[-1]
    kind = suffix[1:].upper()
    options = origins.options(kind)
    if kind == "WEBP":
        options["lossless"] = lossless
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


def _mp4(temporary, frames, fps, hold):
    """Frames of odd sizes get a row or a column more: H.264 halves its colours."""
    n, process, last = 0, None, None
    try:
        for frame in frames:
            frame = frame.repeat(3, 2) if frame.shape[2] == 1 else frame
            odd = [(0, side % 2) for side in frame.shape[:2]]
            frame = np.ascontiguousarray(np.pad(frame, (*odd, (0, 0)), "edge"))
            if process is None:
                process = _ffmpeg(temporary, frame.shape, fps)
            process.stdin.write(frame)
            last, n = frame, n + 1
        if process is None:
            return 0
        for _ in range(round((hold or 0) / 1000 * fps) - 1):
            process.stdin.write(last)
        _, said = process.communicate()
    except BrokenPipeError:  # it has said why
        said = process.stderr.read()
        process.wait()
    finally:
        if process is not None and process.poll() is None:
            process.kill()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise ValueError(f"ffmpeg: {lines[-1] if lines else process.returncode}")
    return n


def _ffmpeg(path, shape, fps):
    """The process; it is told what the frames are, and that we have made them."""
    size = f"{shape[1]}x{shape[0]}"
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{fps:g}"]
    made = ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-f", "mp4"]
    made += ["-movflags", "+faststart", "-metadata", f"comment={origins.comment()}"]
    quiet = ["ffmpeg", "-loglevel", "error", "-y"]
    return subprocess.Popen(
        [*quiet, *given, "-i", "-", *made, os.fspath(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def is_ours(path: str | os.PathLike) -> bool:
    """Whether a file is a picture or an animation that was made here."""
    if Path(path).suffix != ".mp4":
        return pictures.is_ours(path)
    content = Path(path).read_bytes()
    return content[4:8] == b"ftyp" and SOFTWARE.encode() in content


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
