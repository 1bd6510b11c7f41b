"""The generator of a run that has a mapping network, with its averaged weights.

It is a Flax module with

    mapping(z [B, L], label=None, *, train) -> ws [B, n_ws, w_dim]
    synthesis(ws, *, train) -> images [B, H, W, C], nominally in [-1, 1]
    n_ws                       the number of latents of an image

and the mean of w as `w_avg` [w_dim] in its collection "style". One with noise has its
planes [H, W] in the collection "noise", and `synthesis` takes noise="const" for these.
One whose input can be moved and turned takes transform=[B, 3, 3], the inverse of what
is to happen to the image, of points (x, y, 1) in sides of the image from its middle.
Styles are linear in w: each is made by a dense layer called `affine`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax import Array

from experiments.sampling.model import Label, Model
from gans import core
from gans.data.spec import main_field

BATCH = 16  # images made at once
N_MAPPED = 1000  # latents mapped at once
N_STATISTICS = 10_000  # latents of which mean and deviation are taken
Noise = Any  # the planes, as the generator's collection "noise" has them


def network_of(gan: core.GAN) -> str:
    """Returns the name of the network with a mapping; ValueError without one."""
    for name, net in gan.nets.items():
        if hasattr(net.module, "mapping") and hasattr(net.module, "synthesis"):
            return name
    raise ValueError(
        "this model has no mapping network from z to w, as StyleGANs have; its networks"
        f" are {', '.join(gan.nets)}"
    )


def has_mapping(gan: core.GAN) -> bool:
    """Whether a network of the GAN has a mapping from z to w."""
    return any(hasattr(net.module, "mapping") for net in gan.nets.values())


def bound(gan: core.GAN, state: core.State) -> core.Bound:
    """Returns the generator with a mapping network, by the averaged weights."""
    return core.bind(gan, state, train=False, ema=True)[network_of(gan)]


def drawn(
    net: core.Bound, ws: Array, *, noise: str = "const", transform: Array | None = None
) -> Array:
    """Images [B, H, W, C] of ws [B, n_ws, w_dim], with noise, if any, that stands."""
    options = {"noise": noise} if "noise" in net.stats else {}
    if transform is not None:
        options["transform"] = transform
    return net(ws, method="synthesis", **options)


def check_moves(gan: core.GAN) -> None:
    """Raises ValueError unless the input of its generator can be moved and turned."""
    module = type(gan.nets[network_of(gan)].module)
    if "transform" not in inspect.signature(module.synthesis).parameters:
        file = module.__module__.rpartition(".")[2]
        raise ValueError(
            f"network={file!r}: its input cannot be moved and turned (its method "
            "synthesis takes no transform)"
        )


class Styled:
    """A generator with a mapping network; everything it takes and returns is numpy.

    Attributes:
      model: of the run.
      field: of the data that it makes, an image.
      n_ws, w_dim: of its latents.
    """

    def __init__(self, model: Model):
        self.model, self.field = model, main_field(model.spec)
        self.net = bound(model.gan, model.state)
        if model.spec[self.field].kind != "image":
            raise ValueError(f"this model makes {self.field}s; wanted images")
        self.n_ws = self.net.module.n_ws
        self._map = jax.jit(
            lambda kept, z, label: self._of(kept)(z, label, method="mapping")
        )
        self._synthesise = jax.jit(
            lambda kept, ws, transform: drawn(self._of(kept), ws, transform=transform)
        )
        self.w_dim = len(self.w_avg)

    @classmethod
    def load(cls, workdir: str, checkpoint: str | int | None = None) -> Styled:
        """Opens a run; raises ValueError if it has no mapping network."""
        return cls(Model.load(workdir, checkpoint))

    @property
    def kept(self) -> tuple[Any, Any]:
        """The generator's parameters and statistics."""
        return self.net.params, self.net.stats

    @functools.cached_property
    def digest(self) -> str:
        """What tells its weights from others."""
        digest = hashlib.sha256()
        for x in jax.tree.leaves(self.kept):
            digest.update(np.asarray(x).tobytes())
        return digest.hexdigest()[:16]

    def _of(self, kept):
        params, stats = kept
        return dataclasses.replace(self.net, params=params, stats=stats)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image [H, W, C]."""
        return self.model.spec[self.field].shape

    @property
    def noise(self) -> Noise:
        """The planes of its noise; {} without any."""
        return self.net.stats.get("noise", {})

    @functools.cached_property
    def w_avg(self) -> np.ndarray:
        """The mean of w [w_dim], as the training has kept it."""
        return np.asarray(self.net.stats["style"]["w_avg"])

    def synthesis(self, kept: Any, ws: Array, noise: Noise) -> Array:
        """Images [B, H, W, C] of ws and planes; to be traced and differentiated."""
        params, stats = kept
        stats = {**stats, "noise": noise} if "noise" in stats else stats
        return drawn(self._of((params, stats)), ws)

    def ws(
        self, seed: int, n: int = 1, label: Label | list[Label] | None = None
    ) -> np.ndarray:
        """Returns the latents [n, n_ws, w_dim] of n samples of a seed.

        They are those of `experiments.sample` with that seed.
        """
        inputs = self.model.inputs(n, seed=seed, label=label)
        return self.map(inputs["z"], inputs.get(self.label))

    def map(self, z: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
        """Returns latents [n, n_ws, w_dim] of z [n, L] of classes [n], or of one."""
        classes = None if classes is None else np.resize(classes, len(z))
        return np.asarray(self._map(self.kept, z, classes))

    def samples(
        self, n: int, label: Label | list[Label] | None = None, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns w [n, w_dim] of n samples, and their classes [n], or None.

        A sample has the same w in all layers.
        """
        inputs = self.model.inputs(n, seed=seed, label=label)
        z, classes, found = inputs["z"], inputs.get(self.label), []
        for start in range(0, n, N_MAPPED):
            rows = slice(start, start + N_MAPPED)
            asked = None if classes is None else classes[rows]
            found.append(self.map(z[rows], asked)[:, 0])
        return np.concatenate(found), classes

    @functools.cached_property
    def label(self) -> str | None:
        """The input that is a class; None for a model that is asked for none."""
        return next(iter(self.model.sampler().label_inputs), None)

    def truncated(self, ws: np.ndarray, psi: float | None) -> np.ndarray:
        """Returns w_avg + psi (ws - w_avg); psi None: ws."""
        return ws if psi is None else self.w_avg + psi * (ws - self.w_avg)

    def images(
        self,
        ws: np.ndarray,
        noise: Noise = None,
        transform: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns the images [n, H, W, C] of ws [n, n_ws, w_dim], clipped to [-1, 1].

        Its noise stands still: `noise`, or by default the planes of the model.
        transform: [n, 3, 3], of the generator's input.
        """
        params, stats = self.kept
        kept = params, {**stats, "noise": noise} if noise else stats
        n, made = min(BATCH, len(ws)), []
        for start in range(0, len(ws), n):
            rows = np.minimum(np.arange(start, start + n), len(ws) - 1)
            moved = None if transform is None else transform[rows]
            made.append(np.asarray(self._synthesise(kept, ws[rows], moved)))
        return np.clip(np.concatenate(made)[: len(ws)], -1, 1)

    def statistics(
        self, label: Label | list[Label] | None = None, n: int = N_STATISTICS
    ) -> tuple[np.ndarray, float]:
        """Returns the mean of w [w_dim] and its deviation, of n samples.

        The deviation is that of all dimensions together, the root of the mean of
        |w - mean|^2 (arXiv 1912.04958, appendix D).
        """
        return mean_and_deviation(self.samples(n, label)[0])

    def affines(self) -> list[tuple[int, np.ndarray]]:
        """Returns (layer, weight [w_dim, C]) of each dense layer from a w to a style.

        The layer is the number of its w. Weights are as they are used, scaled.
        """
        rows = np.eye(self.w_dim, dtype=np.float32)
        one = np.broadcast_to(rows[:, None], (self.w_dim, self.n_ws, self.w_dim))
        each = np.zeros((self.n_ws, self.n_ws, self.w_dim), np.float32)
        each[np.arange(self.n_ws), np.arange(self.n_ws)] = 1
        zero = np.zeros((1, self.n_ws, self.w_dim), np.float32)
        found = []
        for style in self._styles(self.kept, np.concatenate([zero, one, each])):
            change = np.asarray(style[1:] - style[:1])
            weight, of_layer = change[: self.w_dim], change[self.w_dim :]
            found.append((int(np.abs(of_layer).sum(1).argmax()), weight))
        return found

    @functools.cached_property
    def _styles(self):
        """(variables, ws) -> the styles [B, C] of all layers; images are not made."""

        @jax.jit
        def styles(kept, ws):
            found = []

            def record(call, args, kwargs, context):
                made = call(*args, **kwargs)
                if context.module.name == "affine":
                    found.append(made)
                return made

            with nn.intercept_methods(record):
                drawn(self._of(kept), ws, noise="none")
            return found

        return styles


def mean_and_deviation(w: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the mean [w_dim] of w [N, w_dim], and the root of the mean |w - mean|^2.

    In float64.
    """
    w = np.asarray(w, np.float64)
    mean = w.mean(0)
    return mean, float(np.sqrt(np.sum((w - mean) ** 2) / len(w)))
