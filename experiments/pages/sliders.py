"""A page with a slider for each direction, on pictures that are drawn beforehand."""

from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from experiments import pages
from experiments.files import replacing

_OURS = '<meta name="generator" content="jax-gans sliders">'
MOST = 512  # pixels, of a picture's side
_SHOWN = 384  # pixels, to which smaller pictures are enlarged on the page


def check(path: Path) -> None:
    """Raises FileExistsError for a file that is no such page."""
    if path.exists() and _OURS not in path.read_text("utf-8", "replace"):
        raise FileExistsError(
            f"--out={path}: this file was not made by this command; remove it, or "
            "choose another name"
        )


def write(
    path: str | os.PathLike,
    said: str,
    points: list[str],
    directions: list[str],
    amounts: np.ndarray,
    frames: np.ndarray,
) -> None:
    """Writes a page that needs no other file.

    Args:
      said: of which model it is.
      points: the names of P pictures.
      directions: the names of K directions.
      amounts: [F], how far each frame is along a direction; the middle one is 0.
      frames: uint8 [P, K, F, H, W, C].
    """
    height, width = frames.shape[3:5]
    shown = max(1, _SHOWN // max(height, width))
    content = {
        "amounts": [round(float(x), 3) for x in amounts],
        "sprites": [[_sprite(x) for x in of_point] for of_point in frames],
    }
    options = [
        f'<option value="{i}">{pages.escape(name)}</option>'
        for i, name in enumerate(points)
    ]
    text = pages.fill(
        "sliders.html",
        generator=_OURS,
        said=pages.escape(said),
        options="".join(options),
        sliders="\n".join(_slider(*x, len(amounts)) for x in enumerate(directions)),
        width=str(min(width, MOST) * shown),
        ratio=f"{width} / {height}",
        rendering="pixelated" if shown > 1 else "auto",
        content=json.dumps(content),
    )
    with replacing(path) as temporary:
        Path(temporary).write_text(text, "utf-8")


def _slider(i, name, n):
    name = pages.escape(name)
    return (
        f'<div class="slider"><label for="d{i}">{name}</label>'
        f'<input type="range" id="d{i}" min="0" max="{n - 1}" value="{n // 2}">'
        f'<output for="d{i}">0</output></div>'
    )


def _sprite(frames):
    """Frames [F, H, W, C] side by side, as the URL of a WebP."""
    strip = np.concatenate([*frames], axis=1)
    picture = Image.fromarray(strip[..., 0] if strip.shape[2] == 1 else strip)
    side = max(frames.shape[1:3])
    if side > MOST:
        n, height, width = frames.shape[:3]
        size = n * round(width * MOST / side), round(height * MOST / side)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.convert("RGB").save(packed, "WEBP", quality=90, method=4)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"
