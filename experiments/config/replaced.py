"""Parts whose name is replaced: options of the one before that the new one lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ml_collections import ConfigDict

from configs import keys
from experiments.config import checks, parts


def without_old_options(
    config: ConfigDict, before: ConfigDict, given: Iterable[str]
) -> list[str]:
    """Leaves out options that the config had for a network or an optimiser before.

    Where its name was replaced, an option that it does not have is left out of `config`
    unless it was given with it; that one is an error when the part is made.

    before: the config before it was changed. given: the keys that were changed,
    "generator.network". Returns a line for each part that was left without options.
    """
    given, lines = {key.partition("[")[0] for key in given}, []
    for place, part, old, name, known in _replaced(config, before):
        if place in given or known is None:
            continue
        lost = [
            option
            for option in sorted(part)
            if option not in known
            and option not in (name, *keys.PLAYER)
            and f"{place}.{option}" not in given
            and option in old
        ]
        off = [x for x in lost if name == "network" and parts.is_off(x, part[x])]
        with part.unlocked():
            for option in lost:
                del part[option]
        said = [x for x in lost if x not in off]
        if said:
            lines.append(
                f"{place}.{name}={part[name]!r} in place of {old[name]!r}: it has no "
                f"{', '.join(said)}, which {'is' if len(said) == 1 else 'are'} left out"
            )
    return lines


def _replaced(config, before) -> Iterator[tuple]:
    """(place, part, what it was, key of its name, options) of each that is another."""
    for role in checks.players(before.to_dict()):
        part, old = config[role], before[role]
        if not isinstance(part, ConfigDict):
            continue
        if part.get("network") != old.get("network"):
            known = parts.network(role, part.get("network"))
            yield role, part, old, "network", known
        inner, inner_old = part.get("optimizer"), old.get("optimizer")
        if not isinstance(inner, ConfigDict) or not isinstance(inner_old, ConfigDict):
            continue
        if inner.get("name") != inner_old.get("name"):
            known = parts.options_of_optimiser(inner.get("name"))
            yield f"{role}.optimizer", inner, inner_old, "name", known
