"""Config files: by path or by name, with a preset."""

from __future__ import annotations

import inspect
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from ml_collections import ConfigDict

from experiments.config.changes import _known
from gans import names


def load_file(spec: str) -> tuple[ConfigDict, str]:
    """Returns the config of `spec`, a PATH.py[:PRESET], and the name of its preset.

    Raises ValueError for an unknown file or preset.
    """
    path, _, preset = spec.partition(":")
    if not Path(path).is_file():
        known = [str(p) for p in Path(path).parent.glob("*.py") if p.stem[0] != "_"]
        names.check(path, known, "--config")
    loading = spec_from_file_location("config", path)
    module = module_from_spec(loading)
    loading.loader.exec_module(module)
    parameters = inspect.signature(module.get_config).parameters.values()
    preset = preset or next((p.default for p in parameters), "")
    return module.get_config(*[preset][: len(parameters)]), preset


def check_flag(config: ConfigDict, flag: str) -> None:
    """Raises ValueError unless `flag`, --config.KEY[.KEY ...][=VALUE], names a key."""
    place, *keys = flag.partition("=")[0].split(".")
    for key in keys:
        key = key.partition("[")[0]
        _known(key, config if isinstance(config, ConfigDict) else (), place)
        config, place = config[key], f"{place}.{key}"
