"""The weights of a state as arrays with flat names: "ema/g/params/out/kernel"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from gans import core

PARTS = ("params", "stats", "ema")  # the fields of a state that are weights
Arrays = dict[str, Any]  # by name


class Taken(NamedTuple):
    """Trees of arrays that fit a state.

    Attributes:
      variables: {network: {"params": tree, collection: tree ...}}.
      averages: {network: {"params", "stats"}}.
    """

    variables: dict[str, Any]
    averages: dict[str, Any]


def named(tree: Any, prefix: str) -> Arrays:
    """Returns {"prefix/g/out/kernel": leaf}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    names = (jax.tree_util.keystr(x, simple=True, separator="/") for x, _ in leaves)
    return {f"{prefix}/{name}": x for name, (_, x) in zip(names, leaves, strict=True)}


def of_state(state: core.State) -> Arrays:
    """Returns the weights of a state."""
    parts = [named(getattr(state, part), part) for part in PARTS]
    return {name: x for part in parts for name, x in part.items()}


def of_network(name: str, variables: Mapping[str, Any]) -> Arrays:
    """Returns {"params": tree, collection: tree ...} with the names of a state."""
    stats = {x: y for x, y in variables.items() if x != "params"}
    params = named(variables["params"], f"params/{name}")
    return {**params, **named(stats, f"stats/{name}")}


def of_average(name: str, variables: Mapping[str, Any]) -> Arrays:
    """Returns what `of_network` does, with the names of the network's average."""
    stats = {x: y for x, y in variables.items() if x != "params"}
    return named({"params": variables["params"], "stats": stats}, f"ema/{name}")


def taken(template: core.State, given: Mapping[str, Any]) -> Taken:
    """Returns the networks of a state, or of its shapes, that are `given` by name.

    Raises ValueError for arrays that the state does not have, and for a network of
    which only some are given.
    """
    wanted = of_state(template)
    networks = {name.split("/")[1] for name in given}
    found, due = (
        {name: tuple(x.shape) for name, x in these.items()} for these in (given, wanted)
    )
    due = {name: x for name, x in due.items() if name.split("/")[1] in networks}
    wrong = sorted(x for x in {*found, *due} if found.get(x) != due.get(x))
    if wrong:
        raise ValueError(
            f"{len(wrong)} arrays do not fit the network, the first is {wrong[0]}: "
            f"{found.get(wrong[0])}, wanted {due.get(wrong[0])}"
        )

    def filled(tree, prefix):
        leaves = [given[name] for name in named(tree, prefix)]
        return jax.tree.unflatten(jax.tree.structure(tree), leaves)

    return Taken(
        {
            name: {
                "params": filled(params, f"params/{name}"),
                **filled(template.stats[name], f"stats/{name}"),
            }
            for name, params in template.params.items()
            if name in networks
        },
        {
            name: filled(tree, f"ema/{name}")
            for name, tree in template.ema.items()
            if name in networks
        },
    )
