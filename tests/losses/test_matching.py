"""Feature and moment matching: by hand, in torch, and against the usual mistakes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.losses.matching import feature_matching, moment_matching

BOTH = pytest.mark.parametrize("loss", [feature_matching, moment_matching])


def layers(n=6, seed=0, shift=0.0):
    """Two hidden layers of n examples, in float64."""
    rng = np.random.default_rng(seed)
    return {
        "early": rng.normal(size=(n, 3, 2, 4)) * rng.uniform(0.5, 2, size=4) + shift,
        "late": rng.normal(size=(n, 5)) + shift,
    }


def float32(features):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), features)


def test_by_hand():
    # Means (1, 3) and (4, 3): 9. Variances with n - 1: (2, 2) and (2, 8): 36.
    real = {"a": jnp.array([[0.0, 2.0], [2.0, 4.0]])}
    fake = {"a": jnp.array([[3.0, 1.0], [5.0, 5.0]])}
    mean, moments = feature_matching(real, fake), moment_matching(real, fake)
    np.testing.assert_allclose([mean, moments], [9, 45], rtol=1e-6)
    assert mean.shape == moments.shape == ()
    # A second layer, of maps [2, 1, 2, 1]: the means differ by 1 at both places.
    real["b"] = jnp.zeros((2, 1, 2, 1))
    fake["b"] = jnp.ones((2, 1, 2, 1))
    np.testing.assert_allclose(feature_matching(real, fake), 11, rtol=1e-6)
    np.testing.assert_allclose(moment_matching(real, fake), 47, rtol=1e-6)


def theirs(loss, real, fake):
    """The value and the gradients with respect to all features, from torch."""
    torch = pytest.importorskip("torch")
    real, fake = (
        {k: torch.tensor(x, requires_grad=True) for k, x in side.items()}
        for side in (real, fake)
    )
    value = 0.0
    for name in real:
        x, y = real[name].flatten(1), fake[name].flatten(1)
        value = value + torch.linalg.vector_norm(x.mean(0) - y.mean(0)) ** 2
        if loss is moment_matching:
            x, y = torch.cov(x.T).diagonal(), torch.cov(y.T).diagonal()
            value = value + torch.linalg.vector_norm(x - y) ** 2
    value.backward()
    slopes = [{k: x.grad.numpy() for k, x in side.items()} for side in (real, fake)]
    return value.item(), *slopes


def check(ours, reference, real, fake, dtype="float32", tolerance=1e-5):
    with jax.enable_x64(dtype == "float64"):
        real, fake = jax.tree.map(lambda x: jnp.asarray(x, dtype), (real, fake))
        value, slopes = jax.value_and_grad(ours, (0, 1))(real, fake)
    assert value.dtype == dtype
    mine = jax.device_get((value, *slopes))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance),
        mine,
        reference,
    )


def refuted(ours, *rest):
    """Whether `ours` fails the check with a hundred times the tolerance."""
    try:
        check(ours, *rest, tolerance=1e-3)
    except AssertionError:
        return True
    return False


@BOTH
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("n_fake", [6, 3])
def test_against_torch(loss, dtype, tolerance, n_fake):
    real, fake = layers(), layers(n_fake, seed=1, shift=0.3)
    check(loss, theirs(loss, real, fake), real, fake, dtype, tolerance)


def other(statistics, real, fake, reduce=jnp.sum):
    """A distance with the parts that are mistaken so easily left open."""
    return sum(
        reduce((f(real[name]) - f(fake[name])) ** 2)
        for name in real
        for f in statistics
    )


def test_mistakes_are_found():
    real, fake = layers(), layers(seed=1, shift=0.3)
    mean = functools.partial(jnp.mean, axis=0)
    variance = functools.partial(jnp.var, axis=0, ddof=1)
    biased = functools.partial(jnp.var, axis=0)
    deviation = functools.partial(jnp.std, axis=0, ddof=1)
    overall = lambda x: x.mean(axis=tuple(range(x.ndim - 1)))  # noqa: E731

    reference = theirs(feature_matching, real, fake)
    assert not refuted(functools.partial(other, [mean]), reference, real, fake)
    for wrong in (
        functools.partial(other, [lambda x: x]),  # example by example
        functools.partial(other, [overall]),  # over places as well
        functools.partial(other, [mean], reduce=jnp.mean),
        functools.partial(other, [mean], reduce=lambda x: jnp.sqrt(jnp.sum(x))),
        lambda r, k: feature_matching(jax.lax.stop_gradient(r), k),
        moment_matching,
    ):
        assert refuted(wrong, reference, real, fake)

    reference = theirs(moment_matching, real, fake)
    right = functools.partial(other, [mean, variance])
    assert not refuted(right, reference, real, fake)
    for second in (biased, deviation, lambda x: mean(x**2)):
        wrong = functools.partial(other, [mean, second])
        assert refuted(wrong, reference, real, fake)
    assert refuted(functools.partial(other, [variance]), reference, real, fake)


@BOTH
def test_order_in_the_batch_is_nothing(loss):
    real, fake = float32(layers()), float32(layers(seed=1))
    turned = {k: x[::-1] for k, x in real.items()}
    np.testing.assert_allclose(loss(real, fake), loss(turned, fake), rtol=1e-5)
    np.testing.assert_allclose(loss(real, turned), 0, atol=1e-10)
    np.testing.assert_allclose(loss(real, fake), loss(fake, real), rtol=1e-6)


def test_only_moment_matching_sees_the_spread():
    # The same means; deviations three times as large, variances v and 9 v.
    real = float32(layers(n=50))
    wide = {k: x.mean(0) + 3 * (x - x.mean(0)) for k, x in real.items()}
    expected = sum((64 * np.var(x, axis=0, ddof=1) ** 2).sum() for x in real.values())
    np.testing.assert_allclose(feature_matching(real, wide), 0, atol=1e-9)
    np.testing.assert_allclose(moment_matching(real, wide), expected, rtol=1e-4)


@BOTH
def test_half_precision_features_are_summed_in_float32(loss):
    # 300 squared is past float16's largest number, 65504.
    real = {"a": jnp.array([[300.0], [301.0], [1.0]], jnp.float16)}
    fake = {"a": jnp.array([[1.0], [2.0], [-300.0]], jnp.float16)}
    half, full = loss(real, fake), loss(float32(real), float32(fake))
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, full, rtol=1e-6)


@BOTH
def test_layers_and_shapes_must_agree(loss):
    real, fake = layers(), layers(seed=1)
    with pytest.raises(ValueError, match=r"\['early', 'late'\] and \['late'\]"):
        loss(real, {"late": fake["late"]})
    with pytest.raises(ValueError, match=r"'late': shapes \(6, 5\) and \(6, 1\)"):
        loss(real, {**fake, "late": fake["late"][:, :1]})
    lone = {k: x[:1] for k, x in fake.items()}
    if loss is moment_matching:
        with pytest.raises(ValueError, match="'early': no variance of a batch of 1"):
            loss(real, lone)
    else:
        assert jnp.isfinite(loss(real, lone))
