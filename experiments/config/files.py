"""Config files: those that come with the package by name, others by path."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

import configs
from configs import keys, presets
from experiments.config import checks
from gans import names

PACKAGED = Path(configs.__path__[0])


def load_file(spec: str) -> tuple[ConfigDict, str]:
    """Returns the config of `spec`, and the name of its preset.

    spec: NAME[:PRESET] of a config of this package ("wgan_gp:cifar10", "ttur"), or
    PATH.py[:PRESET]. Raises ValueError for an unknown name, file or preset, and for a
    file that makes no config.
    """
    config, preset, _ = opened(spec)
    return config, preset


def opened(spec: str) -> tuple[ConfigDict, str, ModuleType]:
    """Returns what `load_file` does, and the module of the file."""
    path, preset = found(spec)
    module = loaded(path)
    parameters = inspect.signature(module.get_config).parameters.values()
    if preset and not parameters:
        raise ValueError(f"--config={spec}: {path.stem} has no presets")
    preset = preset or next((p.default for p in parameters), "")
    config = _run(path, lambda: module.get_config(*[preset][: len(parameters)]))
    if not isinstance(config, ConfigDict):
        raise ValueError(
            f"{path}: get_config returned {type(config).__name__}, not a ConfigDict"
        )
    return config, preset, module


def found(spec: str) -> tuple[Path, str]:
    """Returns the path of a config's file and the preset, "" if none is named.

    What ends in .py is a path; `configs/NAME.py` is that of this package where there is
    no such file. Raises ValueError, with the nearest name, for another.
    """
    path, preset = re.fullmatch(r"(.*?\.py|[^:]*)(?::(.*))?", spec, re.S).groups()
    preset = preset or ""
    if not path.endswith(".py"):
        known = packaged()
        short = {name.rpartition("/")[2]: file for name, file in known.items()}
        name = path.removeprefix("configs/")
        if name not in known | short:
            raise ValueError(_unknown(name, preset))
        return (known | short)[name], preset
    if Path(path).is_file():
        return Path(path), preset
    own = PACKAGED.parent / path
    if own in packaged().values():
        return own, preset
    folder = Path(path).parent
    known = [str(p) for p in folder.glob("*.py") if p.stem[0] != "_"]
    if not known:
        raise ValueError(
            f"--config={path}: there is no such file; without .py it is the name of a "
            f"config that comes with the package, such as {_of_runs()}; see --list"
        )
    names.check(path, known, "--config")


def _unknown(name, preset):
    """The error for a name of no config: what was meant, then what there is."""
    if Path(f"{name}.py").is_file():
        return f"--config={name}: did you mean {name}.py?"
    near = _nearest(name, preset)
    hint = f": did you mean {' or '.join(map(repr, near[:2]))}?" if near else ";"
    return (
        f"--config={name}: there is no such config{hint} Those of runs are "
        f"{_of_runs()}; --list shows presets, too; experiments.ablate --list ablations"
    )


def _of_runs():
    return ", ".join(x for x in packaged() if "/" not in x)


def _nearest(name, preset):
    """What may have been meant: a config, or the preset of some."""
    short = {x.rpartition("/")[2]: file for x, file in packaged().items()}
    plain = {re.sub(r"[\W_]", "", x): x for x in short}
    asked = re.sub(r"[\W_]", "", name.lower())
    near = difflib.get_close_matches(asked, plain, n=1)
    if near:
        return [":".join(x for x in (plain[near[0]], preset) if x)]
    having = {}  # {preset: [NAME:PRESET, ...]}
    for config, path in packaged().items():
        module = loaded(path)
        for own in presets_of(module) if "/" not in config else ():
            values = module.get_config(own).to_dict()
            # Those that need classes, or data of another form, come last.
            usual = checks.is_game(values) and not values["generator"].get("condition")
            having.setdefault(own, []).append((not usual, f"{config}:{own}"))
    plain = {re.sub(r"[\W_]", "", x): x for x in having}
    near = difflib.get_close_matches(asked, plain, n=1)
    return [x for _, x in sorted(having[plain[near[0]]])] if near else []


def of_folders(variant: str) -> list[str]:
    """Returns NAME:PRESET of the presets of a variant for folders of pictures."""
    path = packaged().get(variant)
    module = path and loaded(path)
    return [
        f"{variant}:{preset}"
        for preset in (presets_of(module) if module else ())
        if module.get_config(preset).data.startswith("folder:")
    ]


def packaged() -> dict[str, Path]:
    """Returns the configs of this package, {NAME or ablations/NAME: path}."""
    return {
        path.relative_to(PACKAGED).with_suffix("").as_posix(): path
        for folder in (PACKAGED, PACKAGED / "ablations")
        for path in sorted(folder.glob("*.py"))
        if "\ndef get_config" in path.read_text()
    }


def loaded(path: Path) -> ModuleType:
    """Returns the module of a config's file.

    Raises ValueError, with the line, for a file that cannot be run.
    """
    loading = spec_from_file_location("config", path)
    module = module_from_spec(loading)
    _run(path, lambda: loading.loader.exec_module(module))
    if not callable(getattr(module, "get_config", None)):
        raise ValueError(f"{path}: a config's file defines get_config(preset)")
    return module


def _run(path, function):
    try:
        return function()
    except ValueError:
        raise
    except Exception as error:
        at, line = error.__traceback__, getattr(error, "lineno", None)
        while at is not None:  # the innermost line of this file
            if at.tb_frame.f_code.co_filename == str(path):
                line = at.tb_lineno
            at = at.tb_next
        place = f"{path}, line {line}" if line else path
        raise ValueError(f"{place}: {type(error).__name__}: {error}") from error


def presets_of(module: ModuleType) -> list[str]:
    """Returns the presets of a config's file, the default first; [] if it has none."""
    parameters = inspect.signature(module.get_config).parameters.values()
    default = next((p.default for p in parameters), None)
    if not isinstance(default, str):
        return []
    try:
        module.get_config("?")
    except presets.UnknownPreset as error:
        return sorted(error.accepted, key=lambda name: name != default)
    except Exception:  # a file that tells its presets otherwise, or not
        pass
    return [default]


