"""Codes to be added and subtracted: W where there is a mapping to it, else Z."""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np

from experiments.latent_space.generator import Styled, has_mapping
from experiments.sampling import asked
from experiments.sampling.model import Label, Model
from gans.data.spec import main_field

BATCH = 64
N_STATISTICS = 1000


class Codes(Protocol):
    """What arithmetic asks of a space; codes are float32 [n, ...].

    Attributes:
      name: "w" or "z".
      by_class: whether a code holds the class that the model was asked for.
      model: of the run.
      shape: of an image [H, W, C].
    """

    name: str
    by_class: bool
    model: Model

    @property
    def shape(self) -> tuple[int, int, int]: ...

    def of_seed(self, seed: int, n: int = 1, label: Label | None = None) -> np.ndarray:
        """Returns the codes of n samples of a seed, those of `experiments.sample`."""

    def images(self, codes: np.ndarray) -> np.ndarray:
        """Returns images [n, H, W, C], clipped to [-1, 1]."""


class W:
    """The latents [n, n_ws, w_dim] of a model with a mapping network."""

    name = "w"

    def __init__(self, model: Model, label: Label | None = None):
        self.model, self._label, self._styled = model, label, Styled(model)
        self.by_class = self._styled.label is not None
        self.shape = self._styled.shape
        self.images = self._styled.images

    def of_seed(self, seed: int, n: int = 1, label: Label | None = None) -> np.ndarray:
        """Returns the codes of n samples of a seed; label: that of --class, if None."""
        return self._styled.ws(seed, n, self._label if label is None else label)


class Z:
    """The latents [n, L] of any other model that has some.

    The class that it is asked for, if any, is the same for all: z does not hold it.
    """

    name, by_class = "z", False

    def __init__(self, model: Model, label: Label | None = None):
        self.model, self._field = model, main_field(model.spec)
        if model.spec[self._field].kind != "image":
            raise ValueError(f"this model makes {self._field}s; wanted images")
        wanted = model.sampler().label_inputs
        if wanted and label is None:
            raise ValueError(
                "this model is asked for a class, which its z does not hold: "
                "--class=NAME is that of all images"
            )
        self._label = label
        if "z" not in self._inputs:
            raise ValueError(f"{model.config.variant} has no latents z to be added")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.model.spec[self._field].shape

    @functools.cached_property
    def _inputs(self):
        return self.model.inputs(1, label=self._label)

    def of_seed(self, seed: int, n: int = 1, label: Label | None = None) -> np.ndarray:
        """Returns the codes of n samples of a seed."""
        del label  # that of all
        return self.model.inputs(n, seed=seed, label=self._label)["z"]

    def images(self, codes: np.ndarray) -> np.ndarray:
        """Returns the images [n, H, W, C] of z [n, L], clipped to [-1, 1]."""
        n = len(codes)
        inputs = {name: np.repeat(x, n, 0) for name, x in self._inputs.items()}
        inputs["z"] = np.asarray(codes, self._inputs["z"].dtype)
        size, draws = BATCH, np.zeros(n, np.uint32)
        parts = self.model.batches(inputs, size=size, draws=draws)
        return np.clip(np.concatenate([part[self._field] for part in parts]), -1, 1)


def of(model: Model, label: str | None = None) -> Codes:
    """Returns the codes of a model.

    label: the class of all samples, where there are classes; None: as the model
    chooses. Raises ValueError for several, and for a model that has no codes.
    """
    label = asked.classes(model.spec, label)
    if isinstance(label, list):
        if len(label) > 1:
            raise ValueError(f"--class={','.join(map(str, label))}: wanted one class")
        (label,) = label
    return (W if has_mapping(model.gan) else Z)(model, label)
