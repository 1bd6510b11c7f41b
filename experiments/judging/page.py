"""The page of a study: one file that needs no other, and no network."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path

from experiments import pages
from experiments.files import replacing
from experiments.judging import design as designs
from experiments.judging.design import Design

_OURS = '<meta name="generator" content="jax-gans human study">'
_SCRIPT = (Path(pages.__file__).parent / "human_study.js").read_text("utf-8")
_SIDE = 384  # pixels, to which smaller pictures are enlarged on the page
TITLES = {
    designs.CHOICE: "Which picture is real?",
    designs.SINGLE: "Real or generated?",
    designs.STAIRCASE: "Real or generated, at a glance?",
}
CONSENT = (
    "Taking part is voluntary. By beginning you agree that your answers are used to "
    "compare programs that make pictures."
)
_TOLD = {
    designs.CHOICE: "You see two pictures side by side. One is real, the other was "
    "made by a program. Choose the real one, by <kbd>\u2190</kbd> and "
    "<kbd>\u2192</kbd> or by a touch.",
    designs.SINGLE: "You see one picture at a time. It is real, or it was made by a "
    "program: half of them are. Say which, by <kbd>\u2190</kbd> (real) and "
    "<kbd>\u2192</kbd> (generated) or by the buttons.",
}
_TOLD[designs.STAIRCASE] = _TOLD[designs.SINGLE]


def check(path: Path) -> None:
    """Raises ValueError or OSError unless a page can be written to a path."""
    if path.suffix != ".html" or path.is_dir():
        raise ValueError(f"--out={path}: wanted a file named *.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--out={path}: there is no folder {path.parent}")
    if path.exists() and _OURS not in path.read_text("utf-8", "replace"):
        raise FileExistsError(
            f"--out={path}: this file was not made by this command; remove it, or "
            "choose another name"
        )


def write(
    path: str | os.PathLike,
    design: Design,
    pictures: Sequence[bytes],
    size: tuple[int, int],
    *,
    consent: str = CONSENT,
) -> str:
    """Writes the page; returns the name of the study.

    Args:
      pictures: as WebP, in the order of their numbers.
      size: (height, width) of each.
      consent: a line that participants read before they begin.
    """
    name, (height, width) = designs.name(design, pictures), size
    factor = max(1, _SIDE // max(size))
    study = {
        "name": name,
        "task": design.task,
        "seconds": design.seconds,
        "parts": design.parts,
        "codes": designs.codes(design, name),
        "pictures": [
            f"data:image/webp;base64,{base64.b64encode(x).decode()}" for x in pictures
        ],
    }
    text = pages.fill(
        "human_study.html",
        generator=_OURS,
        title=TITLES[design.task],
        instructions=_instructions(design),
        consent=pages.escape(consent),
        width=str(width * factor),
        ratio=f"{width} / {height}",
        rendering="pixelated" if factor > 1 else "auto",
        study=json.dumps(study),
        script=_SCRIPT,
    )
    with replacing(path) as temporary:
        Path(temporary).write_text(text, "utf-8")
    return name


def _instructions(design):
    said = [_TOLD[design.task]]
    if design.task == designs.STAIRCASE or design.seconds:
        shown = "a fraction of a second"
        if design.task != designs.STAIRCASE:
            shown = f"{design.seconds:g} seconds"
        said.append(
            f"Each is there for {shown}, then noise flickers over it for a moment: do "
            "not take part if flickering harms you."
        )
    else:
        said.append("Take as long as you like.")
    what = "pairs" if design.task == designs.CHOICE else "pictures"
    said.append(
        f"There are {design.n_trials} {what}, with rests between them. If you are not "
        "sure, guess."
    )
    return "\n".join(f"<p>{text}</p>" for text in said)
