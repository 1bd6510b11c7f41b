"""What is done to a discriminator's inputs, one kind a file; `make` finds it by name.

A file that holds a named `Augment` is one more augmentation; nothing lists them.
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
    kinds = known()
    kind = kinds[names.check(name, kinds, "augment")]
    names.typed(names.options_of(kind), options, f"augment {name}")
    return kind(**options)
