"""What the HTML pages of runs, ablations and sweeps have in common."""

import base64
import functools
import html
import io
import json
import string
from pathlib import Path

from PIL import Image


def fill(template: str, **fields: str) -> str:
    """Returns the text of a template, a file of this folder, with its fields filled in.

    The style of all pages is among them.
    """
    folder = Path(__file__).parent
    style = (folder / "page.css").read_text()
    text = (folder / template).read_text(encoding="utf-8")
    return string.Template(text).substitute(fields, style=style)


def values_table(values):
    """Nested values as an HTML table of their dotted keys."""
    if not values:
        return '<p class="missing">Not known.</p>'
    rows = []
    for key, value in flat(values):
        name = escape(key).replace(".", ".<wbr>")
        rows.append(f'<tr><th scope="row">{name}</th><td>{escape(value)}</td></tr>')
    return "\n".join(['<table class="card">', *rows, "</table>"])


def flat(values, prefix=""):
    """Yields (dotted key, text) of nested values."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            shown = value if isinstance(value, str) else json.dumps(value)
            if isinstance(value, float) and len(shown) > 12:  # a measurement
                shown = f"{value:.6g}"
            yield prefix + key, shown


def data_url(path, n_bytes):
    """A picture as a URL: itself if it is that small, else a smaller form of it."""
    return _data_url(path, n_bytes, path.stat().st_mtime_ns)


@functools.lru_cache(256)  # a run's page is written again and again
def _data_url(path, n_bytes, changed):
    del changed
    content, kind = path.read_bytes(), path.suffix.removeprefix(".")
    if len(content) > n_bytes:
        kind, picture = "webp", Image.open(io.BytesIO(content))
        for side in (1536, 1024, 768, 512, 384):
            small = picture.copy()
            small.thumbnail((side, side))
            packed = io.BytesIO()
            small.save(packed, "WEBP", quality=85)
            content = packed.getvalue()
            if len(content) <= n_bytes:
                break
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def duration(seconds):
    """Seconds as "1.2 s", "3 min 4 s" or "5 h 6 min"; None stays None."""
    if seconds is None:
        return None
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def cut(text: str, n: int) -> str:
    """Returns a text of at most n characters, n > 2: its ends, if it is longer."""
    if len(text) <= n:
        return text
    return f"{text[: (n - 1) // 2]}…{text[len(text) - n // 2 :]}"


def short(x):
    """A number in few characters: 0.0123, 12.34, 4.56k, 7.8M; None stays None."""
    if x is None:
        return None
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= scale:
            return f"{x / scale:.3g}{unit}"
    return f"{x:.4g}"


def escape(value):
    """Text as HTML has it."""
    return html.escape(str(value))
