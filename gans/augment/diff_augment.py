"""Differentiable augmentation (arXiv 2006.10738) of real and of generated images."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from gans import names
from gans.augment.adaptive import Adaptive
from gans.augment.base import Augment
from gans.augment.transforms import TRANSFORMS


def diff_augment(
    x: Array,
    key: Array,
    policy: tuple[str, ...] = tuple(TRANSFORMS),
    probability: Array | float = 1.0,
) -> Array:
    """Differentiable augmentation (arXiv 2006.10738, section 4) of images.

    x [B, H, W, C] in [-1, 1] -> the same shape; colours may leave the range. Each
    transform of the parts of `policy`, in that order, is applied to each image with
    `probability` [], independently: 1 in that paper, the controlled p in arXiv
    2006.06676. Raises ValueError for a part that is not in `TRANSFORMS`.
    """
    for part in policy:
        names.check(part, TRANSFORMS, "policy of augment")
    transforms = [transform for part in policy for transform in TRANSFORMS[part]]
    keys = jax.random.split(key, (len(transforms), 2))
    for transform, (key_turn, key_draw) in zip(transforms, keys, strict=True):
        chosen = jax.random.uniform(key_turn, (len(x), 1, 1, 1)) < probability
        x = jnp.where(chosen, transform(x, key_draw), x)
    return x


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffAugment(Augment):
    """`diff_augment` of every image, by a policy such as ("color", "cutout").

    Raises ValueError for another type, and for a name that is not in `TRANSFORMS`.
    """

    name: ClassVar[str] = "diff_augment"
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    policy: tuple[str, ...] = tuple(TRANSFORMS)

    def __post_init__(self):
        super().__post_init__()
        tuples = isinstance(self.policy, tuple) and len(self.policy) > 0
        self._require(tuples, "policy", "a tuple of names")
        for part in self.policy:
            names.check(part, TRANSFORMS, f"policy of augment {self.name}")

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, H, W, C] in [-1, 1] -> the same shape; no step and no p."""
        return diff_augment(x, key, self.policy)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptiveDiffAugment(Adaptive, DiffAugment):
    """`diff_augment`, each transform with the controlled probability of ADA."""

    name: ClassVar[str] = "adaptive_diff_augment"
    slot: ClassVar[str] = "ada"  # what it was called; checkpoints have it

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, H, W, C] in [-1, 1], p [] -> the same shape; no step.

        Raises ValueError without p.
        """
        return diff_augment(x, key, self.policy, self._given(p))
