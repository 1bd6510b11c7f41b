"""NAME(option=value) in a config, expanded to {"name": NAME, "option": value}."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

# Of these the value is free text, never NAME(option=value).
TEXT = {"data", "data_dir", "variant"}
# A name may be a path of Python's, "my_package.my_losses.softplus" (see `gans.names`).
_CALL = re.compile(r"\s*([A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)*)\s*\(")


def expand(value: Any, place: str) -> Any:
    """Returns a value with each "NAME(option=value, ...)" made into a dict.

    That is {"name": NAME, "option": value, ...}; its values are Python literals, or
    words, which are strings: "fid(output=a_to_b)". Other strings, names too, stay as
    they are. Dicts and tuples are searched. Raises
    ValueError, naming `place`, for a call of another form.
    """
    if isinstance(value, Mapping):
        return {
            key: x if key in TEXT and place == "config" else expand(x, f"{place}.{key}")
            for key, x in _listed(value).items()
        }
    if isinstance(value, tuple | list):
        return tuple(expand(x, f"{place}[{i}]") for i, x in enumerate(value))
    found = _CALL.match(value) if isinstance(value, str) else None
    if found is None:
        return value
    name = found[1]
    try:
        # A colon is no part of Python's names.
        call = ast.parse(f"f({value[found.end() :].strip()}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError
        options = {k.arg: _value(k.value) for k in call.keywords}
        if call.args or None in options or "name" in options:
            raise ValueError
    except (ValueError, SyntaxError):
        raise ValueError(
            f"{place}: {value!r} is neither NAME nor NAME(option=value, ...)"
        ) from None
    return _listed({"name": name, **options}) if options else name


def _value(node):
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def _listed(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """An augmentation's policy "color,cutout" made into a tuple of its names."""
    if not isinstance(value.get("policy"), str):
        return value
    parts = value["policy"].split(",")
    return {**value, "policy": tuple(part.strip() for part in parts)}
