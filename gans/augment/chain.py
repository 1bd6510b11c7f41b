"""The augmentations of one discriminator, one after another, and what they keep."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
from jax import Array

from gans.augment.base import Augment


@dataclasses.dataclass(frozen=True)
class Chain:
    """Augmentations in the order in which they are applied.

    Attributes:
      augments: each of them at most once.
      prefix: before their names in `State.aux`, where several discriminators have some.

    Raises ValueError for two that would keep their probabilities in one place.
    """

    augments: tuple[Augment, ...] = ()
    prefix: str = ""

    def __post_init__(self):
        found = [augment.slot for augment in self.augments]
        if len(set(found)) < len(found):
            raise ValueError(f"augment: each at most once, got {', '.join(found)}")

    def check(
        self,
        kind: str,
        boundary: Array | float | None = 0.0,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Raises ValueError for one that is not for data of this kind.

        boundary: the loss's; shape: of one example, such as [H, W, C] (see
        `Augment.check`).
        """
        for augment in self.augments:
            augment.check(kind, boundary, shape)

    def apply(
        self, x: Array, key: Array, step: Array, kept: Mapping[str, Any]
    ) -> Array:
        """x [B, ...] as the discriminator is to see it; the same draws for one key.

        step []: the state's; kept: its `aux`.
        """
        for i, augment in enumerate(self.augments):
            key_i = jax.random.fold_in(key, i)
            p = kept[self._slot(augment)]["p"] if augment.adaptive else None
            x = augment.apply(x, key_i, step, p)
        return x

    @property
    def first(self) -> dict[str, Any]:
        """The first values of what the adaptive ones keep in `State.aux`."""
        return {self._slot(augment): augment.first() for augment in self._adaptive}

    def adapted(
        self,
        on_real: Array,
        boundary: Array | float | None,
        step: Array,
        kept: Mapping[str, Any],
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """(metrics, what the adaptive ones keep next) after a step.

        on_real: logits [B] of augmented real examples; boundary: the loss's; step []
        and kept as in `apply`.
        """
        metrics, aux = {}, {}
        for augment in self._adaptive:
            slot, above = self._slot(augment), on_real - boundary
            aux[slot] = augment.adapted(kept[slot], above, step, len(above))
            metrics[f"{augment.slot}_p"] = aux[slot]["p"]
        return metrics, aux

    def _slot(self, augment):
        return f"{self.prefix}{augment.slot}"

    @property
    def _adaptive(self):
        return [augment for augment in self.augments if augment.adaptive]
