"""What stabilises training: terms added to the losses, one family a file.

A function of a file here that is annotated to return a `Term` is one more term, found
by its name; nothing lists them. One of your own package is found by its path (see
`gans.names`). Its options have the papers' values by default. The formulas are in
`gans.losses`; here is what each of them is given.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from gans import names
from gans.terms.base import Context, Term, add, lazy, slot

__all__ = ["Context", "Term", "add", "known", "lazy", "make", "slot"]


def known(role: str) -> dict[str, Callable[..., Term]]:
    """Returns the terms for a "discriminator" or a "generator" by name."""
    return {
        name: f
        for module in names.modules(__name__)
        for name, f in vars(module).items()
        if inspect.isfunction(f)
        and f.__annotations__.get("return") is Term
        and role in f().about
    }


def make(values: Iterable[Any], role: str) -> tuple[Term, ...]:
    """Returns the terms of the "discriminator" or of the "generator".

    values: of each term its name, or {"name": NAME, option: value, ...}; a name is that
    of a function here, or the path of your own (see `gans.names`). Raises ValueError
    for an unknown name, option or value, for one given twice, and for a function that
    returns no term of this network.
    """
    if isinstance(values, str):
        raise ValueError(f"terms: {values!r} must be a tuple of terms")
    factories, made = known(role), []
    for value in values:
        name, options = names.named(value, "term")
        term = names.call(names.pick(name, factories, "term"), options, "term", name)
        names.wanted(term, Term, "term", name, "a function to a Term")
        names.check(role, term.about, f"term {name!r}: network")
        made.append(term)
    found = [term.name for term in made]
    if len(set(found)) < len(found):
        raise ValueError(f"terms: each at most once, got {', '.join(found)}")
    return tuple(made)
