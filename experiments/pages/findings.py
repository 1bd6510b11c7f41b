"""The page of a command that measures a run: a table, pictures, and the protocol."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import pages
from experiments.files import replacing

MOST_BYTES = 2**19  # of a picture within the page


def folder(path: str | os.PathLike, key: str, flag: str = "--out") -> Path:
    """Returns a folder that is there, for results that have a key of their own.

    Raises FileExistsError if other results are in it.
    """
    path = Path(path)
    results = path / "results.json"
    if results.exists():
        try:
            known = key in json.loads(results.read_text("utf-8"))
        except ValueError:
            known = False
        if not known:
            raise FileExistsError(
                f"{flag}={path}: its results.json was not made by this command; remove "
                "it, or choose another folder"
            )
    path.mkdir(parents=True, exist_ok=True)
    return path


def write(
    path: Path,
    *,
    title: str,
    said: str,
    heading: str,
    rows: Sequence[Sequence[str]],
    results: Mapping[str, Any],
    figures: Iterable[tuple[str, str]] = (),
) -> str:
    """Writes results.json, table.md and index.html; returns the table in Markdown.

    Args:
      path: the folder.
      title, said, heading: of the page, of a line below, of the table.
      rows: of the table; the first is its head.
      results: as JSON; its "protocol" is shown on the page.
      figures: (file in the folder, caption).
    """
    table = markdown(rows)
    shown = "\n".join(_figure(path / name, text) for name, text in figures)
    page = pages.fill(
        "findings.html",
        title=pages.escape(title),
        said=pages.escape(said),
        heading=pages.escape(heading),
        table=_table(rows),
        sections=shown,
        protocol=pages.values_table(results["protocol"]),
    )
    text = {
        "results.json": json.dumps(results, indent=2) + "\n",
        "table.md": f"{said}\n\n{table}\n",
        "index.html": page,
    }
    for name, content in text.items():
        with replacing(path / name) as temporary:
            Path(temporary).write_text(content, "utf-8", "replace")
    return table


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown, whose first row is its head."""
    head, *rest = rows
    lines = [head, ["---"] * len(head), *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _table(rows):
    head, *rest = ([pages.escape(x) for x in row] for row in rows)
    lines = ["".join(f"<th>{x}</th>" for x in head)]
    lines += ["".join(f"<td>{x}</td>" for x in row) for row in rest]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table class="card">{body}</table>'


def _figure(path, text):
    return (
        f'<figure><img src="{pages.data_url(path, MOST_BYTES)}" '
        f'alt="{pages.escape(text)}"><figcaption>{pages.escape(text)}</figcaption>'
        "</figure>"
    )