def own_keys(module: ModuleType) -> Mapping[str, keys.Key]:
    """Returns the keys that a config's file declares beside the shared ones."""
    return getattr(module, "KEYS", {})


def takes(module: ModuleType) -> dict[str, str]:
    """Returns {preset: what a run takes}, which the file's docstring says.

    There, a line begins with "PRESET: 3 minutes on 2 CPU cores", or with "PRESET, what
    it is for: 3 minutes".
    """
    doc = module.__doc__ or ""
    lines = re.findall(
        r"^(\w+)(?:, [^:\n]*)?: (\d[^.;(]*?)\s*(?:[.;(]|\bwith\b)", doc, re.M
    )
    return {preset: " ".join(cost.split()) for preset, cost in lines}


def described(name: str, path: Path) -> tuple[str, list[tuple[str, ...]]]:
    """Returns a config's title, and a row for each of its presets.

    A row is (NAME:PRESET, data, steps, what a run takes); that is "" if the file does
    not say so.
    """
    module = loaded(path)
    title = (module.__doc__ or "").strip().partition("\n")[0]
    rows, costs = [], takes(module)
    for preset in presets_of(module):
        config: Any = module.get_config(preset)
        base = config.get("base", config)
        size = f" {base.resolution}x{base.resolution}" if base.resolution else ""
        data = base.data if len(base.data) <= 20 else f"{base.data[:17]}..."
        steps = f"{config.get('steps') or base.steps:,} steps"
        cost = costs.get(preset, "")
        rows.append((f"{name}:{preset}", f"{data}{size}", steps, cost))
    return title, rows
