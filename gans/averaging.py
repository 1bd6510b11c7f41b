"""Averaged networks made to fit: statistics of batch norm for an EMA of weights; and
averages of two networks."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from gans import core


def recalibrate(
    gan: core.GAN,
    state: core.State,
    key: Array,
    n: int,
    examples: Callable[[Array], dict[str, Array]],
    output: str = "sample",
    labels: Callable[[Array], dict[str, Array]] = lambda i: {},
) -> core.State:
    """The EMA with statistics of its own: those that its own parameters give.

    An average of parameters and an average of statistics match only roughly. Here the
    averaged networks make `n` passes in training mode, and the running statistics that
    result replace the averaged ones.

    Args:
      examples: i -> batch {field: [B, ...]} of the i-th pass; for models that are not
        conditioned on examples, any of the wanted number.
      output: the pass is this one's.
      labels: i -> {input: [B]}, the classes that the i-th pass asks for; what is not
        there the model chooses.
    """

    def one_pass(averages, i):
        key_i = jax.random.fold_in(key, i)
        key_inputs, key_output = jax.random.split(key_i)
        here = state.replace(ema=averages)
        changed = {name: {} for name in averages}
        nets = {
            name: _Recorder(**vars(net), changed=changed[name])
            if name in averages
            else dataclasses.replace(net, train=False)
            for name, net in core.bind(gan, here, train=True, ema=True).items()
        }
        inputs = {**gan.inputs(key_inputs, examples(i)), **labels(i)}
        gan.outputs[output](nets, inputs, key_output)
        new = {
            name: {**average, "stats": {**average["stats"], **changed[name]}}
            for name, average in averages.items()
        }
        return new, None

    averages, _ = jax.lax.scan(one_pass, state.ema, jnp.arange(n))
    return state.replace(ema=averages)


def between(a: core.State, b: core.State, share: float) -> core.State:
    """Network interpolation (arXiv 1809.00219, section 3.4): a + share (b - a).

    It is of the variables, averaged ones too, of the networks that both states have;
    the rest is b's. So a generator that was trained for small distances and one that
    was trained against a discriminator from there give all between them.

    Raises ValueError if they share no network, or where arrays of one differ in shape.
    """
    mixed = {}
    for part in ("params", "stats", "ema"):
        one, other = getattr(a, part), getattr(b, part)
        mixed[part] = dict(other)
        for name in one.keys() & other.keys():
            shapes = [jax.tree.map(jnp.shape, x[name]) for x in (one, other)]
            if shapes[0] != shapes[1]:
                raise ValueError(f"network {name!r}: its arrays differ in shape")
            mixed[part][name] = jax.tree.map(
                lambda x, y: (x + share * (y - x)).astype(y.dtype),
                one[name],
                other[name],
            )
    if not a.params.keys() & b.params.keys():
        raise ValueError("the two have no network in common")
    return b.replace(**mixed)


@dataclasses.dataclass(frozen=True)
class _Recorder(core.Bound):
    """Puts what a pass changes in the stats into `changed`."""

    changed: dict[str, Any] = dataclasses.field(default_factory=dict)

    def mutate(self, *args, **kwargs):
        out, stats = super().mutate(*args, **kwargs)
        self.changed.update(stats)
        return out, stats
