"""Writes docs/config.md: python -m experiments.config.document"""

from pathlib import Path

from configs import keys
from experiments.config import checks, description, files, parts

PAGE = Path(__file__).parents[2] / "docs" / "config.md"
_HEAD = """\
# Keys of a config

Each is a flag, `--config.KEY=VALUE`, of `experiments.run`, `sweep` and, behind `base.`,
of `ablate`. `python -m experiments.run --config=NAME --help` prints them with the
values of one config; `--list` prints the configs. The tables come from the file
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


def document() -> str:
    """Returns docs/config.md."""
    pieces = [_HEAD]
    for name, table in description.GROUPS.items():
        rows = [
            (x, description.spelled(key.default), checks.accepted(key), key.help)
            for x, key in table.items()
        ]
        pieces.append(_table(name, rows))
    for name, path in files.packaged().items():
        own = files.own_keys(files.loaded(path))
        rows = [
            (x, description.spelled(k.default), checks.accepted(k), k.help)
            for x, k in own.items()
        ]
        if rows:
            pieces.append(_table(f"Of {name} alone", rows))
    rows = [
        (
            x,
            description.spelled(key.default) if key.default != {} else "",
            checks.accepted(key),
            key.help,
        )
        for x, key in keys.PLAYER.items()
    ]
    pieces.append(_table("Of each player", rows, _PLAYERS))
    for role in checks.PLAYERS:
        for name in parts.networks():
            found = parts.network(role, name)
            if found:
                pieces.append(_table(f"{role}.network={name}", _cells(found)))
    pieces.append(_table("Optimisers", _cells(parts.optimiser()), _OPTIMISERS))
    for name, known in description.named():
        if name in ("loss", "penalties", "augment"):
            lines = [f"| `{x}` | {x.summary} |" for x in known]
            head = f"## Values of {name}\n\n| value, with its defaults | what it is |\n"
            pieces.append(head + "|---|---|\n" + "\n".join(lines) + "\n")
    rows = [(x, description.spelled(k.default), checks.accepted(k), k.help)
            for x, k in keys.ABLATION.items()]  # fmt: skip
    pieces.append(_table("Of an ablation", rows, _ABLATIONS))
    return "\n".join(pieces)


def _cells(options):
    return [
        (x.name, x.default, checks.accepted(x.key()), x.help) for x in options.values()
    ]


def _table(title, rows, text=""):
    lines = [f"## {title}\n", *([text] if text else [])]
    lines += ["| key | default | accepted | what it is |", "|---|---|---|---|"]
    for name, default, accepted, said in rows:
        cells = (f"`{default}`" if default != "" else "", accepted, said)
        lines.append(
            f"| `{name}` | " + " | ".join(x.replace("|", "\\|") for x in cells) + " |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(document())
