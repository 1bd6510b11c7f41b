"""What `--help` and `--list` print of configs, from the declared keys."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from configs import keys
from experiments.config import checks, files, parts
from experiments.config.changes import flat
from gans import names

GROUPS = {
    "Data": keys.DATA,
    "Training": keys.TRAINING,
    "Logs and evaluation": keys.LOGS,
    "The game of two players": keys.GAME,
}
Row = tuple[str, Any, str, str]  # name, value, what is accepted, what it means


def listing(ablations: bool = False) -> str:
    """Returns the title of each config, and a line for each of its presets."""
    found = [
        files.described(name.rpartition("/")[2], path)
        for name, path in files.packaged().items()
        if ("/" in name) == ablations and path.stem != "bases"  # what arms share
    ]
    widths = [max(len(row[i]) for _, rows in found for row in rows) for i in range(3)]
    text = ""
    for title, rows in found:
        text += f"{title}\n"
        for *cells, cost in rows:
            parts = [f"{x:<{n}}" for x, n in zip(cells, widths, strict=True)]
            text += f"  {'  '.join([*parts, cost])}".rstrip() + "\n"
    return text


def explained(spec: str, config: ConfigDict, module: ModuleType) -> str:
    """Returns all keys of a config: value, what is accepted, what it means."""
    title = (module.__doc__ or "").strip().splitlines()[:1]
    text = " ".join([f"Keys of --config={spec}:", *title]) + "\n"
    own = files.own_keys(module)
    if "arms" in config:
        rows = list(_declared(keys.ABLATION, config.to_dict()))
        arms = ", ".join(config.order)
        text += _section("The ablation", rows) + f"\n  Arms: {arms}\n"
        for name, rows in groups(config.base, own):
            text += _section(f"{name} (of all arms)", rows, "base.")
    else:
        for name, rows in groups(config, own):
            text += _section(name, rows)
    if checks.players(config.get("base", config).to_dict()):
        text += "\nParts that keys name\n"
        for name, known in named():
            text += f"  {name}:\n"
            text += "".join(f"    {part}\n" for part in known)
    return text


def groups(
    config: ConfigDict, own: Mapping[str, keys.Key]
) -> Iterator[tuple[str, list[Row]]]:
    """Yields (name, rows) of each group of keys of a config."""
    values = config.to_dict()
    game = checks.is_game(values)
    for name, table in GROUPS.items():
        if game or table is not keys.GAME:
            yield name, list(_declared(table, values))
    shown = keys.RUN.keys() - {"variant"} | (keys.GAME.keys() if game else set())
    shown |= set(checks.players(values))
    others = {"variant": keys.RUN["variant"], **own}
    rows = list(_declared(others, values))
    for name, value in flat(
        {k: v for k, v in values.items() if k not in shown}
    ).items():
        if name not in others:
            rows.append((name, value, names.described(type(value)), ""))
    yield f"Of {config.variant}", rows
    for role in checks.players(values):
        yield f"The {role}", list(_player(role, values[role]))


def _declared(table, values):
    for name, key in table.items():
        yield name, values[name], checks.accepted(key), key.help


def _player(role, values):
    networks = {
        "network": keys.PLAYER["network"],
        "penalties": keys.PLAYER["penalties"],
    }
    for name, key in networks.items():
        if name in values:
            yield f"{role}.{name}", values[name], checks.accepted(key), key.help
    known = parts.network(role, values.get("network")) or {}
    yield from _options(role, known, values, {*networks, "optimizer"})
    optimiser = values.get("optimizer", {})
    if isinstance(optimiser, str):
        optimiser = {"name": optimiser}
    name, listed = f"{role}.optimizer", " or ".join(parts.optimisers())
    yield f"{name}.name", optimiser.get("name"), listed, "Optimiser."
    yield from _options(name, parts.optimiser(), optimiser, {"name"})


def _options(place, known, values, shown):
    for name, option in known.items():
        value = values.get(name, Default(option.default.strip("'")))
        yield f"{place}.{name}", value, checks.accepted(option.key()), option.help
    for name, value in values.items():
        if name not in {*known, *shown}:
            yield f"{place}.{name}", value, names.described(type(value)), ""


class Default(str):
    """A value that the config leaves to the part itself."""


def spelled(value: Any) -> str:
    """Returns a value as a flag has it: "fid,pr(k=5)", "(64, 32)", "r1(weight=1)"."""
    if isinstance(value, Mapping) and "name" in value:
        options = ", ".join(f"{k}={v!r}" for k, v in value.items() if k != "name")
        return f"{value['name']}({options})" if options else value["name"]
    if isinstance(value, tuple) and value:
        if all(isinstance(x, str | Mapping) for x in value):
            return ",".join(map(spelled, value))
    return str(value)


def _section(title, rows, prefix=""):
    lines = [f"\n{title}"]
    for name, value, accepted, said in rows:
        flag = shlex.quote(f"--config.{prefix}{name}={spelled(value)}")
        lines.append(
            f"  {flag}" + ("  (default)" if isinstance(value, Default) else "")
        )
        text = f"{said[:1].upper()}{said[1:]} [{accepted}]".strip()
        lines += textwrap.wrap(
            text, 88, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join(lines) + "\n"


def named() -> Iterator[tuple[str, list[Any]]]:
    """Yields (key, the parts that it may name)."""
    yield "network", parts.networks()
    yield "loss", parts.losses()
    yield "penalties", parts.terms()
    yield "augment", parts.augmentations()
    yield "norm", parts.norms()
