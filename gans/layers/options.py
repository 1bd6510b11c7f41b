"""The options that all layers of a network share, and the layers made with them."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers import norms
from gans.layers.equalised import Equalised
from gans.layers.initial import initialiser
from gans.layers.minibatch import find, with_minibatch
from gans.layers.spectral import SpectralNorm

Named = str | Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Layers:
    """How a network makes its layers; given to the network as `layers`.

    Attributes:
      norm: a file of `gans.layers.norms`, as "NAME" or {"name": NAME, **options}; None
        for no normalisation.
      spectral: spectral normalisation of every kernel (arXiv 1802.05957).
      equalised: equalised learning rate of every kernel (arXiv 1710.10196); kernels
        start from N(0, 1), regardless of kernel_init.
      kernel_init: the initialiser of kernels, a name of `gans.layers.initial`; None for
        the network's own.
      minibatch: features of the whole batch, "stddev" or "discrimination", in the same
        form as `norm`; None for none.
      dropout: the share of features that is dropped in training; needs a `key`.
      dtype: of the computation; parameters stay float32.

    Raises ValueError for spectral and equalised together, and for batch features that
    there are not.
    """

    norm: Named | None = dataclasses.field(default=None, hash=False)
    spectral: bool = False
    equalised: bool = False
    kernel_init: str | None = None
    minibatch: Named | None = dataclasses.field(default=None, hash=False)
    dropout: float = dataclasses.field(default=0.0, hash=False)
    dtype: Any = jnp.float32

    def __post_init__(self):
        if self.minibatch is not None:
            find(self.minibatch)
        if self.spectral and self.equalised:
            raise ValueError(
                "spectral=True and equalised=True: spectral norm divides a kernel by "
                "its own scale, equalised or not; accepted is one of the two"
            )

    def replace(self, **options) -> "Layers":
        """Returns a copy with other options."""
        return dataclasses.replace(self, **options)

    @property
    def mixes_batch(self) -> bool:
        """Whether an example's result depends on the others of its batch."""
        return self.norm_mixes_batch or self.minibatch is not None

    @property
    def norm_mixes_batch(self) -> bool:
        """Whether the norm takes statistics of the whole batch."""
        return norms.find(self.norm)[0].mixes_batch

    @property
    def per_class(self) -> bool:
        """Whether the norm's gain and bias can depend on the label."""
        return norms.find(self.norm)[0].per_class

    @property
    def n_reference(self) -> int:
        """The size of the norm's reference batch; 0 for a norm without one."""
        return norms.find(self.norm)[1].get("n_reference", 0)

    def factory(
        self,
        module: nn.Module,
        train: bool,
        *,
        kernel_init: str,
        n_classes: int | None = None,
        gain_init: nn.initializers.Initializer = nn.initializers.ones,
    ) -> "Factory":
        """Returns the factory of the layers of `module`, inside its compact method.

        Args:
          module: the network. Its class attribute `slots` names the fields of `Layers`
            that it has a use for.
          train: whether this is a training pass.
          kernel_init: the network's own initialiser.
          n_classes: number of classes if the norms' gains depend on the label.
          gain_init: initialiser of the norms' gains.

        Raises ValueError for an option that the network has no slot for, and for an
        unknown norm or initialiser.
        """
        cls = type(module)
        given = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in cls.slots
            and getattr(self, field.name) != field.default
        }
        file = cls.__module__.rpartition(".")[2]
        names.options(cls.slots, given, f"{file}.{cls.__name__}")
        norm, options = norms.find(self.norm, cls.__name__)
        return Factory(
            self,
            module,
            train,
            initialiser(self.kernel_init or kernel_init),
            dataclasses.replace(norm, options=options),  # defaults and given ones
            n_classes,
            gain_init,
        )


@dataclasses.dataclass(frozen=True)
class Factory:
    """Makes the layers of one pass through a network; see `Layers.factory`."""

    layers: Layers
    module: nn.Module
    train: bool
    kernel_init: nn.initializers.Initializer
    kind: norms.Norm
    n_classes: int | None
    gain_init: nn.initializers.Initializer

    def __call__(
        self, cls: type[nn.Module], *args, name: str, gain: float = 2**0.5, **kwargs
    ) -> Callable[[Array], Array]:
        """Returns the layer cls(*args, **kwargs): x [B, ...] -> y [B, ...].

        It has the dtype and the initialiser of these layers, and its kernel is
        spectrally normalised or equalised where they say so. `gain` is that of
        `Equalised`: sqrt(2) before a ReLU, 1 before none.
        """
        kwargs.setdefault("dtype", self.layers.dtype)
        if any(field.name == "kernel_init" for field in dataclasses.fields(cls)):
            kwargs.setdefault("kernel_init", self.kernel_init)
        if self.layers.spectral:
            layer = SpectralNorm(cls(*args, parent=None, **kwargs), name=name)
            return functools.partial(layer, train=self.train)
        if self.layers.equalised:
            return Equalised(cls(*args, parent=None, **kwargs), gain, name=name)
        return cls(*args, name=name, **kwargs)

    def begin(self, x: Array) -> tuple[Array, int]:
        """x [B, ...], the network's input -> ([R + B, ...], R).

        The network runs on all of these rows and drops the first R of its result. R is
        0 but for norms with a reference batch.
        """
        if self.kind.begin is None:
            return x, 0
        return self.kind.begin(self.module, x, self.train, **self.kind.options)

    def norm(self, x: Array, name: str, label: Array | None = None) -> Array:
        """x [B, ..., C] -> the same shape, normalised; x itself without a norm."""
        dtype = self.layers.dtype
        place = norms.Place(name, self.train, dtype, self.n_classes, self.gain_init)
        return self.kind.apply(x, label, place, **self.kind.options)

    def minibatch(self, x: Array) -> Array:
        """x [B, N] -> [B, N + M], with the features of the batch appended."""
        return with_minibatch(x, self.layers.minibatch)

    def dropout(
        self, x: Array, name: str | None = None, *, always: bool = False
    ) -> Array:
        """x [B, ...] -> the same shape, with dropout in training, or always."""
        off = not (self.train or always)
        return nn.Dropout(self.layers.dropout, deterministic=off, name=name)(x)
