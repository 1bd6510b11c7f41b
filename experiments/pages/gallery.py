"""The page of a gallery: rows of pictures, in files beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from experiments import pages
from experiments.files import replacing

FOLDER, PAGE = "gallery", "index.html"
_OURS = '<meta name="generator" content="jax-gans gallery">'
_HIGHER = ("ssim",)  # scores of which more is better


class Row(NamedTuple):
    """One row: its number in the data, the file of its picture, {score: value}."""

    row: int
    file: str
    scores: Mapping[str, float]


class Part(NamedTuple):
    """Rows of outputs that are made of the same examples.

    Attributes:
      title: of the outputs.
      captions: of the columns of each picture.
      rows: see `Row`.
      size: (width, height) of each picture.
      noted: which rows these are, in words.
    """

    title: str
    captions: tuple[str, ...]
    rows: list[Row]
    size: tuple[int, int]
    noted: str


def check(folder: Path) -> None:
    """Raises FileExistsError if there is something else than a gallery in a folder."""
    page = folder / PAGE
    ours = page.is_file() and _OURS in page.read_text("utf-8", "replace")
    if folder.exists() and not ours and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} is there and holds no gallery; remove it, or give it another "
            "name"
        )


def write(folder: Path, title: str, parts: Iterable[Part]) -> str:
    """Writes FOLDER/index.html; returns its path."""
    text = pages.fill(
        "gallery.html",
        title=pages.escape(title),
        generator=_OURS,
        parts="\n".join(_part(part) for part in parts),
    )
    path = folder / PAGE
    with replacing(path) as temporary:
        Path(temporary).write_text(text, "utf-8", "replace")
    return str(path)


def _part(part):
    """A section: a choice of orders, and the rows, the best first."""
    scores = [*part.rows[0].scores] if part.rows else []
    signs = {x: 1 if x.rpartition(" ")[2] in _HIGHER else -1 for x in scores}
    rows = part.rows
    if scores:
        rows = sorted(rows, key=lambda x: -signs[scores[0]] * x.scores[scores[0]])
    options = [
        f'<option value="{pages.escape(json.dumps([x, sign * signs[x]]))}">'
        f"{pages.escape(x)}, {which} first</option>"
        for x in scores
        for sign, which in ((1, "best"), (-1, "worst"))
    ]
    options.append('<option value="null">as in the data</option>')
    chosen = f"<label>Order <select>{''.join(options)}</select></label>"
    figures = "\n".join(_figure(x, part) for x in rows)
    return f"""<section>
<h2>{pages.escape(part.title)}</h2>
<p class="quiet">{pages.escape(part.noted)}</p>
<p>{chosen if scores else ""}</p>
<div class="rows">
{figures}
</div>
</section>"""


def _figure(row, part):
    width, height = part.size
    heads = "".join(f"<span>{pages.escape(x)}</span>" for x in part.captions)
    said = [f"row {row.row}", *(f"{k} {x:.3g}" for k, x in row.scores.items())]
    known = pages.escape(json.dumps({"row": row.row, **row.scores}))
    file = pages.escape(row.file)
    return (
        f'<figure class="card" data-scores="{known}"><div class="heads">{heads}</div>'
        f'<a href="{file}"><img loading="lazy" width="{width}" height="{height}" '
        f'src="{file}" alt="Row {row.row}: {pages.escape(", ".join(part.captions))}">'
        f"</a><figcaption>{pages.escape(' · '.join(said))}</figcaption></figure>"
    )
