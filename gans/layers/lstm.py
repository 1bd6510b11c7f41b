"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gates: Gers 2000).

With gates in the order i, f, g, o, as Keras and PyTorch have it,

    z_t = x_t W + h_(t-1) R + b
    c_t = sigmoid(z_f) c_(t-1) + sigmoid(z_i) tanh(z_g)
    h_t = sigmoid(z_o) tanh(c_t)

Only h R is inside the loop over time: x W is one product of all steps before it, and
the gradient of R one product after it. All four gates are one tanh, as
sigmoid(z) = (1 + tanh(z / 2)) / 2, which XLA makes a third of the time of the others.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

GATES = 4


class LSTM(nn.Module):
    """x [T, B, C] -> h of all steps [T, B, units] float32; time is the first axis.

    Attributes:
      units: of h and c.
      reverse: time runs backwards; step t of the output is still that of x[t].
      repeat: each step of x is read so many times: T becomes repeat T. The product with
        x is made once for all of them.
      dropout, recurrent_dropout: of x and of h, in training, from the stream "dropout":
        one mask for each gate, the same in all steps (arXiv 1512.05287, with "untied
        weights").
      dtype: of the product with x; the recurrence is float32 or better.
    """

    units: int
    reverse: bool = False
    repeat: int = 1
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        kernel = self.param(
            "kernel",
            nn.initializers.glorot_uniform(),
            (x.shape[-1], GATES * self.units),
        )
        recurrent = self.param(
            "recurrent_kernel",
            nn.initializers.orthogonal(),
            (self.units, GATES * self.units),
        )
        bias = self.param("bias", _forget_one, (GATES * self.units,))
        of_x = self._mask(self.dropout, x.shape[1:], train)
        of_h = self._mask(self.recurrent_dropout, (x.shape[1], self.units), train)
        z = product(x.astype(self.dtype), kernel.astype(self.dtype), of_x)
        z = z.astype(jnp.promote_types(z.dtype, jnp.float32)) + bias
        if self.repeat > 1:
            z = jnp.repeat(z, self.repeat, axis=0)
        return recurrence(z, recurrent, of_h, self.reverse)

    def _mask(self, rate, shape, train):
        """[gates, B, C]: 0, or 1 / (1 - rate); None where nothing is dropped."""
        if not train or rate == 0:
            return None
        key = self.make_rng("dropout")
        return jax.random.bernoulli(key, 1 - rate, (GATES, *shape)) / (1 - rate)


class Bidirectional(nn.Module):
    """x [T, B, C] -> [T, B, 2 units]: forwards, then backwards in time.

    The attributes are those of `LSTM`.
    """

    units: int
    repeat: int = 1
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        return jnp.concatenate(
            [
                LSTM(
                    self.units,
                    reverse,
                    self.repeat,
                    self.dropout,
                    self.recurrent_dropout,
                    self.dtype,
                    name=name,
                )(x, train=train)
                for name, reverse in (("forward", False), ("backward", True))
            ],
            axis=-1,
        )


def _forget_one(key, shape, dtype=jnp.float32):
    """Biases of 0, and of 1 for the forget gates."""
    return jnp.zeros((GATES, shape[0] // GATES), dtype).at[1].set(1).reshape(shape)


def product(x: Array, w: Array, masks: Array | None = None) -> Array:
    """x [..., B, C] and w [C, gates U] -> [..., B, gates U].

    masks: [gates, B, C], by which x is multiplied for each gate; None: by 1.
    """
    if masks is None:
        return x @ w
    of_gates = jnp.split(w, GATES, axis=-1)
    masks = masks.astype(x.dtype)
    return jnp.concatenate(
        [(x * mask) @ of_gate for mask, of_gate in zip(masks, of_gates, strict=True)],
        axis=-1,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def recurrence(
    z: Array, r: Array, masks: Array | None = None, reverse: bool = False
) -> Array:
    """z [T, B, 4 U], the product with x and the bias -> h [T, B, U].

    r: [U, 4 U]; masks: see `product`; reverse: whether time runs backwards.
    """

    def step(carry, z):
        h, c = carry
        h, c = _cell(_gates(z + product(h, r, masks)), c)
        return (h, c), h

    return jax.lax.scan(step, _zeros(z, r), z, reverse=reverse)[1]


def _forward(z, r, masks, reverse):
    """`recurrence`, and what its derivative needs."""

    def step(carry, z):
        h, c = carry
        gates = _gates(z + product(h, r, masks))
        new = _cell(gates, c)
        return new, (new[0], (h, c, gates))

    h, saved = jax.lax.scan(step, _zeros(z, r), z, reverse=reverse)[1]
    return h, (saved, r, masks)


def _backward(reverse, saved, given):
    """The gradients of z, r and masks (which have none) for that of h."""
    (h, c, gates), r, masks = saved  # h and c of before each step
    transposed = _split(r.T, 0)  # of each gate [U, U]

    def back(dz):
        if masks is None:
            return dz @ r.T
        parts = zip(_split(dz, -1), transposed, masks, strict=True)
        return sum((part @ w) * mask for part, w, mask in parts)

    def step(carry, saved):
        dh, dc = carry
        given, gates, c = saved
        i, f, g, o = _split(gates, -1)
        dh = dh + given
        squashed = jnp.tanh(f * c + i * g)
        dc = dc + dh * o * (1 - squashed**2)
        dz = jnp.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c * f * (1 - f),
                dc * i * (1 - g**2),
                dh * squashed * o * (1 - o),
            ],
            axis=-1,
        )
        return (back(dz), dc * f), dz

    inputs = given, gates, c
    dz = jax.lax.scan(step, _zeros(h, r), inputs, reverse=not reverse)[1]
    if masks is None:
        dr = jnp.einsum("tbu,tbv->uv", h, dz)
    else:
        parts = zip(masks, _split(dz, -1), strict=True)
        dr = [jnp.einsum("tbu,tbv->uv", h * mask, part) for mask, part in parts]
        dr = jnp.concatenate(dr, axis=-1)
    return dz, dr, None if masks is None else jnp.zeros_like(masks)


recurrence.defvjp(_forward, _backward)


def _zeros(x, r):
    """The first h and c [B, U]."""
    zeros = jnp.zeros((x.shape[1], len(r)), x.dtype)
    return zeros, zeros


def _split(x, axis):
    return jnp.split(x, GATES, axis=axis)


def _gates(z):
    """The four gates [B, 4 U] after their nonlinearity."""
    scale = jnp.repeat(jnp.array([0.5, 0.5, 1, 0.5], z.dtype), z.shape[-1] // GATES)
    return jnp.tanh(z * scale) * scale + (1 - scale)


def _cell(gates, c):
    """The next h and c [B, U]."""
    i, f, g, o = _split(gates, -1)
    c = f * c + i * g
    return o * jnp.tanh(c), c
