"""The space that a sweep searches: which values of a config vary, and how.

    discriminator.optimizer.learning_rate=log(1e-5, 1e-2); n_critic=int(1, 5)
    loss=choice('hinge', 'wasserstein')
    discriminator.penalties[0].weight=log(0.1, 100)

A key names a value of the config, an element of a tuple, or an option of a value that
is written as "NAME(option=value)". Entries are separated by semicolons or lines, with
comments after #. They are given in the flag itself, or in a file that it names.
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from configs import keys
from experiments import config as configs
from gans import names

KINDS = ("uniform", "log", "int", "choice")
# Keys whose values are no better or worse, only luckier, or not comparable.
_NOT_SEARCHED = {
    "seed": "the best of several seeds is luck; repeat the best trial with other seeds",
    "steps_per_call": "it says how steps are compiled, not what they compute",
} | dict.fromkeys(
    "metrics n_evaluate extractor".split(), "all trials must be measured alike"
)
_FORM = "KEY=uniform(low, high), log(low, high), int(low, high) or choice(value, ...)"


@dataclasses.dataclass(frozen=True)
class Range:
    """The range of one key: `values` are the lowest and the highest, or all choices.

    uniform and log give floats, int gives whole numbers; both ends are included.
    """

    kind: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(repr, self.values))})"

    def distribution(self) -> Any:
        """Returns Optuna's form of the range; choices are kept as their source text."""
        from optuna import distributions  # optional, and slow to import

        if self.kind == "choice":
            return distributions.CategoricalDistribution([*map(repr, self.values)])
        if self.kind == "int":
            return distributions.IntDistribution(*self.values)
        return distributions.FloatDistribution(*self.values, log=self.kind == "log")

    def value(self, drawn: Any) -> Any:
        """Returns the value for the config from what Optuna has drawn."""
        return ast.literal_eval(drawn) if self.kind == "choice" else drawn


def parse(text: str) -> dict[str, Range]:
    """Returns the ranges by key; a `text` without "=" is the name of a file with them.

    Raises ValueError, naming the entry, for text that is empty or cannot be parsed.
    """
    if "=" not in text:
        if not Path(text).is_file():
            raise ValueError(f"--space: {text!r} is neither a file nor {_FORM}; ...")
        text = Path(text).read_text()
    lines = [line.strip() for line in text.splitlines()]
    try:
        entries = ast.parse("\n".join(lines)).body
    except SyntaxError as error:
        place = (error.text or "").strip()
        raise ValueError(f"--space: {place!r} is not {_FORM}; ...") from None
    ranges = {}
    for entry in entries:
        try:
            (target,) = entry.targets
            key, call = ast.unparse(target), entry.value
            parts(key)
            values = tuple(ast.literal_eval(x) for x in call.args)
            kind = call.func.id
            if call.keywords or not values:
                raise ValueError
        except (AttributeError, TypeError, ValueError):
            raise ValueError(
                f"--space: {ast.unparse(entry)!r} is not {_FORM}"
            ) from None
        names.check(kind, KINDS, f"--space: {key}")
        if key in ranges:
            raise ValueError(f"--space: {key} appears twice")
        ranges[key] = _checked(Range(kind, values), key)
    if not ranges:
        raise ValueError(f"--space is empty; expected {_FORM}; ...")
    return ranges


def _checked(found, key):
    place, values = f"--space: {key}={found}", found.values
    if found.kind == "choice":
        if len(values) == 1:
            raise ValueError(
                f"{place} has one value, so nothing varies: --config.{key}={values[0]}"
            )
        if len({*map(repr, values)}) < len(values):
            raise ValueError(f"{place} lists a choice twice")
        return found
    types = (int,) if found.kind == "int" else (int, float)
    if len(values) != 2 or any(type(x) not in types for x in values):
        what = "two whole numbers" if found.kind == "int" else "two numbers"
        raise ValueError(f"{place} must have {what}, the lowest and the highest")
    low, high = values
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{place}: the lowest must be below the highest")
    if found.kind == "log" and low <= 0:
        raise ValueError(f"{place} must be above 0")
    return found if found.kind == "int" else Range(found.kind, (*map(float, values),))


def parts(key: str) -> list[str | int]:
    """Returns the names and indices of "generator.penalties[0].weight".

    Raises ValueError for a key of another form.
    """

    def visit(node):
        match node:
            case ast.Name(id=name):
                return [name]
            case ast.Attribute(value=value, attr=name):
                return [*visit(value), name]
            case ast.Subscript(value=value, slice=ast.Constant(value=int(index))):
                return [*visit(value), index]
        raise ValueError

    return visit(ast.parse(key, mode="eval").body)


