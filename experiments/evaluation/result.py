"""What an evaluator has found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

ROUNDING = 1e-9  # an error that is a smaller part of its value is none


@dataclasses.dataclass(frozen=True)
class Result:
    """A number, which way is better, and all that it depends on.

    Attributes:
      value: the number.
      better: "lower", "higher", or None where neither is.
      error: its standard error, if known; 0 if it is rounding.
      protocol: what this number depends on beside the protocol of the whole report,
        as JSON: the number of neighbours, of subsets ...
    """

    value: float
    better: str | None = None
    error: float | None = None
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if np.ndim(self.value):
            shape = [*np.shape(self.value)]
            raise ValueError(f"a Result is one number, got values of shape {shape}")
        if hasattr(self.value, "item"):  # of NumPy or JAX
            object.__setattr__(self, "value", self.value.item())
        if self.error is not None:
            object.__setattr__(self, "error", without_rounding(self.error, self.value))

    def to_json(self) -> dict[str, Any]:
        """Returns {"value", "standard_error" if there is one, ..., "better"}."""
        found = {"value": self.value}
        if self.error is not None:
            found["standard_error"] = self.error
        protocol = dict(self.protocol)
        last = {"seconds": protocol.pop("seconds")} if "seconds" in protocol else {}
        return {**found, **protocol, "better": self.better, **last}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Result:
        """Returns the result that `to_json` was made of."""
        rest = {
            name: x
            for name, x in value.items()
            if name not in ("value", "better", "standard_error")
        }
        error = value.get("standard_error")
        return cls(value["value"], value.get("better"), error, rest)


def without_rounding(error: float, value: float) -> float:
    """Returns an error of a value; 0 if it is rounding: what was measured is exact."""
    return 0.0 if abs(error) <= ROUNDING * abs(value) else error
