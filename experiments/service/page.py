"""The pages of the service: one to try models, one that lists the routes.

They need nothing from outside, and a browser loads nothing else for them.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import pages

_SCRIPT = (Path(pages.__file__).parent / "service.js").read_text("utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; script-src 'sha256-{_DIGEST}'; connect-src 'self'; "
        "style-src 'unsafe-inline'; img-src blob:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
}


@functools.cache
def trying() -> str:
    """Returns the page on which models can be tried."""
    return pages.fill("service.html", script=_SCRIPT)


def docs(openapi: Mapping[str, Any]) -> str:
    """Returns the page that lists the routes of an OpenAPI document."""
    routes = [
        _route(method, path, operation)
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    ]
    return pages.fill(
        "service_docs.html",
        title=pages.escape(openapi["info"]["title"]),
        said=pages.escape(openapi["info"]["description"]),
        routes="\n".join(routes),
    )


def _route(method, path, operation):
    escape = pages.escape
    parts = [
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>",
        f"<p>{escape(operation['summary'])}. {escape(operation['description'])}</p>",
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for media, body in content.items():
        properties = body["schema"].get("properties", {})
        rows = [(name, x.get("description", "")) for name, x in properties.items()]
        if rows:
            parts += [f"<p>Fields of <code>{media}</code>:</p>", _table(rows)]
    others = [
        media for media, body in content.items() if "properties" not in body["schema"]
    ]
    if others:
        named = ", ".join(f"<code>{media}</code>" for media in others)
        parts.append(f"<p>Or the file of a picture: {named}</p>")
    rows = [
        (status, answer["description"])
        for status, answer in operation["responses"].items()
    ]
    return "\n".join([*parts, "<p>Answers:</p>", _table(rows)])


def _table(rows):
    cells = "".join(
        f'<tr><th scope="row"><code>{pages.escape(name)}</code></th>'
        f"<td>{pages.escape(said)}</td></tr>"
        for name, said in rows
    )
    return f'<table class="card">{cells}</table>'