def floats(space: Mapping[str, Range]) -> list[list[str | int]]:
    """Returns the places of the keys that may be floats, as `parts` gives them."""
    return [parts(key) for key, found in space.items() if found.kind != "int"]


def check(config: ConfigDict, space: Mapping[str, Range]) -> None:
    """Raises ValueError for a key that cannot be searched for a better value.

    Also for two choices that are the same value, written differently.
    """
    for key, found in space.items():
        name = parts(key)[0]
        known = keys.RUN.get(name)
        why = _NOT_SEARCHED.get(name)
        if known and known.free:
            why = why or "it leaves the training as it is"
        if why:
            raise ValueError(f"--space: {key} cannot be searched: {why}")
        if found.kind == "choice":
            seen = {}
            for value in found.values:
                own = configs.override(config, changes(config, {key: value}))
                other = seen.setdefault(configs.to_json(own), value)
                if other is not value:
                    raise ValueError(
                        f"--space: {key}={found}: {other!r} and {value!r} are the same"
                    )


# --- in a config ----------------------------------------------------------------------


def changes(config: ConfigDict, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the keys of the config that values of the space change, and their values.

    {"discriminator.penalties[0].weight": 3.0} gives {"discriminator.penalties":
    ("gradient_penalty(weight=3.0)",)}. Raises ValueError, with the nearest key, for a
    key that is not there, and for a value of another type than the config's.
    """
    changed, config = {}, config.copy_and_resolve_references()
    # A whole value comes before its parts.
    for key in sorted(values, key=lambda key: len(parts(key))):
        outer, inner = [], parts(key)
        old = config
        while inner and isinstance(old, ConfigDict):
            place = f"--space: {'.'.join(['config', *outer])}"
            outer.append(names.check(inner.pop(0), old, place))
            old = old[outer[-1]]
        new = _replaced(old, inner, values[key], f"--space: {key}")
        changed[".".join(outer)] = new
        _set(config, outer, new)
    return changed


def _set(config, keys, value):
    """Sets a value as it is written, not expanded: flags have to show it."""
    *path, last = keys
    for name in path:
        config = config[name]
    with config.unlocked(), config.ignore_type():
        config[last] = value


def _replaced(old, inner, new, place):
    """`old`, with `new` at the place `inner` in it."""
    if not inner:
        return _fitting(old, new, place)
    first, *rest = inner
    if isinstance(first, int):
        if not isinstance(old, tuple | list) or first >= len(old):
            raise ValueError(f"{place}: there is no [{first}] in {old!r}")
        element = _replaced(old[first], rest, new, place)
        return (*old[:first], element, *old[first + 1 :])
    if isinstance(old, Mapping):
        return {**old, first: _replaced(old.get(first), rest, new, place)}
    if rest or not isinstance(old, str):
        raise ValueError(f"{place}: {old!r} has no {first!r}")
    name, options = names.named(configs.expand(old, place), place)
    options[first] = new
    return f"{name}({', '.join(f'{k}={v!r}' for k, v in options.items())})"


def _fitting(old, new, place):
    """`new`, as flags of the command line would have it."""
    if isinstance(old, ConfigDict):
        raise ValueError(f"{place} has keys of its own: {', '.join(sorted(old))}")
    if old is None or type(old) is type(new):
        return new
    if isinstance(old, float) and type(new) is int:
        return float(new)
    raise ValueError(
        f"{place}: {new!r} is of type {type(new).__name__}, while the config's {old!r} "
        f"is of type {type(old).__name__}"
    )


def corners(space: Mapping[str, Range]) -> list[dict[str, Any]]:
    """Returns points of the space that are built before any trial: all lowest values,
    all highest, and each choice with the lowest values of the others."""
    lowest = {key: found.values[0] for key, found in space.items()}
    highest = {key: found.values[-1] for key, found in space.items()}
    others = [
        lowest | {key: value}
        for key, found in space.items()
        if found.kind == "choice"
        for value in found.values[1:-1]
    ]
    return [lowest, highest, *others]


def flags(config: ConfigDict, values: Mapping[str, Any]) -> list[str]:
    """Returns the flags of experiments.run that set these values in the config."""
    return [
        f"--config.{key}={value}"
        for key, value in changes(config, values).items()
        if value is not None  # it can only have been so before
    ]
