"""What a command prints for --help and --list, and says of flags that it has not."""

from __future__ import annotations

import difflib
import shutil
import sys
import textwrap
from collections.abc import Iterable

from absl import flags

from configs import keys
from experiments.config import description, files

HELP = {"help", "h", "?", "helpfull", "helpshort"}
# Commands whose --config names a config, and whether it is that of an ablation.
_CONFIG = "config"


def asked(argv: list[str]) -> bool:
    """Whether a command line asks for help: --help, -h or help alone."""
    flagged = {x.lstrip("-") for x in argv[1:] if x.startswith("-")}
    return bool(flagged & HELP) or argv[1:] == ["help"]


def page(spec: str | None = None) -> str:
    """Returns the help of the command that runs: what it does, and all its flags.

    spec: of --config; its keys follow. Raises ValueError if there is no such config.
    """
    doc = (sys.modules["__main__"].__doc__ or "").strip()
    text = f"{doc}\n\nFlags:\n{''.join(map(_flag, sorted(own())))}"
    if spec:
        config, preset, module = files.opened(spec)
        name = spec if not preset or spec.endswith(f":{preset}") else f"{spec}:{preset}"
        return f"{text}\n{description.explained(name, config, module)}"
    if _CONFIG in own() and "list" in own():
        text += (
            "\n--config=NAME --help shows every key of a config, with what it accepts; "
            "--list shows\nthe configs.\n"
        )
    return text


def own() -> set[str]:
    """Returns the names of the flags of this command, those of absl left out."""
    by_module = flags.FLAGS.flags_by_module_dict()
    return {
        flag.name
        for module, found in by_module.items()
        if module.partition(".")[0] != "absl"
        for flag in found
    }


def _flag(name):
    flag = flags.FLAGS[name]
    value = {"bool": ""}.get(flag.flag_type(), "=VALUE")
    shown = f"--[no]{name}" if flag.boolean else f"--{name}{value}"
    choices = getattr(flag.parser, "enum_values", None)
    text = " ".join((flag.help or "").split())
    if choices:
        text = f"{text.partition('>: ')[2] or text} One of {', '.join(choices)}."
    if flag.default not in (None, False, "", []):
        text += f" (default: {flag.default_as_str.strip(chr(39))})"
    width = min(shutil.get_terminal_size().columns, 88)
    lines = textwrap.wrap(text, width - 6)
    return f"  {shown}\n" + "".join(f"      {line}\n" for line in lines)


def unknown(name: str) -> str:
    """Returns the error for a flag that the command has not, with the nearest."""
    known = own()
    group, _, key = name.partition(".")
    near: Iterable[str] = ()
    if _CONFIG in known:
        if key and difflib.get_close_matches(group, [_CONFIG]):
            near = [f"{_CONFIG}.{key}"]
        elif name.replace("-", "_") in keys.RUN | keys.GAME | keys.ABLATION:
            near = [f"{_CONFIG}.{name.replace('-', '_')}"]
    if _CONFIG in known and group == _CONFIG:
        return f"--{name}: --config is missing; --list shows what it can be"
    near = near or difflib.get_close_matches(name, known | {"help"}, n=1)
    hint = "".join(f"; did you mean --{x}?" for x in near) or "; --help shows them all"
    return f"--{name} is not a flag of this command{hint}"
