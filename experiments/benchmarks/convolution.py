"""The convolutions of a training step, described without JAX's types."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Convolution:
    """One of the three maps, of operands with shapes a and b, with a geometry.

    Attributes:
      kind: "forward", "input gradient" or "kernel gradient".
      a, b: the operands' shapes.
      geometry: the fields of `gans.layers.conv.geometry.Geometry`.
    """

    kind: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    geometry: tuple

    @property
    def name(self) -> str:
        return f"{self.kind} {_x(self.large)} {_x(self.kernel)} /{self.strides[0]}"

    @property
    def large(self):
        """[N, *X, I], the shape of what is convolved."""
        n = (self.a[0], *self.geometry[0])
        if self.kind == "input gradient":
            return (*n, self.b[-2] * self.geometry[5])
        return (*n, self.a[-1])

    @property
    def kernel(self):
        """[*K, I / groups, O]."""
        if self.kind == "kernel gradient":
            return (
                *self.geometry[1],
                self.a[-1] // self.geometry[5],
                self.b[-1],
            )
        return self.b

    @property
    def small(self):
        """[N, *Y, O], the shape of the convolution's result."""
        return (self.a[0], *self.geometry[2], self.kernel[-1])

    @property
    def strides(self):
        return self.geometry[3]

    @property
    def gflop(self) -> float:
        """1e9 operations; a multiplication and an addition count as two."""
        return 2e-9 * math.prod(self.small) * math.prod(self.kernel[:-1])


def _x(shape):
    return "x".join(map(str, shape))
