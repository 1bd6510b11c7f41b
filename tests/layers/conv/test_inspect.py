"""What the checker finds in plain layers, and that it finds nothing in ours."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from jax import lax

from gans.layers.conv import Conv, ConvTranspose
from gans.layers.conv.inspect import slow_convolutions


def penalised(layer, shape):
    """A loss of a layer's gradient norm, as in WGAN-GP; its arguments, as shapes."""
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    variables = jax.eval_shape(layer.init, jax.random.key(0), x)

    def total(variables, x):
        return jnp.sum(layer.apply(variables, x) ** 2)

    def loss(variables, x):
        return total(variables, x) + jnp.sum(jax.grad(total, 1)(variables, x) ** 2)

    return loss, (variables, x)


def found(f, *args):
    program = jax.jit(f).trace(*args).lower(lowering_platforms=("cpu",))
    return slow_convolutions(program.as_text())


LAYERS = [
    ("ConvTranspose", (4, 4), {"strides": (2, 2)}, (2, 4, 4, 5)),
    ("ConvTranspose", (3, 3), {"strides": (2, 2)}, (2, 4, 4, 5)),
    ("ConvTranspose", (4, 4, 4), {"strides": (2, 2, 2)}, (2, 2, 2, 2, 5)),
    ("Conv", (4, 4), {"strides": 2}, (2, 8, 8, 3)),
    ("Conv", (3, 3), {"strides": 2}, (2, 8, 8, 5)),
    ("Conv", (3, 3), {}, (2, 2, 2, 5)),
    ("Conv", (5, 5), {"strides": 2}, (2, 4, 4, 5)),
    ("Conv", (4, 4), {"padding": ((3, 3), (3, 3))}, (2, 4, 4, 5)),
    ("Conv", (3, 3), {"feature_group_count": 2}, (2, 8, 8, 6)),
    ("Conv", (3, 3), {"feature_group_count": 6}, (2, 8, 8, 6)),
    ("Conv", (3, 3, 3), {"strides": 2}, (2, 4, 4, 4, 5)),
    ("Conv", 5, {}, (2, 8, 5)),
]


@pytest.mark.parametrize("name, kernel, kwargs, shape", LAYERS)
def test_only_plain_layers_are_slow(name, kernel, kwargs, shape):
    ours = {"Conv": Conv, "ConvTranspose": ConvTranspose}[name](6, kernel, **kwargs)
    loss, args = penalised(ours, shape)
    assert found(jax.grad(loss), *args) == []
    loss, args = penalised(getattr(nn, name)(6, kernel, **kwargs), shape)
    assert found(jax.grad(loss), *args)


def test_control_flow_and_vmap_stay_quick():
    loss, (variables, x) = penalised(Conv(6, (4, 4), strides=2), (2, 8, 8, 3))
    seeds = jax.tree.map(
        lambda p: jax.ShapeDtypeStruct((2, *p.shape), p.dtype), variables
    )

    def train(variables, x, due):
        def step(variables, _):
            gradient = jax.vmap(jax.grad(loss), (0, None))(variables, x)
            return jax.tree.map(jnp.subtract, variables, gradient), None

        variables, _ = lax.scan(step, variables, length=3)
        return lax.cond(due, lambda v: step(v, None)[0], lambda v: v, variables)

    assert found(train, seeds, x, True) == []


@pytest.mark.parametrize(
    "reason, shape, kernel, kwargs",
    [
        ("layout not canonical", (8, 4, 4, 2), (4, 4, 8, 3),
         {"dimension_numbers": ("CHWN", "HWIO", "NHWC"), "padding": "SAME"}),
        ("grouped", (2, 4, 4, 8), (3, 3, 4, 6),
         {"feature_group_count": 2, "padding": "SAME"}),
        ("dilated volume", (2, 3, 3, 3, 5), (4, 4, 4, 5, 6),
         {"lhs_dilation": (1, 2, 1), "padding": [(1, 1)] * 3}),
        ("kernel larger than the image", (2, 8, 4, 3), (5, 5, 3, 6),
         {"padding": "SAME"}),
    ],
)  # fmt: skip
def test_reasons(reason, shape, kernel, kwargs):
    axes = "DHW"[-(len(shape) - 2) :]
    kwargs = {"dimension_numbers": (f"N{axes}C", f"{axes}IO", f"N{axes}C")} | kwargs

    def f(x, w):
        return lax.conv_general_dilated(x, w, (1,) * len(axes), **kwargs)

    (line,) = found(f, *(jax.ShapeDtypeStruct(s, jnp.float32) for s in (shape, kernel)))
    assert line.startswith(f"{reason}: %")


def test_other_programs_are_rejected():
    with pytest.raises(ValueError, match="not a StableHLO program: 'HloModule"):
        slow_convolutions(jax.jit(jnp.sin).lower(1.0).compile().as_text())
