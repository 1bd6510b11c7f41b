"""What `--help` and `--list` print, and docs/config.md, from the declared keys."""

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

GROUPS = {
    "Data": keys.DATA,
    "Training": keys.TRAINING,
    "Logs and evaluation": keys.LOGS,
    "The game of two players": keys.GAME,
}
Row = tuple[str, Any, str, str]  # name, value, what is accepted, what it means


def listing(ablations: bool = False) -> str:
    """Returns a line for each preset of each config: paper, data, what it takes."""
    rows = []
    for name, path in files.packaged().items():
        if ("/" in name) == ablations or name == "ablations/bases":
            found = files.described(name.rpartition("/")[2], path)
            rows += found if ablations == ("arms" in path.read_text()) else []
    widths = [max(len(row[i]) for row in rows) for i in (0, 2)]
    return "".join(
        f"{spec:<{widths[0]}}  {data:<{widths[1]}}  {cost}; {title}\n"
        for spec, title, data, cost in rows
    )


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
    if checks.is_game(config.get("base", config).to_dict()):
        text += "\nParts that keys name\n"
        for name, known in _parts():
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
    shown |= set(checks.PLAYERS) if game else set()
    others = {"variant": keys.RUN["variant"], **own}
    rows = list(_declared(others, values))
    for name, value in flat({k: v for k, v in values.items() if k not in shown}).items():
        if name not in others:
            rows.append((name, value, type(value).__name__, ""))
    yield f"Of {config.variant}", rows
    for role in checks.PLAYERS if game else ():
        yield f"The {role}", list(_player(role, values[role]))


def _declared(table, values):
    for name, key in table.items():
        yield name, values[name], checks.accepted(key), key.help


def _player(role, values):
    networks = {"network": keys.PLAYER["network"], "penalties": keys.PLAYER["penalties"]}
    for name, key in networks.items():
        if name in values:
            yield f"{role}.{name}", values[name], checks.accepted(key), key.help
    known = parts.network(role, values.get("network")) or {}
    yield from _options(role, known, values, {*networks, "optimizer"})
    optimiser = values.get("optimizer", {})
    if isinstance(optimiser, str):
        optimiser = {"name": optimiser}
    name = parts.Option("name", " or ".join(parts.optimisers()), "", "Optimiser.")
    known = {"name": name, **parts.optimiser()}
    yield from _options(f"{role}.optimizer", known, optimiser, set())


def _options(place, known, values, shown):
    for name, option in known.items():
        value = values.get(name, Default(option.default))
        yield f"{place}.{name}", value, option.type, option.help
    for name, value in values.items():
        if name not in {*known, *shown}:
            yield f"{place}.{name}", value, type(value).__name__, ""


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
        lines.append(f"  {flag}" + ("  (default)" if isinstance(value, Default) else ""))
        text = f"{said} [{accepted}]".strip()
        lines += textwrap.wrap(text, 88, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines) + "\n"


def _parts():
    yield "network", parts.networks()
    yield "loss", parts.losses()
    yield "penalties", parts.terms()
    yield "augment", parts.augmentations()
    yield "norm", parts.norms()


def document() -> str:
    """Returns docs/config.md."""
    pieces = [_HEAD]
    for name, table in GROUPS.items():
        rows = [
            (x, spelled(key.default), checks.accepted(key), key.help)
            for x, key in table.items()
        ]
        pieces.append(_table(name, rows))
    for name, path in files.packaged().items():
        own = files.own_keys(files.loaded(path))
        rows = [
            (x, spelled(k.default), checks.accepted(k), k.help) for x, k in own.items()
        ]
        if rows:
            pieces.append(_table(f"Of {name} alone", rows))
    rows = [
        (x, spelled(key.default) if key.default != {} else "", checks.accepted(key), key.help)
        for x, key in keys.PLAYER.items()
    ]
    pieces.append(_table("Of each player", rows, _PLAYERS))
    for role in checks.PLAYERS:
        for name in parts.networks():
            found = parts.network(role, name)
            if found:
                pieces.append(_table(f"{role}.network={name}", _cells(found)))
    pieces.append(_table("Optimisers", _cells(parts.optimiser()), _OPTIMISERS))
    for name, known in _parts():
        if name in ("loss", "penalties", "augment"):
            lines = [f"| `{x}` | {x.summary.replace('|', '\\|')} |" for x in known]
            head = f"## Values of {name}\n\n| value, with its defaults | what it is |\n"
            pieces.append(head + "|---|---|\n" + "\n".join(lines) + "\n")
    rows = [(x, spelled(k.default), checks.accepted(k), k.help)
            for x, k in keys.ABLATION.items()]  # fmt: skip
    pieces.append(_table("Of an ablation", rows, _ABLATIONS))
    return "\n".join(pieces)


def _cells(options):
    return [(x.name, x.default, x.type, x.help) for x in options.values()]


def _table(title, rows, text=""):
    lines = [f"## {title}\n", *([text] if text else [])]
    lines += ["| key | default | accepted | what it is |", "|---|---|---|---|"]
    for name, default, accepted, said in rows:
        cells = (f"`{default}`" if default != "" else "", accepted, said)
        lines.append(f"| `{name}` | " + " | ".join(x.replace("|", "\\|") for x in cells) + " |")
    return "\n".join(lines) + "\n"


_HEAD = """\
# Keys of a config

Each is a flag, `--config.KEY=VALUE`, of `experiments.run`, `sweep` and, behind `base.`, of
`ablate`. `python -m experiments.run --config=NAME --help` prints them with the values of
one config, and `--list` the configs. The tables come from
`configs/keys.py` and from the parts themselves: `python -m experiments.config.document`
writes this page.

Values are written as in Python: `--config.generator.widths="(64, 32)"`. Names, with or
without options, need no quotes inside: `--config.metrics="fid,pr(k=5)"`,
`--config.discriminator.penalties="r1(weight=1, every=4)"`. `None` is none.
"""
_PLAYERS = """\
They follow `generator.` or `discriminator.`: `--config.generator.widths="(64, 32)"`.
"""
_OPTIMISERS = """\
They follow `generator.optimizer.` or `discriminator.optimizer.`, where `name` is one of
adam, adamw, rmsprop, sgd, lion and adabelief. Other options are those of optax (`b1`,
`b2`, `decay`, `momentum`, `weight_decay`, `eps`).
"""
_ABLATIONS = """\
`base`, `arms` and `order` are made by the config's file.
"""
