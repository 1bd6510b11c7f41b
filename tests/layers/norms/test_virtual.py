"""Virtual batch norm: numpy, independence, and a reference that is set once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers.norms.virtual import VirtualBatchNorm, with_reference

KEY = jax.random.key(0)
R = 4


def images(*shape, seed=0):
    x = np.random.default_rng(seed).normal(size=shape)
    return (2 * x + 1).astype(np.float32)


def normalised(x, n, share=None):
    """By mean and mean of squares, weights n / (n + 1) and 1 / (n + 1), in float64."""
    x = x.astype(np.float64).reshape(len(x), -1, x.shape[-1])
    mean, squares = x[:n].mean((0, 1)), (x[:n] ** 2).mean((0, 1))
    share = 1 / (n + 1) if share is None else share
    rows = []
    for i, row in enumerate(x):
        a = 0 if i < n else share
        m = (1 - a) * mean + a * row.mean(0)
        s = (1 - a) * squares + a * (row**2).mean(0)
        rows.append((row - m) / np.sqrt(s - m**2 + 1e-5))
    return np.stack(rows)


@pytest.mark.parametrize("shape", [(R + 3, 5), (R + 3, 2, 3, 5)])
def test_against_numpy(shape):
    x, (gain, bias) = images(*shape), images(2, 5, seed=1)
    x[R + 1] += 3  # an example unlike the reference
    layer = VirtualBatchNorm(R, scale_init=nn.initializers.constant(3.0))
    params = layer.init(KEY, x)["params"]
    np.testing.assert_array_equal(params["scale"], np.full(5, 3))
    np.testing.assert_array_equal(params["bias"], np.zeros(5))
    y = layer.apply({"params": {"scale": gain, "bias": bias}}, x)
    expected = (gain * normalised(x, R) + bias).reshape(shape)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    # By the reference alone, or an example counted twice, it is another.
    for share in (0, 2 / (R + 2)):
        wrong = (gain * normalised(x, R, share) + bias).reshape(shape)
        assert np.abs(y - wrong).max() > 0.05
    # The reference examples are normalised as a batch of their own.
    alone = gain * normalised(x[:R], R) + bias
    np.testing.assert_allclose(y[:R], alone.reshape(x[:R].shape), rtol=1e-4, atol=1e-4)


def test_large_means_keep_their_variance():
    # In float32, 1000^2 has steps of 0.06: a difference of squares would lose all.
    x = (1000 + 0.1 * images(R + 3, 4, 4, 5)).astype(np.float32)
    layer = VirtualBatchNorm(R)
    y = layer.apply(layer.init(KEY, x), x)
    np.testing.assert_allclose(y, normalised(x, R).reshape(x.shape), atol=0.01)


def test_half_precision():
    x = jnp.asarray(images(R + 3, 2, 2, 5), jnp.bfloat16)
    layer = VirtualBatchNorm(R, dtype=jnp.bfloat16)
    y, variables = layer.init_with_output(KEY, x)
    assert y.dtype == jnp.bfloat16
    assert {p.dtype.name for p in jax.tree.leaves(variables)} == {"float32"}
    exact = normalised(np.asarray(x, np.float32), R).reshape(x.shape)
    # Only the output is rounded, to 8 bits.
    np.testing.assert_allclose(np.float32(y), exact, rtol=2**-7, atol=1e-4)


class Net(nn.Module):
    """x [B, N] -> [B, 3], normalised."""

    n_reference: int = R
    condition: str | None = None

    @nn.compact
    def __call__(self, x, *, train):
        x, n = with_reference(self, x, train, n_reference=self.n_reference)
        h = nn.Dense(3, name="dense")(x)
        return VirtualBatchNorm(self.n_reference, name="norm")(h)[n:]


def start(net=None, x=None):
    net = net or Net()
    variables = net.init(KEY, jnp.ones((1, 2)) if x is None else x, train=True)
    return variables["params"], {"reference": variables["reference"]}


def stored(params, stats, x):
    """A pass in training: (y, the new stats)."""
    return Net().apply({"params": params, **stats}, x, train=True, mutable=list(stats))


def test_reference_is_set_by_the_first_stored_pass_and_never_again():
    params, stats = start(x=images(1, 2))
    jax.tree.map(lambda a: np.testing.assert_array_equal(a, 0), stats)
    assert stats["reference"]["x"].shape == (R, 2)
    first, second = images(7, 2), images(7, 2, seed=1)
    # Dropped, or outside training, a pass sets nothing.
    read = functools.partial(Net().apply, {"params": params, **stats}, first)
    y, same = read(train=False, mutable=["reference"])
    jax.tree.map(np.testing.assert_array_equal, same, stats)
    np.testing.assert_array_equal(read(train=True), y)
    z, stats = jax.jit(stored)(params, stats, first)
    np.testing.assert_array_equal(stats["reference"]["x"], first[:R])
    assert stats["reference"]["filled"] == 1
    # The first pass had these same examples for its reference.
    np.testing.assert_allclose(z, y, rtol=1e-5, atol=1e-6)
    kernel = np.asarray(params["dense"]["kernel"])
    h = np.concatenate([first[:R], first]) @ kernel
    np.testing.assert_allclose(z, normalised(h, R)[R:, 0], rtol=1e-4, atol=1e-4)
    z, again = jax.jit(stored)(params, stats, second)
    jax.tree.map(np.testing.assert_array_equal, again, stats)
    h = np.concatenate([first[:R], second]) @ kernel
    np.testing.assert_allclose(z, normalised(h, R)[R:, 0], rtol=1e-4, atol=1e-4)
    h = np.concatenate([second[:R], second]) @ kernel
    assert np.abs(z - normalised(h, R)[R:, 0]).max() > 0.1


def test_examples_are_independent():
    params, stats = start()
    x = images(7, 2)
    _, filled = stored(params, stats, x)

    def jacobian(stats):
        """Whether y[i] moves with x[j]: [7, 7]."""
        apply = functools.partial(Net().apply, {"params": params, **stats}, train=False)
        return np.abs(jax.jit(jax.jacobian(apply))(x)).sum(axis=(1, 3)) > 1e-6

    np.testing.assert_array_equal(jacobian(filled), np.eye(7, dtype=bool))
    # Nor do gradients pass through a reference that is of the batch itself.
    np.testing.assert_array_equal(jacobian(stats), np.eye(7, dtype=bool))
    # Any part of the batch, of any size, gives the same.
    whole, part = (
        Net().apply({"params": params, **filled}, a, train=False) for a in (x, x[5:])
    )
    np.testing.assert_allclose(whole[5:], part, rtol=1e-5, atol=1e-6)
    # A norm by the batch itself fails all of these.
    unset = [Net().apply({"params": params, **stats}, a, train=False) for a in
             (x, x[5:])]  # fmt: skip
    assert np.abs(unset[0][5:] - unset[1]).max() > 0.1


def test_under_scan_cond_and_vmap():
    xs = jnp.asarray(np.stack([images(3, 7, 2, seed=s) for s in range(2)], axis=1))
    params, stats = start()

    def seed_run(xs):  # [3, 7, 2]: the first pass is not due
        def step(stats, at):
            i, x = at
            new = jax.lax.cond(
                i > 0, lambda: stored(params, stats, x)[1], lambda: stats
            )
            return new, new["reference"]["filled"]

        return jax.lax.scan(step, stats, (jnp.arange(3), xs))

    found, filled = jax.jit(jax.vmap(seed_run, in_axes=1))(xs)
    np.testing.assert_array_equal(found["reference"]["x"], xs[1, :, :R])
    np.testing.assert_array_equal(filled, [[0, 1, 1]] * 2)


def test_average_of_stats_has_the_same_reference():
    # core's EMA, a + (1 - decay) (b - a), begins at the zeros before the first pass.
    params, average = start()
    x, z = images(7, 2), images(3, 2, seed=1)
    _, stats = stored(params, average, x)
    for decay in (0.9, 0.99):
        average = jax.tree.map(lambda a, b, d=decay: a + (1 - d) * (b - a), average,
                               stats)  # fmt: skip
    assert 0.1 < average["reference"]["filled"] < 0.11  # 1 - 0.9 x 0.99
    ours, exact = (
        Net().apply({"params": params, **s}, z, train=False) for s in (average, stats)
    )
    np.testing.assert_allclose(ours, exact, rtol=1e-4, atol=1e-5)
    # Taken as it is, it is a reference ten times too small.
    wrong = {"reference": {**average["reference"], "filled": jnp.ones(())}}
    wrong = Net().apply({"params": params, **wrong}, z, train=False)
    assert np.abs(wrong - exact).max() > 0.1


def test_small_batches_and_what_is_rejected():
    x = images(3, 2)
    params, stats = start()
    read = Net().apply({"params": params, **stats}, x, train=False)
    # Before there is a reference: the batch over and over.
    four = Net().apply({"params": params, **stats}, np.concatenate([x, x]), train=False)
    np.testing.assert_allclose(read, four[:3], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="n_reference=4: the batch has 3 examples"):
        stored(params, stats, x)
    for wrong, message in [
        (Net(condition="concat"), "'virtual' with condition='concat'.*no labels"),
        (Net(n_reference=0), "n_reference=0"),
    ]:
        with pytest.raises(ValueError, match=message):
            wrong.init(KEY, x, train=True)
