"""Values of a config from the command line: --config.KEY[.KEY ...]=VALUE."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from configs import keys
from experiments.config import changes, checks, parts, replaced
from experiments.expressions import expand
from gans import names

_FLAG = re.compile(r"--?(no)?config\.([^=]*)(?:=(.*))?", re.S)
_NAMES = re.compile(r"--?config\.(\w+\.)+(network|name)=")  # those of parts
_WORDS = {"true": True, "false": False, "none": None}
_BOOLS = {"yes": True, "no": False, "1": True, "0": False}


def changed(
    config: ConfigDict, argv: list[str], own: Mapping[str, keys.Key] | None = None
) -> tuple[ConfigDict, list[str]]:
    """Returns the config with the values that flags give, and the other arguments.

    A flag of True and False may stand alone: --config.flip, --noconfig.flip. Raises
    ValueError for a key that is not there, with the nearest, and for a value that it
    does not accept.

    Other data than the config's keep their own form, such as channels (`Key.of_data`),
    unless a flag says otherwise. A network's own options may be given before or after
    it; those that the config has for another one, and this one has not, are left out
    (see `replaced`).

    own: keys that the config's file declares.
    """
    before, config = config, config.copy_and_resolve_references()
    rest, given = [], set()
    waiting = sorted(argv, key=lambda x: not _NAMES.match(x))  # the others keep order
    while waiting:
        found = _FLAG.fullmatch(flag := waiting.pop(0))
        if not found:
            rest.append(flag)
            continue
        no, path, text = found.groups()
        given.add(path)
        if "]." in path:  # an option of an element
            text = waiting.pop(0) if text is None and waiting else text
            value = {path: literal(text or "")}
            config = changes.override(config, value, "--config")
            continue
        key = key_of(config, path, own or {})
        if text is None and key.type is bool:
            text = str(not no)
        elif text is None and waiting:
            text = waiting.pop(0)
        if text is None or (no and key.type is not bool):
            raise ValueError(f"{flag} needs a value: --config.{path}=VALUE")
        _put(config, path, text, key)
    for start, new, old in [
        ("", config, before),
        *([("base.", config.base, before.base)] if "arms" in config else []),
    ]:
        of_it = {path.removeprefix(start) for path in given if path.startswith(start)}
        if "data" in of_it and new.data != old.data:
            _leave_to_data(new, of_it)
        for line in replaced.without_old_options(new, old, of_it):
            print(f"--config.{start}{line}", file=sys.stderr)
    return config, rest


def _leave_to_data(config, given):
    """Gives the keys of the data their defaults, where no flag has set them."""
    for name, key in keys.RUN.items():
        if key.of_data and name not in given:
            with config.unlocked(), config.ignore_type():
                config[name] = key.default


def key_of(config: ConfigDict, path: str, own: Mapping[str, keys.Key]) -> keys.Key:
    """Returns the key of a dotted path, "generator.widths", declared or by its value.

    Raises ValueError, with the nearest, if there is no such key.
    """
    where, place, *names_of = config, "--config", *path.split(".")
    *groups, last = [name.partition("[")[0] for name in names_of]
    for group in groups:
        _known(config, where, group, place)
        where, place = where[group], f"{place}.{group}"
    if not isinstance(where, ConfigDict):
        raise ValueError(f"{place}: {last!r} is no key, as this is no group of keys")
    if groups[:1] == ["base"] and "arms" in config:
        config, groups = config.base, groups[1:]
    key = _declared(config, groups, last, where, own)
    if key is None:
        _known(config, where, last, place)
        value = where[last]
        kind = Any if value is None or "[" in path else type(value)
        key = keys.Key(default=value, help="", type=kind, optional=value is None)
    if isinstance(where.get(last), ConfigDict) and key.type != keys.Part:
        within = ", ".join(
            f"--config.{path}.{name}" for name in sorted(where[last])[:3]
        )
        raise ValueError(f"--config.{path} is a group of keys: set {within} ...")
    return key


def _declared(config, groups, last, where, own):
    """The key of a table, or of an option of a network or an optimiser, if any."""
    if not groups:
        if "arms" in config:
            return keys.ABLATION.get(last)
        return own.get(last) or checks.table(config.to_dict()).get(last)
    role, *inner = groups
    if role not in checks.players(config.to_dict()):
        return None
    if not inner and last in keys.PLAYER:
        return keys.PLAYER[last]
    if not inner:
        known = parts.network(role, where.get("network"))
        if known is not None:
            place = f"--config.{role}"
            names.options({*known, *keys.PLAYER}, [last], place)
    else:
        known = parts.optimiser() if inner == ["optimizer"] else None
    if known and last in known:
        return known[last].key()
    # Other options are those of optax, or of a network of the user's own.
    return None if last in where else keys.Key(default=None, help="", type=Any)


def _known(config, where, name, place):
    """Raises ValueError, with the nearest, unless a group of keys has one."""
    accepted = set(where) if isinstance(where, ConfigDict) else set()
    if name in accepted:
        return
    try:
        changes.check_known(name, accepted, place)
    except ValueError as error:
        flat = changes.flat(config.to_dict())
        same = [f"--config.{x}" for x in flat if x.rpartition(".")[2] == name]
        if not same:
            raise
        raise ValueError(
            f"{place}.{name}: did you mean {' or '.join(same)}?"
        ) from error


def _put(config, path, text, key):
    *groups, last = path.split(".")
    for group in groups:
        config = config[group]
    place = f"--config.{path}"
    name, _, index = last.partition("[")
    if index:
        value = _replaced(config[name], index, text, place)
        checks.check_value(value, key, place)
    else:
        value = parsed(text, key)
        checks.check_value(value, key, place, shown=text)
        value = expand(value, place) if name == "optimizer" else value
    with config.unlocked(), config.ignore_type():
        config[name] = value


def _replaced(value, index, text, place):
    """A tuple with the element that `index`, "0]", names replaced."""
    number = index.removesuffix("]")
    if (
        not isinstance(value, tuple)
        or not number.isdigit()
        or int(number) >= len(value)
    ):
        raise ValueError(f"{place}: there is no such element of {value!r}")
    i = int(number)
    return (*value[:i], literal(text), *value[i + 1 :])


def parsed(text: str, key: keys.Key) -> Any:
    """Returns the value that a text is for a key; the text itself if it is none."""
    if key.optional and text.strip().lower() in ("none", ""):
        return None
    if key.type is str:
        return text
    if key.type == keys.Part:
        return literal(text) if text.lstrip().startswith("{") else text.strip()
    if key.type in (keys.Parts, tuple[str, ...]):
        return listed(text)
    value = literal(text)
    if key.type is tuple and isinstance(value, str):
        return listed(text)
    if key.type is bool:
        return _BOOLS.get(text.strip().lower(), value)
    if key.type is int and isinstance(value, float) and value.is_integer():
        return int(value)  # 1e5
    if key.type is float and names.fits(value, int):
        return float(value)
    if getattr(key.type, "__origin__", key.type) is tuple and names.fits(value, float):
        return (value,)
    return value


def literal(text: str) -> Any:
    """Returns the Python literal of a text, lists as tuples; else the text itself."""
    word = text.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        return _tuples(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _tuples(value):
    if isinstance(value, tuple | list):
        return tuple(map(_tuples, value))
    return value


def listed(text: str) -> Any:
    """Returns the tuple of names of "fid,pr(k=5)", "('fid', 'pr(k=5)')", "fid" or "".

    Commas in parentheses do not split.
    """
    value = literal(text)
    if isinstance(value, tuple):
        return value
    text = value if isinstance(value, str) else text.strip()
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        text = text[1:-1]
    found = re.split(r",(?![^()]*\))", text)
    return tuple(name.strip(" '\"") for name in found if name.strip(" '\""))
