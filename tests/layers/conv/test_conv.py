"""Convolutions and their derivatives in float64 against those of lax and Flax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from gans.layers.conv import Conv, ConvTranspose, conv, conv_transpose

# Ten times less to compile, and the operations are the same.
quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def lax_conv(x, w, strides, padding, groups):
    axes = "DHW"[-(x.ndim - 2) :]
    return lax.conv_general_dilated(
        x,
        w,
        strides,
        padding,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=groups,
    )


def derivatives(f, x, w):
    """The value of f; both gradients; their jvp; the gradients of their norm."""

    def gradients(x, w):
        return jax.grad(lambda x, w: jnp.sum(f(x, w) ** 3), (0, 1))(x, w)

    def norm(x, w):
        return jnp.sqrt(sum(jnp.sum(g**2) for g in gradients(x, w)))

    vjp, jvp_of_vjp = jax.jvp(gradients, (x, w), (jnp.cos(x), jnp.sin(w)))
    return f(x, w), vjp, jvp_of_vjp, jax.grad(norm, (0, 1))(x, w)


def error(f, reference, x, w):
    """The largest difference of any derivative, of the largest number in it."""

    @quick_jit
    def both(x, w):
        return derivatives(f, x, w), derivatives(reference, x, w)

    a, b = jax.device_get(both(x, w))
    assert jax.tree.map(jnp.shape, a) == jax.tree.map(jnp.shape, b)
    errors = jax.tree.map(lambda a, b: abs(a - b).max() / abs(b).max(), a, b)
    return max(jax.tree.leaves(errors))


PAIRS = [(2, 0), (1, 3)]


@pytest.mark.parametrize(
    "space, kernel, strides, padding, channels, groups",
    [
        ((6, 5), (1, 1), (2, 2), "SAME", (5, 6), 1),
        ((7, 6), (3, 3), (1, 1), "SAME", (5, 6), 1),
        ((7, 6), (3, 3), (2, 2), "SAME", (3, 6), 1),
        ((8, 8), (4, 4), (2, 2), "SAME", (3, 5), 1),
        ((8, 7), (4, 4), (2, 2), PAIRS, (5, 6), 1),
        ((9, 9), (5, 5), (3, 3), "VALID", (5, 5), 1),
        ((8, 6), (7, 1), (1, 1), PAIRS, (5, 3), 1),
        ((4, 4), (4, 4), (1, 1), "VALID", (5, 1), 1),
        ((6, 7), (2, 3), (2, 1), "SAME", (1, 5), 1),
        ((6, 6), (3, 3), (2, 2), [(-1, 1), (0, -2)], (5, 5), 1),
        ((6, 5), (3, 3), (1, 1), "SAME", (4, 6), 2),
        ((6, 5), (3, 2), (2, 2), "SAME", (6, 6), 6),
        ((11,), (5,), (3,), [(0, 2)], (2, 5), 1),
        ((4, 5, 3), (3, 3, 3), (1, 1, 1), "SAME", (2, 3), 1),
        ((4, 6, 4), (4, 4, 4), (2, 2, 2), "SAME", (2, 5), 1),
        ((5, 4, 6), (3, 1, 3), (2, 1, 2), "SAME", (5, 2), 1),
    ],
)
def test_conv(float64, space, kernel, strides, padding, channels, groups):
    x = normal(0, 2, *space, channels[0])
    w = normal(1, *kernel, channels[0] // groups, channels[1])
    assert error(
        lambda x, w: conv(
            x, w, strides=strides, padding=padding, feature_group_count=groups
        ),
        lambda x, w: lax_conv(x, w, strides, padding, groups),
        x,
        w,
    ) < 1e-10  # fmt: skip


@pytest.mark.parametrize(
    "space, kernel, strides, padding, transpose_kernel",
    [
        ((4, 3), (4, 4), (2, 2), "SAME", False),
        ((3, 4), (3, 3), (2, 2), "SAME", False),
        ((3, 4), (5, 5), (2, 2), "SAME", True),
        ((3, 4), (3, 3), (1, 1), PAIRS, True),
        ((3, 3), (2, 2), (3, 3), "VALID", False),
        ((1, 1), (4, 4), (1, 1), "VALID", False),
        ((6,), (5,), (2,), [(3, 1)], False),
        ((2, 3, 2), (4, 4, 4), (2, 2, 2), "SAME", False),
    ],
)
def test_conv_transpose(float64, space, kernel, strides, padding, transpose_kernel):
    x = normal(0, 2, *space, 5)
    w = normal(1, *kernel, *((3, 5) if transpose_kernel else (5, 3)))
    assert error(
        lambda x, w: conv_transpose(
            x, w, strides=strides, padding=padding, transpose_kernel=transpose_kernel
        ),
        lambda x, w: lax.conv_transpose(
            x, w, strides, padding, transpose_kernel=transpose_kernel
        ),
        x,
        w,
    ) < 1e-10  # fmt: skip


@pytest.mark.parametrize("space, kernel", [((6, 5), (3, 3)), ((5, 6), (5, 4))])
def test_reflection(float64, space, kernel):
    x, w = normal(0, 2, *space, 3), normal(1, *kernel, 3, 4)
    pads = [(0, 0), *(((k - 1) // 2, k // 2) for k in kernel), (0, 0)]

    def expected(x, w, mode):
        return lax_conv(jnp.pad(x, pads, mode=mode), w, (1, 1), "VALID", 1)

    def ours(x, w):
        return conv(x, w, padding="REFLECT")

    assert error(ours, lambda x, w: expected(x, w, "reflect"), x, w) < 1e-12
    # The edge itself is not repeated.
    assert error(ours, lambda x, w: expected(x, w, "symmetric"), x, w) > 1e-2


def test_reflection_needs_pixels():
    with pytest.raises(ValueError, match="by 1 needs more than 1 pixels along axis 2"):
        conv(X[:, :, :1], W, padding="REFLECT")
    with pytest.raises(ValueError, match="conv_transpose: padding='REFLECT', accepted"):
        conv_transpose(X, W, padding="REFLECT")


def test_error_sees_a_shifted_window(float64):
    x, w = normal(0, 2, 6, 5, 5), normal(1, 3, 3, 5, 6)
    found = error(
        lambda x, w: conv(x, w, padding=[(0, 2), (1, 1)]),
        lambda x, w: lax_conv(x, w, (1, 1), "SAME", 1),
        x,
        w,
    )
    assert found > 1e-2


def test_grouped_conv_transpose_is_one_per_group(float64):
    x, w = normal(0, 2, 4, 4, 6), normal(1, 4, 4, 3, 4)
    y = conv_transpose(x, w, strides=2, feature_group_count=2)
    halves = [
        lax.conv_transpose(x[..., i], w[..., o], (2, 2), "SAME")
        for i, o in [(slice(3), slice(2)), (slice(3, 6), slice(2, 4))]
    ]
    np.testing.assert_allclose(y, jnp.concatenate(halves, -1), atol=1e-12)


@pytest.mark.parametrize(
    "name, kwargs",
    [
        ("Conv", {}),
        ("Conv", {"strides": 2, "padding": 1, "use_bias": False}),
        ("Conv", {"strides": (2, 1), "padding": (1, (2, 0)), "feature_group_count": 2}),
        ("Conv", {"padding": "VALID", "dtype": jnp.bfloat16}),
        ("Conv", {"padding": "REFLECT"}),
        ("Conv", {"padding": "REFLECT", "strides": 2}),
        ("ConvTranspose", {}),
        ("ConvTranspose", {"strides": (2, 2), "transpose_kernel": True}),
        ("ConvTranspose", {"strides": (2, 1), "padding": (1, (2, 0))}),
        ("ConvTranspose", {"padding": "VALID", "param_dtype": jnp.bfloat16}),
    ],
)
def test_modules_are_those_of_flax(name, kwargs):
    ours = {"Conv": Conv, "ConvTranspose": ConvTranspose}[name](6, (3, 4), **kwargs)
    assert_same_layer(ours, getattr(nn, name)(6, (3, 4), **kwargs), (2, 8, 7, 4))


@pytest.mark.parametrize(
    "kernel, shape", [(3, (2, 9, 4)), ((3, 3), (7, 6, 4)), ((3, 3), (2, 3, 7, 6, 4))]
)
def test_kernels_of_one_axis_and_other_leading_axes(kernel, shape):
    assert_same_layer(Conv(6, kernel), nn.Conv(6, kernel), shape)
    assert_same_layer(ConvTranspose(6, kernel), nn.ConvTranspose(6, kernel), shape)


def assert_same_layer(ours, theirs, shape):
    x = normal(0, *shape).astype(jnp.float32)

    @quick_jit
    def run(x):
        variables = ours.init(jax.random.key(0), x)
        expected = theirs.init(jax.random.key(0), x)
        return variables, expected, ours.apply(variables, x), theirs.apply(expected, x)

    variables, expected, y, z = run(x)
    jax.tree.map(np.testing.assert_array_equal, variables, expected)
    assert y.dtype == z.dtype
    tolerance = 1e-5 if y.dtype == jnp.float32 else 2**-7
    np.testing.assert_allclose(
        np.float32(y), np.float32(z), atol=tolerance, rtol=tolerance
    )


@pytest.mark.parametrize(
    "space, kernel, strides, channels, groups",
    [
        ((8, 8), (3, 3), 1, (8, 8), 1),
        ((8, 8), (3, 3), 1, (8, 3), 1),
        ((8, 8), (4, 4), 2, (3, 8), 1),
        ((4, 4), (4, 4), 1, (8, 1), 1),
        ((8, 8), (4, 4), 1, (8, 8), 8),
    ],
)
def test_bfloat16_to_its_rounding(space, kernel, strides, channels, groups):
    padding = "VALID" if space == kernel else "SAME"
    x = normal(0, 2, *space, channels[0]).astype(jnp.bfloat16)
    w = normal(1, *kernel, channels[0] // groups, channels[1]).astype(jnp.bfloat16)

    def f(x, w):
        return conv(
            x, w, strides=strides, padding=padding, feature_group_count=groups
        )  # fmt: skip

    @quick_jit
    def maps(x, w, cotangent):
        y, vjp = jax.vjp(f, x, w)
        return y, *vjp(cotangent)

    operands = [x, w, normal(2, *jax.eval_shape(f, x, w).shape).astype(jnp.bfloat16)]
    exact = maps(*map(np.float32, operands))
    for a, b in zip(maps(*operands), exact, strict=True):
        assert a.dtype == jnp.bfloat16
        a, b = np.float32(a), np.float32(b)
        # One rounding to 8 bits, of numbers that are themselves sums to float32.
        np.testing.assert_allclose(a, b, rtol=2**-8, atol=1e-4 * abs(b).max())


X, W = np.zeros((2, 8, 8, 4), np.float32), np.zeros((3, 3, 4, 6), np.float32)


@pytest.mark.parametrize("f", [conv, conv_transpose])
@pytest.mark.parametrize(
    "x, w, kwargs, message",
    [
        (X, W, {"padding": "SAM"}, "padding='SAM'.*'SAME', 'VALID'"),
        (X, W, {"padding": [(1, 1)]}, "2 entries"),
        (X, W, {"strides": (2, 2, 2)}, r"strides=\(2, 2, 2\)"),
        (X, W, {"strides": 0}, "positive"),
        (X[..., :3], W, {}, "has 3 channels.*takes 4"),
        (X[0], W, {}, "axes"),
        (X[:, :1], W, {"padding": -1}, "too small"),
    ],
)
def test_bad_input_is_named(f, x, w, kwargs, message):
    with pytest.raises(ValueError, match=f"{f.__name__}: .*{message}"):
        f(x, w, **kwargs)


def test_dtypes_must_agree():
    with pytest.raises(TypeError, match="float32.*bfloat16"):
        conv(X, W.astype(jnp.bfloat16))


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="4 channels.*feature_group_count=3"):
        Conv(6, (3, 3), feature_group_count=3).init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="conv: .*feature_group_count=4"):
        conv(X, np.zeros((3, 3, 1, 6), np.float32), feature_group_count=4)
