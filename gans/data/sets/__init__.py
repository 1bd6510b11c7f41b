"""The data sets: one file each, or one for several of a family.

A file declares

    NAMES = ("circle", "ring8")   what it serves, or ("tfds:NAME",) with an argument
    SEEDED = True                 whether the seed draws the examples
    load(name, *, resolution, channels, split, data_dir, skip_corrupt, seed)

`name` is the argument after the colon, where there is one. `load` returns a source (see
`gans.data.source`), and takes `**_unused` for options that do not concern it. It raises
`NoSplit` for a split that the set does not have, and `OptionWanted` where another value
of an option is the answer.
"""

import os


class NoSplit(ValueError):
    """The data set has no such split."""


class OptionWanted(ValueError):
    """The data can be read with another value of the option called `option`."""

    def __init__(self, message: str, option: str):
        super().__init__(message)
        self.option = option


def expanded(path: str) -> str:
    """Returns a path in which `~` and $VAR are replaced, as a shell does."""
    return os.path.expandvars(os.path.expanduser(path))
