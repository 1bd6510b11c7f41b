"""What generators with a mapping network share, and with noise (arXiv 1812.04948)."""

from collections.abc import Mapping as Named

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers.styled import Mapping, truncated
from gans.sharding import split

NOISE = ("random", "const", "none")


class MappedGenerator(nn.Module):
    """z [B, L] -> images [B, *shape], by way of w; a network adds `synthesis`.

    It also adds `n_ws`, the number of w that this takes, and calls `prepare_mapping` in
    its `setup`.

    Attributes:
      shape: (H, W, C).
      n_classes: number of classes, if conditional.
      w_dim: length of w, and width of the mapping network.
      mapping_layers: its depth.
    """

    shape: tuple[int, int, int]
    n_classes: int | None = None
    w_dim: int = 512
    mapping_layers: int = 8

    streams = ()
    pace = 0.005  # of the average w, see `mapping`

    def prepare_mapping(self, **options) -> None:
        """Makes the mapping network, with options of `Mapping`, and the average w."""
        for name in ("w_dim", "mapping_layers"):
            names.number(getattr(self, name), lambda n: n >= 1, name, "of at least 1")
        self.w = Mapping(
            self.w_dim, self.mapping_layers, self.n_classes, name="mapping", **options
        )
        self.w_avg = self.variable("style", "w_avg", jnp.zeros, (self.w_dim,))

    def __call__(
        self,
        z: Array,
        label: Array | None = None,
        *,
        train: bool,
        truncation: Array | None = None,
    ) -> Array:
        """Returns images [B, *shape]; truncation: psi [B] of `truncated`."""
        ws = self._used(z, label, train)
        if truncation is not None:
            ws = truncated(ws, self.w_avg.value, truncation)
        return self.synthesis(ws, train=train)

    def mapping(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        """z [B, L] -> ws [B, n_ws, w_dim], the same for each layer.

        In training, the average w moves by `pace` of its distance to the batch's mean.
        """
        w = self.w(z, label)
        moves = train and self.is_mutable_collection("style")
        if moves and not self.is_initializing():
            new = jax.lax.stop_gradient(w).mean(axis=0)
            self.w_avg.value += self.pace * (new - self.w_avg.value)
        return jnp.repeat(w[:, None], self.n_ws, axis=1)

    def _used(self, z, label, train):
        """The ws of which images are made."""
        return self.mapping(z, label, train=train)


class StyledGenerator(MappedGenerator):
    """A `MappedGenerator` with noise and style mixing.

    It calls `prepare` in place of `prepare_mapping`. Random streams: "noise" and, in
    training with `mixing`, "mixing".

    Attributes:
      mixing: in training, the probability that the last layers of a batch, from a
        random one on, take the w of a second z (arXiv 1812.04948, section 3.1).
    """

    mixing: float = 0.9

    streams = ("noise", "mixing")

    def prepare(self, planes: Named[str, tuple[int, int]], **options) -> None:
        """Makes the mapping network, the average w [w_dim], the stored noise [H, W].

        Args:
          planes: of the noise, one for each layer: {name: (H, W)}.
          options: of `Mapping`.
        """
        names.number(self.mixing, lambda p: (0 <= p) & (p <= 1), "mixing", "in [0, 1]")
        self.prepare_mapping(**options)
        self.planes = [
            self.variable("noise", name, self._noise, plane)
            for name, plane in planes.items()
        ]

    def styles(
        self,
        z: Array,
        label: Array | None = None,
        key: Array | None = None,
        *,
        train: bool,
    ) -> Array:
        """As `mapping`, in training mixed: z [B, L] -> ws [B, n_ws, w_dim].

        key: of the second z, of whether there is mixing, and from which layer on; None:
          the stream "mixing".
        """
        ws = self.mapping(z, label, train=train)
        if not (train and self.mixing):
            return ws
        key = self.make_rng("mixing") if key is None else key
        key_z, key_coin, key_cut = jax.random.split(key, 3)
        other = self.w(split(jax.random.normal(key_z, z.shape, z.dtype)), label)
        mixes = jax.random.bernoulli(key_coin, self.mixing)
        cut = jax.random.randint(key_cut, (), 1, self.n_ws)
        layer = jnp.arange(self.n_ws)[:, None]
        return jnp.where(mixes & (layer >= cut), other[:, None], ws)

    def _used(self, z, label, train):
        return self.styles(z, label, train=train)

    def noises(self, noise: str, n: int) -> list[Array | None]:
        """Returns for each layer [H, W, 1], [n, H, W, 1] or None.

        noise: "random", "const" (planes [H, W] that were drawn once and are stored in
          the collection "noise") or "none".
        """
        names.check(noise, NOISE, "noise")
        planes = [plane.value[..., None] for plane in self.planes]
        if noise == "const":
            return planes
        if noise == "none":
            return [None] * len(planes)
        # Of one draw, because a compiler takes as long for each as for a layer; and in
        # a loop, because XLA would compute it again for each channel and tap.
        ends = np.cumsum([plane.size for plane in planes])
        keys = jax.random.split(self.make_rng("noise"))
        halves = jax.lax.map(
            lambda key: jax.random.normal(key, (n, ends[-1] // len(keys))), keys
        )
        parts = jnp.split(jnp.concatenate([*halves], axis=1), ends[:-1], axis=1)
        pairs = zip(parts, planes, strict=True)
        return [part.reshape(n, *plane.shape) for part, plane in pairs]

    def _noise(self, shape):
        return jax.random.normal(self.make_rng("noise"), shape)
