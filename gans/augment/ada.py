"""The augmentations of ADA (arXiv 2006.06676), with a controlled or a fixed p."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gans import names
from gans.augment import pipeline
from gans.augment.adaptive import Adaptive
from gans.augment.base import Augment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformed(Augment):
    """Transformations of ADA's pipeline, each with probability p, image by image.

    transforms: such as "bgc" or "xflip+0.5*color", see `gans.augment.pipeline.parse`,
    which says what is raised.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    transforms: str = "bgc"

    def __post_init__(self):
        super().__post_init__()
        _ = self.strengths

    @property
    def strengths(self) -> dict[str, float]:
        """{transformation: its probability where p is 1}."""
        return pipeline.parse(self.transforms, self._place)

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, H, W, C] in [-1, 1], p [] -> the same shape; no step.

        It is computed in at least float32. Raises ValueError without p.
        """
        p = self._given(p)
        dtype = jnp.promote_types(x.dtype, jnp.float32)
        draws = pipeline.draw(key, self.strengths, x.shape, dtype)
        return pipeline.apply(x.astype(dtype), draws, self.strengths, p).astype(x.dtype)

    def check(
        self,
        kind: str,
        boundary: Array | float | None = 0.0,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Raises ValueError for what is not made of enough pixels, or not of colours.

        shape: [H, W, C]; the rest is as in `Augment`.
        """
        super().check(kind, boundary, shape)
        if shape is not None:
            pipeline.check(self.strengths, shape, self._place)

    @property
    def _place(self):
        return f"augment {self.name}: transforms"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ada(Adaptive, Transformed):
    """The transformations of ADA with its controlled probability (arXiv 2006.06676)."""

    name: ClassVar[str] = "ada"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedAda(Transformed):
    """The transformations of ADA with a fixed probability p [] in [0, 1].

    Raises ValueError for another p.
    """

    name: ClassVar[str] = "fixed_ada"
    p: float = 0.2

    def __post_init__(self):
        super().__post_init__()
        self._require(names.holds((0 <= self.p) & (self.p <= 1)), "p", "in [0, 1]")

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, H, W, C] in [-1, 1] -> the same shape; no step, and p is its own."""
        return super().apply(x, key, step, self.p)
