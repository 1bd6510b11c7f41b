"""The data sets: one file each, or one for several of a family.

A file declares

    NAMES = ("circle", "ring8")   what it serves, or ("tfds:NAME",) with an argument
    SEEDED = True                 whether the seed draws the examples
    load(name, *, resolution, channels, split, data_dir, skip_corrupt, seed,
         frames, stride)

`name` is the argument after the colon, where there is one. `load` returns a source (see
`gans.data.source`), and takes `**_unused` for options that do not concern it. It raises
`NoSplit` for a split that the set does not have, and `OptionWanted` where another value
of an option is the answer.

A set whose side A is made from pictures has two more functions (see `gans.data.given`
and `gans.data.finished`), so that a model can be given pictures of others:

    given(picture) -> what the model is given
    finished(a, output) -> the output, with what was given kept: there may be none

A set whose sentences can be checked has `attributes(argument)`, see
`gans.data.attributes`.

`load` is also given `called`: how messages name the set, where that is another's name.
"""

import math
import os
import re

from gans.names import nearest

_OPTION = re.compile(r"(.+):([A-Za-z_]+)=([^:/\\]*)")


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


def options(
    name: str, argument: str, accepted: dict[str, tuple[str, ...]]
) -> tuple[str, dict[str, str]]:
    """Returns ("PATH", {"option": "value"}) of "PATH:option=value:...".

    name: of the whole, for messages.
    accepted: the values of each option; (): any.

    Raises ValueError for other options and values, unless they are in the path itself.
    """
    found = {}
    while (match := _OPTION.fullmatch(argument)) and not os.path.exists(
        expanded(argument)
    ):
        argument, option, value = match.groups()
        if option not in accepted:
            known = ", ".join(accepted) or "none"
            near = nearest(option, accepted)
            raise ValueError(f"{name}: option {option!r} is not one of {known}{near}")
        values = accepted[option]
        if values and value not in values:
            known = " or ".join(values)
            raise ValueError(f"{name}: {option}={value!r} is not {known}")
        found[option] = value
    return argument, found


def without_options(argument: str) -> str:
    """Returns "PATH" of "PATH:option=value:..."."""
    while match := _OPTION.fullmatch(argument):
        argument = match[1]
    return argument


def levels(name: str, text: str) -> tuple[float, float]:
    """Returns the values of black and white of the option "range=0..4095".

    Raises ValueError, with the name of the set, for other forms.
    """
    try:
        least, most = (float(x) for x in text.split(".."))
        if not (math.isfinite(most - least) and least < most):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{name}: range={text!r} is not of the form LOW..HIGH, such as 0..1"
        ) from None
    return least, most
