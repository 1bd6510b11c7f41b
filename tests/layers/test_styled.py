"""Layers of StyleGAN: the authors' numbers, and what equalised parameters are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.layers import styled
from gans.layers.minibatch import MinibatchStdDev

QUICK = {"xla_backend_optimization_level": 0}
STORED = 2**-29  # half a unit of the authors' numbers, which have 28 bits


def error(ours, theirs):
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def test_the_authors_activations(style_reference):
    hyper, arrays = style_reference("ops_bias_act")
    arrays = {k: np.asarray(v, np.float64) for k, v in arrays.items()}

    def one(case):
        axis, default = case.get("dim", 1), hyper["defaults"][case["act"]]["def_gain"]
        x = np.moveaxis(arrays["in/x"], axis, -1)
        bias = arrays["in/b" if axis == 1 else "in/b_dim2"]
        y = styled.bias_act(
            x,
            bias if case.get("bias", True) else None,
            case["act"],
            gain=case.get("gain", default) / default,
            clamp=case.get("clamp"),
        )
        return jnp.moveaxis(y, -1, axis)

    # One case has another slope of the leaky ReLU, which is no option of ours.
    cases = [c for c in hyper["cases"] if (c["act"], c.get("alpha")) != ("lrelu", 0.3)]
    assert len(cases) == len(hyper["cases"]) - 1
    with jax.enable_x64(True):
        found = jax.jit(lambda: [one(c) for c in cases], compiler_options=QUICK)()
        for case, y in zip(cases, found, strict=True):
            assert error(np.asarray(y), arrays[f"out/{case['case']}"]) < STORED, case
        clamped = next(c for c in cases if (c["act"], c.get("clamp")) == ("lrelu", 0.8))
        for change in ({"clamp": 0.85}, {"act": "relu"}, {"bias": False}):
            other = np.asarray(one(clamped | change))
            assert error(other, arrays[f"out/{clamped['case']}"]) > 1e-2


def test_the_authors_deviations_of_groups(style_reference):
    hyper, arrays = style_reference("ops_mbstd")
    x = np.moveaxis(np.asarray(arrays["in/x"], np.float64), 1, -1)
    # Ours appends one channel.
    cases = [c for c in hyper["cases"] if c["num_channels"] == 1]
    assert len(cases) == 3
    with jax.enable_x64(True):
        for case in cases:
            found = MinibatchStdDev(case["group_size"]).apply({}, x)[..., -1]
            theirs = arrays[f"out/{case['case']}"][:, 0]
            assert error(np.asarray(found), theirs) < STORED
        neighbours = x[[0, 2, 4, 6, 1, 3, 5, 7]]  # groups of others
        other = MinibatchStdDev(4).apply({}, neighbours)[..., -1]
        assert error(np.asarray(other), arrays["out/00"][:, 0]) > 1e-2
        flat = np.moveaxis(x, -1, 1).reshape(8, 36)
        found = np.asarray(styled.normalised(flat))
    assert error(found, arrays["out/normalize_2nd_moment"]) < STORED


def test_parameters_are_scaled_in_use():
    """A step of the parameters by d moves outputs by multiplier d sqrt(N) at most."""
    x = jnp.ones((2, 64))
    for multiplier in (1.0, 0.01):
        layer = styled.LinearEqualised(4096, multiplier)
        params = layer.init(jax.random.key(0), x)["params"]
        # Of N(0, 1 / multiplier^2), whatever the fan-in; used with deviation 1 / 8.
        assert np.std(params["kernel"]) == pytest.approx(1 / multiplier, rel=0.01)
        assert np.std(layer.apply({"params": params}, x)) == pytest.approx(1, rel=0.05)
        moved = jax.tree.map(lambda p: p + 1, params)
        change = layer.apply({"params": moved}, x) - layer.apply({"params": params}, x)
        # 64 kernels of 1 by multiplier / sqrt(64), and a bias of 1 by multiplier.
        np.testing.assert_allclose(change, multiplier * 9, rtol=1e-3)


def test_noise_has_one_strength_for_all_channels():
    layer = styled.StyledConv(3)
    rng = np.random.default_rng(0)
    shapes = (2, 4, 4, 5), (2, 6), (4, 4, 1)
    x, w, plane = (rng.normal(size=s).astype(np.float32) for s in shapes)
    params = layer.init(jax.random.key(0), x, w, None)["params"]
    without = layer.apply({"params": params}, x, w, None)
    # Its strength starts at 0.
    np.testing.assert_array_equal(layer.apply({"params": params}, x, w, plane), without)
    params = params | {"noise_strength": jnp.float32(0.5), "bias": jnp.full(3, 100.0)}
    # The bias keeps the leaky ReLU in its linear part, of gain sqrt(2).
    both = [layer.apply({"params": params}, x, w, p) for p in (plane, None)]
    expected = np.broadcast_to(0.5 * plane * 2**0.5, (2, 4, 4, 3))
    np.testing.assert_allclose(both[0] - both[1], expected, atol=1e-3)
