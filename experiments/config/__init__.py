"""A run's config: checked before anything heavy is imported, resolved, kept as JSON.

`configs/keys.py` declares the keys. `files` finds configs and `flags` changes them from
the command line; `description` explains them; `checks` refuses what cannot be run;
`resolving` adds what the data knows and builds the GAN; `records` keeps configs as
JSON, which `conversion` reads whatever the version; `changes` compares them.
"""

from experiments.config.changes import differences, override
from experiments.config.checks import (
    FREE,
    ConfigError,
    check,
    check_own,
    check_renamed,
    check_value,
    is_game,
    players,
)
from experiments.config.conversion import (
    RENAMED,
    RENAMED_OF_ABLATIONS,
    convert,
    renamed,
)
from experiments.config.files import found, load_file, opened, own_keys
from experiments.config.flags import changed
from experiments.config.records import compare, from_json, to_json
from experiments.config.resolving import (
    build,
    check_pairs,
    load_data,
    of_stage,
    resolution,
    resolve,
    stages,
    variant,
)
from experiments.expressions import expand

__all__ = [
    "FREE",
    "RENAMED",
    "RENAMED_OF_ABLATIONS",
    "ConfigError",
    "build",
    "check",
    "changed",
    "check_own",
    "check_pairs",
    "check_renamed",
    "check_value",
    "compare",
    "convert",
    "differences",
    "expand",
    "found",
    "from_json",
    "is_game",
    "load_data",
    "load_file",
    "of_stage",
    "opened",
    "override",
    "own_keys",
    "players",
    "renamed",
    "resolution",
    "resolve",
    "stages",
    "to_json",
    "variant",
]
