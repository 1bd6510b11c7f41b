"""What one example of a data set holds: named fields, each of a kind.

    {"image": Field("image", (32, 32, 3), "uint8"),
     "label": Field("label", (), "int32", n_classes=10)}

The kinds are the files of `gans/data/kinds`. `decoded` and `blank` describe what a GAN
is given: the fields as `gans.data.pipeline.prepare` decodes them on the device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gans.data import kinds

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

    Raises ValueError for an unknown kind, a shape or a type that the kind does not
    have, and for a label or tokens without `n_classes`.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    n_classes: int | None = None

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
    """Returns the spec as nested dicts, tuples, strings and numbers."""
    return {
        name: {
            "kind": field.kind,
            "shape": field.shape,
            "dtype": field.dtype,
            "n_classes": field.n_classes,
        }
        for name, field in spec.items()
    }


def from_json(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Field]:
    """Returns the spec that `to_json` wrote."""
    return {name: Field(**field) for name, field in content.items()}
