"""What all augmentations are: see `Augment`."""

import dataclasses
from typing import ClassVar

from jax import Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augment:
    """What a game does to the inputs of its discriminator; made by `augment.make`.

    adaptive: it has a probability p [], which it keeps in the state (see `adaptive`).
    kinds: the kinds of data that it is for; None: any.
    """

    name: ClassVar[str]
    adaptive: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...] | None] = None

    def __post_init__(self):
        """Subclasses check their options, after those of what they inherit."""

    @property
    def slot(self) -> str:
        """Where it keeps its own in the state, and what it is called in metrics."""
        return self.name

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, ...] -> the same shape; step []; p [] in [0, 1] if adaptive."""
        raise NotImplementedError

    def check(
        self,
        kind: str,
        boundary: Array | float | None = 0.0,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Raises ValueError if it is not for data of this kind ("image", "point" ...).

        boundary: the loss's (see `gans.losses.adversarial`); None: logits have no zero.
        shape: of one example; None: unknown.
        """
        if self.kinds is not None and kind not in self.kinds:
            raise ValueError(
                f"augment {self.name} is for data of kind {' or '.join(self.kinds)}, "
                f"not {kind!r}"
            )
        if self.adaptive and boundary is None:
            raise ValueError(
                f"augment {self.name} follows the sign of the discriminator's logits, "
                "which has no meaning with a Wasserstein or a relativistic loss"
            )

    def _given(self, p):
        if p is None:
            raise ValueError(f"augment {self.name} needs p [] in [0, 1], got None")
        return p

    def _require(self, holds: bool, name: str, accepted: str) -> None:
        if not holds:
            value = getattr(self, name)
            raise ValueError(
                f"augment {self.name}: {name}={value!r} must be {accepted}"
            )
