"""Instance norm: by hand, torch, batch norm at a batch of one, half precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers.norms import find
from gans.layers.norms.batch import BatchNorm
from gans.layers.norms.instance import InstanceNorm

KEY = jax.random.key(3)


def images(*shape, seed=0):
    return 2 * np.random.default_rng(seed).normal(size=shape).astype(np.float32) + 1


def test_by_hand():
    # 1, 3: mean 2, biased variance 1. 2, 2: no variance. One position: nothing is left.
    x = jnp.array([[[[1.0], [3.0]]], [[[2.0], [2.0]]]])
    y = InstanceNorm(epsilon=0.21).apply({}, x)
    np.testing.assert_allclose(y[..., 0], [[[-1 / 1.1, 1 / 1.1]], [[0, 0]]], rtol=1e-6)
    one = InstanceNorm().apply({}, x[:, :, :1])
    np.testing.assert_array_equal(one, np.zeros((2, 1, 1, 1)))
    grads = jax.grad(lambda x: InstanceNorm().apply({}, x)[1, 0, 0, 0])(x)
    assert np.isfinite(grads).all()


@pytest.mark.parametrize("affine", [False, True])
def test_torch(affine):
    torch = pytest.importorskip("torch", reason="extra `reference`")
    x, g = images(2, 4, 6, 5), images(2, 4, 6, 5, seed=1)
    layer = InstanceNorm(affine, nn.initializers.constant(3.0))
    variables = layer.init(KEY, x)
    assert variables.get("params", {}).keys() == (
        {"scale", "bias"} if affine else set()
    )

    def total(variables, x):
        return jnp.sum(layer.apply(variables, x) * g)

    ours = layer.apply(variables, x), jax.grad(total, 1)(variables, x)
    theirs = torch.nn.InstanceNorm2d(5, affine=affine)
    if affine:
        torch.nn.init.constant_(theirs.weight, 3.0)
    x = torch.tensor(x).permute(0, 3, 1, 2).requires_grad_()
    y = theirs(x)
    y.backward(torch.tensor(g).permute(0, 3, 1, 2))
    for found, expected in zip(ours, (y, x.grad), strict=True):
        expected = expected.detach().permute(0, 2, 3, 1).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(ours[0][0] - ours[0][1]).max() > 0.1


def test_batch_norm_of_one_example_is_instance_norm():
    x = images(1, 3, 4, 5)
    ours, batch = InstanceNorm(affine=True), BatchNorm()
    variables = ours.init(KEY, x)
    stats = batch.init(KEY, x, train=True)["batch_stats"]
    y, _ = batch.apply(
        {"params": {"batch": variables["params"]}, "batch_stats": stats},
        x,
        train=True,
        mutable=["batch_stats"],
    )
    np.testing.assert_allclose(ours.apply(variables, x), y, atol=1e-6)


def test_large_means_and_half_precision():
    # Of 1000 +- 1, in float32: the variance is of the differences, not of the squares.
    x = (1000 + images(1, 8, 8, 2)).astype(np.float32)
    wide = x.astype(np.float64)
    wide = (wide - wide.mean((1, 2))) / np.sqrt(wide.var((1, 2)) + 1e-5)
    np.testing.assert_allclose(InstanceNorm().apply({}, x), wide, atol=2e-3)
    x = images(2, 4, 4, 3)
    half = InstanceNorm(dtype=jnp.bfloat16).apply({}, jnp.asarray(x, jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        np.float32(half), InstanceNorm().apply({}, x), rtol=2**-6, atol=2e-2
    )


def test_it_is_a_norm_of_both_players_that_mixes_no_batch():
    for role in ("Generator", "Discriminator"):
        norm, options = find("instance", role)
        assert options == {"affine": False} and not norm.mixes_batch
    with pytest.raises(ValueError, match="norm instance.*'afine'.*mean 'affine'"):
        find({"name": "instance", "afine": True})
