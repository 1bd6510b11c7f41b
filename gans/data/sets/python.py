"""The user's own source: `python:MODULE:FUNCTION`.

The function is called as FUNCTION(resolution=, channels=, split=, seed=) and returns a
source, most easily a `gans.data.source.InMemory` or `Streamed`:

    # shapes.py, in the folder where the command is run
    def squares(*, resolution, seed, **_):
        return InMemory("squares", {"image": draw(resolution or 32, seed)})

    python -m experiments.run --config=gan:digits \\
        --config.data=python:shapes:squares

It raises `gans.data.sets.NoSplit` for a split that it does not have.
"""

from __future__ import annotations

import importlib

import numpy as np

from gans import names
from gans.data.source import InMemory, Source, check_values

NAMES = ("python:MODULE:FUNCTION",)
N_CHECKED = 64  # examples of a streamed source
SEEDED = True  # it may use the seed, so it is called again for each


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    split: str = "train",
    seed: int = 0,
    **_unused,
) -> Source:
    """What the function named by `path`, "package.module:function", returns.

    Raises ValueError for a path of another form, for a missing module or function, if
    the returned object is not a `gans.data.source.Source`, and for values that its
    fields do not have in the first examples. Errors inside the module or the function
    are passed on unchanged.
    """
    name = f"python:{path}"
    # A dot before the function is as good as a colon.
    path = path if ":" in path else ":".join(path.rsplit(".", 1))
    module_name, _, function_name = path.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")) or not (
        function_name.isidentifier()
    ):
        raise ValueError(f"{name} is not of the form python:package.module:function")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # That a module imports something that is missing is the module's own error.
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"{name}: there is no module {error.name!r}; it is looked for in the "
            "current folder, in PYTHONPATH and among the installed packages"
        ) from None
    functions = [n for n, x in vars(module).items() if callable(x) and n[0] != "_"]
    function = getattr(module, names.check(function_name, functions, name))
    source = function(resolution=resolution, channels=channels, split=split, seed=seed)
    if not isinstance(source, Source):
        raise ValueError(
            f"{name} returned {type(source).__name__}; wanted a source, such as "
            "gans.data.source.InMemory"
        )
    if len(source) and not isinstance(source, InMemory):  # that checked all of them
        taken = source.take(np.arange(min(len(source), N_CHECKED)))
        for field, x in taken.items():
            try:
                check_values(source.spec[field], x)
            except ValueError as error:
                raise ValueError(f"{name}: field {field!r}: {error}") from None
    return source
