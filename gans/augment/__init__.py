"""What is done to a discriminator's inputs, one kind a file; `make` finds it by name.

A file that holds a named `Augment` is one more augmentation; nothing lists them. One of
your own package is found by its path (see `gans.names`).
"""

from typing import Any

from gans import names
from gans.augment.base import Augment


def known() -> dict[str, type[Augment]]:
    """Returns the augmentations of this folder by name."""
    return {
        kind.name: kind
        for module in names.modules(__name__)
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Augment)
        and kind.__module__ == module.__name__
        and hasattr(kind, "name")
    }


def make(name: str, **options: Any) -> Augment:
    """Returns the augmentation of that name with the fields of its class set.

    Raises ValueError, listing what is accepted, for another name or option, and what
    the class raises for a value.
    """
    made = names.call(names.pick(name, known(), "augment"), options, "augment", name)
    names.wanted(made, Augment, "augment", name, "a subclass of Augment")
    names.wanted(getattr(made, "name", None), str, "augment", name, "one with a `name`")
    return made
