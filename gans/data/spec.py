"""What one example of a data set holds: named fields, each of a kind.

    {"image": Field("image", (32, 32, 3), "uint8"),
     "label": Field("label", (), "int32", n_classes=2, names=("cat", "dog"))}

The kinds are the files of `gans/data/kinds`. `decoded` and `blank` describe what a GAN
is given: the fields as `gans.data.pipeline.prepare` decodes them on the device.
"""

from __future__ import annotations

import dataclasses
import itertools
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gans.data import kinds
from gans.names import nearest

if TYPE_CHECKING:  # commands read configs and specs before any library is loaded
    import numpy as np


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of one example, as the source stores it.

    Attributes:
      kind: a file of `gans/data/kinds`: "image", "point", "label", ...
      shape: of one example, without the batch.
      dtype: in which it is stored: "uint8", "float32", "int32".
      n_classes: of a label, or the size of the vocabulary of tokens.
      names: of the classes, from 0 on, all different; None: they have only numbers.

    Raises ValueError for an unknown kind, a shape or a type that the kind does not
    have, for a label or tokens without `n_classes`, and for names that do not fit.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    n_classes: int | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self):
        import numpy as np

        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype).name)
        kind = kinds.of(self)
        axes = kind.AXES
        if len(self.shape) != len(axes):
            wanted = f"[{', '.join(axes)}]"
            raise ValueError(
                f"a field of kind {self.kind} has shape {self.shape}; wanted {wanted}"
            )
        if not any(np.issubdtype(self.dtype, dtype) for dtype in kind.DTYPES):
            wanted = " or ".join(dtype.__name__ for dtype in kind.DTYPES)
            raise ValueError(
                f"a field of kind {self.kind} has dtype {self.dtype}; wanted {wanted}"
            )
        if kind.CLASSES and self.n_classes is None:
            raise ValueError(f"a field of kind {self.kind} needs n_classes")
        if self.names is not None:
            object.__setattr__(self, "names", tuple(str(name) for name in self.names))
            if len(self.names) != self.n_classes:
                raise ValueError(
                    f"a field of kind {self.kind} has {len(self.names)} names for "
                    f"n_classes={self.n_classes}"
                )
            if len(set(self.names)) != len(self.names):
                twice = next(x for x in self.names if self.names.count(x) > 1)
                raise ValueError(f"two classes have the name {twice!r}")


Spec = Mapping[str, Field]


def main_field(spec: Spec) -> str:
    """Returns the name of the only field that is not a label.

    Raises ValueError, naming the fields, if there is not exactly one.
    """
    found = [name for name, field in spec.items() if field.kind != "label"]
    if len(found) != 1:
        raise ValueError(
            f"wanted data with one field besides labels; it has {len(found)}: "
            f"{', '.join(found) or 'none'}"
        )
    return found[0]


def label_field(spec: Spec) -> str | None:
    """Returns the name of the only field of kind label; None if there is none.

    Raises ValueError, naming them, if there are several.
    """
    found = [name for name, field in spec.items() if field.kind == "label"]
    if len(found) > 1:
        raise ValueError(
            f"wanted data with at most one label; it has {len(found)}: "
            f"{', '.join(found)}"
        )
    return found[0] if found else None


def class_of(field: Field, given: int | str) -> int:
    """Returns the number of the class that is given by its name or its number.

    A string is a name first; where no name is a number, it may also be the class's own.

    Raises ValueError, with the nearest name, for a class that the field does not have.
    """
    known = field.names or ()
    if isinstance(given, str):
        if given in known:
            return known.index(given)
        if not any(name.isdecimal() for name in known) and given.isdecimal():
            given = int(given)
    if isinstance(given, numbers.Integral) and 0 <= given < field.n_classes:
        return int(given)
    near = nearest(given, known)
    raise ValueError(f"class {given!r}: the classes are {described(field)}{near}")


def described(field: Field) -> str:
    """Returns the classes of a field in words: "cat, dog" or "0 to 9"."""
    if not field.names:
        return f"0 to {field.n_classes - 1}"
    return ", ".join(field.names[:19] + ("...",) * (len(field.names) > 19))


def same_classes(one: Field, other: Field) -> bool:
    """Whether numbers mean the same classes in two fields, as far as names tell."""
    if one.n_classes != other.n_classes:
        return False
    if one.names is None or other.names is None:
        return True
    return one.names == other.names


def decoded(spec: Spec) -> dict[str, Any]:
    """Returns {name: jax.ShapeDtypeStruct} of one decoded example, without a batch."""
    import jax  # takes a second; describing what is stored does not need it

    return {
        name: jax.eval_shape(
            kinds.of(field).decode, jax.ShapeDtypeStruct(field.shape, field.dtype)
        )
        for name, field in spec.items()
    }


def blank(spec: Spec, n: int) -> dict[str, np.ndarray]:
    """Returns a decoded batch of `n` examples that are all zero: {name: [n, ...]}.

    It is for callers without data, where only the length of a batch counts.
    """
    import numpy as np

    return {name: np.zeros((n, *x.shape), x.dtype) for name, x in decoded(spec).items()}


def to_json(spec: Spec) -> dict[str, dict[str, Any]]:
    """Returns the spec as nested dicts, tuples, strings and numbers.

    `names` is there only for a field that has them.
    """
    return {
        name: {
            "kind": field.kind,
            "shape": field.shape,
            "dtype": field.dtype,
            "n_classes": field.n_classes,
        }
        | ({} if field.names is None else {"names": field.names})
        for name, field in spec.items()
    }


def from_json(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Field]:
    """Returns the spec that `to_json` wrote."""
    return {name: Field(**field) for name, field in content.items()}


def older(shape: tuple[int, ...], n_classes: int | None) -> dict[str, dict[str, Any]]:
    """Returns `to_json` of the images or points of a config without a spec."""
    image = len(shape) == 3
    kind, dtype = ("image", "uint8") if image else ("point", "float32")
    fields = {kind: Field(kind, shape, dtype)}
    if n_classes:
        fields["label"] = Field("label", (), "int32", n_classes)
    return to_json(fields)


def with_names(
    old: Mapping[str, Any], new: Mapping[str, Any], as_text: bool
) -> dict[str, Any]:
    """Returns a spec of `to_json` with the names of classes that it did not keep yet.

    old, new: specs of `to_json`, the second of the same data today; as_text: whether
    classes were sorted as text when the first was written.

    Raises ValueError if they come in another order today.
    """
    named = {name: dict(field) for name, field in old.items()}
    for name, field in named.items():
        names = new.get(name, {}).get("names")
        if names is None or "names" in field:
            continue
        for i, (before, now) in enumerate(zip(sorted(names), names, strict=True)):
            if as_text and before != now:
                raise ValueError(
                    "class folders were sorted as text when this run was started: its "
                    f"class {i} is {before!r}, today's {now!r}"
                )
        field["names"] = tuple(names)
    return named


def check_classes(
    old: Mapping[str, Any], new: Mapping[str, Any], as_text: bool
) -> None:
    """Raises ValueError if classes that have names are others, or in another order.

    The arguments are those of `with_names`.
    """
    for name, field in with_names(old, new, as_text).items():
        before, now = field.get("names"), new.get(name, {}).get("names")
        if before and now and tuple(before) != tuple(now):
            pairs = itertools.zip_longest(before, now)
            i, pair = next(x for x in enumerate(pairs) if x[1][0] != x[1][1])
            raise ValueError(
                f"the model was trained on {len(before)} classes, the data has "
                f"{len(now)}; class {i} was {pair[0]!r}, and is {pair[1]!r} now"
            )
