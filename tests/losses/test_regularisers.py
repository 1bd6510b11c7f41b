"""Terms on logits and parameters, by hand, and their derivatives against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.losses import regularisers

KEY = jax.random.key(0)


def linear(x):
    return x @ jnp.array([3.0, 4.0])


def test_lecam_by_hand():
    # Real 1, 3 from the fakes' 2: 1 and 1. Fake -1, 0 from the reals' 1: 4 and 1.
    found = regularisers.lecam(
        jnp.array([1.0, 3.0]), jnp.array([-1.0, 0.0]), jnp.float32(1), jnp.float32(2)
    )
    np.testing.assert_allclose(found, 1 + 2.5)
    # Swapped means: (0 + 4) / 2 and (9 + 4) / 2.
    swapped = regularisers.lecam(
        jnp.array([1.0, 3.0]), jnp.array([-1.0, 0.0]), jnp.float32(2), jnp.float32(1)
    )
    np.testing.assert_allclose(swapped, 2 + 6.5)


def test_consistency_by_hand():
    x = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    # Logits 3 and 4 against 6 and 4: (9 + 0) / 2.
    moved = x.at[0, 0].set(2.0)
    np.testing.assert_allclose(regularisers.consistency(linear, x, moved), 4.5)
    assert regularisers.consistency(linear, x, x) == 0


def test_latent_diversity_by_hand():
    fake = jnp.zeros((2, 1, 2, 1))
    # Distances 5 and 1: squares 25 and 1, of which minus the mean.
    other = jnp.array([[3.0, 4.0], [0.0, 1.0]]).reshape(fake.shape)
    np.testing.assert_allclose(regularisers.latent_diversity(fake, other), -13.0)


def test_orthogonal_by_hand():
    w = jnp.array([[1.0, 1.0], [0.0, 2.0]])
    # W^T W = [[1, 1], [1, 5]]: off the diagonal 1 + 1; less I, 0 + 1 + 1 + 16.
    params = {"a": {"kernel": w, "bias": jnp.ones(7)}}
    np.testing.assert_allclose(regularisers.orthogonal(params), 2.0)
    plain = regularisers.orthogonal(params, off_diagonal=False)
    np.testing.assert_allclose(plain, 18.0)


def test_a_rotation_is_orthogonal_and_a_convolution_is_a_matrix():
    q = jnp.linalg.qr(jax.random.normal(KEY, (18, 4)))[0]
    kernel = q.reshape(3, 3, 2, 4)
    for off_diagonal in (True, False):
        found = regularisers.orthogonal({"k": kernel}, off_diagonal=off_diagonal)
        assert found < 1e-10
    assert regularisers.orthogonal({"k": 3 * kernel}) < 1e-10  # lengths are free
    assert regularisers.orthogonal({"k": 3 * kernel}, off_diagonal=False) > 100
    # Taken with the wrong axis as columns it is not.
    turned = jnp.moveaxis(kernel, -1, 0)
    assert regularisers.orthogonal({"k": turned}) > 0.1


def test_historical_is_the_distance_from_the_mean_of_the_past():
    path = [{"w": jnp.array([float(i), 0.0]), "b": jnp.float32(i)} for i in (0, 2, 7)]
    mean = path[0]
    for n, params in enumerate(path[1:], 1):
        mean = regularisers.running_mean(mean, params, jnp.int32(n))
    np.testing.assert_allclose(mean["w"], [3.0, 0.0], rtol=1e-6)
    # From (7, 0) and 7 to (3, 0) and 3.
    np.testing.assert_allclose(regularisers.historical(path[2], mean), 32.0, rtol=1e-6)


@pytest.mark.parametrize("off_diagonal", [True, False])
def test_derivatives_of_orthogonal_agree_with_pytorch(off_diagonal):
    torch = pytest.importorskip("torch")
    w = np.random.default_rng(0).normal(size=(3, 2, 4))
    v = np.random.default_rng(1).normal(size=w.shape)
    with jax.enable_x64(True):
        f = lambda w: regularisers.orthogonal({"k": w}, off_diagonal=off_diagonal)  # noqa: E731
        w_, v_ = jnp.asarray(w), jnp.asarray(v)
        value, slope = f(w_), jax.grad(f)(w_)
        curve = jax.grad(lambda w: jnp.sum(jax.grad(f)(w) * v_))(w_)

    t = torch.tensor(w, requires_grad=True)
    m = t.reshape(-1, 4)
    gram = m.T @ m
    mask = 1 - torch.eye(4, dtype=torch.float64)
    expected = ((gram * mask if off_diagonal else gram - torch.eye(4)) ** 2).sum()
    (g,) = torch.autograd.grad(expected, t, create_graph=True)
    (h,) = torch.autograd.grad((g * torch.tensor(v)).sum(), t)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(slope, g.detach(), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(curve, h, rtol=1e-11, atol=1e-11)


def test_half_precision_gives_float32():
    x = jnp.ones(4, jnp.bfloat16)
    assert regularisers.lecam(x, x, jnp.float32(0), jnp.float32(0)).dtype == jnp.float32
    assert regularisers.consistency(lambda x: x, x, x).dtype == jnp.float32
