"""Terms on logits and parameters, by hand, and their derivatives against PyTorch."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.losses import regularisers as elementwise
from gans.losses.adversarial import total

# Means over examples, which a game adds to its loss; and what has no examples.
regularisers = types.SimpleNamespace(
    lecam=lambda *args: total(elementwise.lecam(*args)),
    consistency=lambda *args: elementwise.consistency(*args).mean(),
    latent_diversity=lambda *args: elementwise.latent_diversity(*args).mean(),
    orthogonal=elementwise.orthogonal,
    historical=elementwise.historical,
    running_mean=elementwise.running_mean,
)
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
    shifted = x.at[0, 0].set(2.0)
    np.testing.assert_allclose(
        regularisers.consistency(linear(x), linear(shifted)), 4.5
    )
    assert regularisers.consistency(linear(x), linear(x)) == 0


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


# --- derivatives, and wrong variants that miss them by ten tolerances -----------------


def error(found, exact, p):
    """Of found(p) and of its slopes, in float64 and in units of what is allowed.

    The slopes of exact(p) are central differences.
    """
    with jax.enable_x64(True):
        out = jax.value_and_grad(found)(jax.tree.map(jnp.asarray, p))
    value, slopes = jax.tree.map(np.asarray, out)
    assert value.dtype == np.float64
    off = [abs(value / exact(p) - 1) / 1e-12]
    for k, x in p.items():
        expected = np.empty_like(x)
        for i in np.ndindex(x.shape):
            h = np.zeros_like(x)
            h[i] = 1e-6
            expected[i] = (exact({**p, k: x + h}) - exact({**p, k: x - h})) / 2e-6
        off.append(np.abs(slopes[k] - expected).max() / np.abs(expected).max() / 1e-7)
    return max(off)


def numbers(seed, **shapes):
    rng = np.random.default_rng(seed)
    return {k: rng.normal(size=shape) for k, shape in shapes.items()}


def lecam_of(p, on_real, on_fake):
    return on_real(p["real"] - 0.2) + on_fake(p["fake"] + 0.3)


def squared(x):
    return (x**2).mean()


WRONG_LECAM = {
    "swapped means": lambda p: regularisers.lecam(p["real"], p["fake"], 0.2, -0.3),
    "summed": lambda p: 6 * lecam_of(p, squared, squared),
    "half": lambda p: lecam_of(p, squared, squared) / 2,
    "one side alone": lambda p: lecam_of(p, squared, lambda x: 0 * x.sum()),
    "the authors' code": lambda p: lecam_of(
        p, lambda x: squared(jax.nn.relu(x)), lambda x: squared(jax.nn.relu(-x))
    ),
}


def test_derivatives_of_lecam():
    p = numbers(0, real=6, fake=6)
    exact = lambda p: lecam_of(p, squared, squared)  # noqa: E731
    right = lambda p: regularisers.lecam(  # noqa: E731
        p["real"], p["fake"], -0.3, 0.2
    )
    assert error(right, exact, p) < 1
    for name, wrong in WRONG_LECAM.items():
        assert error(wrong, exact, p) > 10, name


@pytest.mark.parametrize("leaky", [False, True])
def test_derivatives_of_consistency(leaky):
    x, shifted = numbers(1, x=(5, 3), shifted=(5, 3)).values()
    p = numbers(2, w=(3, 4), v=4)

    def discriminator(p, np=np):
        f = (lambda h: np.maximum(h, h / 5)) if leaky else np.tanh
        return lambda x: f(x @ p["w"]) @ p["v"]

    def of(p, fixed=lambda x: x, of=lambda d: (d**2).mean()):
        d = discriminator(p, jnp)
        return of(d(x) - fixed(d(shifted)))

    exact = lambda p: ((discriminator(p)(x) - discriminator(p)(shifted)) ** 2).mean()  # noqa: E731
    right = lambda p: regularisers.consistency(  # noqa: E731
        discriminator(p, jnp)(x), discriminator(p, jnp)(shifted)
    )
    assert error(right, exact, p) < 1
    assert error(lambda p: of(p, jax.lax.stop_gradient), exact, p) > 10
    for wrong in (lambda d: (d**2).sum(), lambda d: abs(d).mean()):
        assert error(lambda p, wrong=wrong: of(p, of=wrong), exact, p) > 10


def test_derivatives_of_latent_diversity():
    # Both images are differentiated.
    p = numbers(3, fake=(3, 2, 2, 1), near=(3, 2, 2, 1))
    exact = lambda p: -((p["fake"] - p["near"]) ** 2).sum() / 3  # noqa: E731
    right = lambda p: regularisers.latent_diversity(p["fake"], p["near"])  # noqa: E731
    assert error(right, exact, p) < 1
    per_number = lambda p: right(p) / 4  # noqa: E731
    summed = lambda p: right(p) * 3  # noqa: E731
    for wrong in (per_number, summed, lambda p: -right(p)):
        assert error(wrong, exact, p) > 10


def gram_of(p, f, columns=True):
    """The sum over kernels of f(W^T W), or of f(W W^T)."""
    grams = []
    for w in (p["conv"].reshape(-1, 3), p["dense"]):
        grams.append(w.T @ w if columns else w @ w.T)
    return sum(f(gram, np.eye(len(gram))) for gram in grams)


@pytest.mark.parametrize("off_diagonal", [True, False])
def test_derivatives_of_orthogonal_over_several_kernels(off_diagonal):
    p = numbers(4, conv=(2, 2, 2, 3), dense=(4, 2))
    right = lambda p: regularisers.orthogonal(  # noqa: E731
        {**p, "bias": jnp.ones(3), "scale": jnp.float32(2)}, off_diagonal=off_diagonal
    )
    ways = [
        lambda gram, eye: ((gram * (1 - eye)) ** 2).sum(),
        lambda gram, eye: ((gram - eye) ** 2).sum(),
    ]
    exact, other = ways if off_diagonal else ways[::-1]
    assert error(right, lambda p: gram_of(p, exact), p) < 1
    for wrong in (
        lambda p: gram_of(p, other),
        lambda p: gram_of(p, exact, columns=False),
        lambda p: gram_of(p, lambda g, e: exact(g, e) / g.size),
        lambda p: gram_of(p, lambda g, e: exact(g, e) ** 0.5),
    ):
        assert error(wrong, lambda p: gram_of(p, exact), p) > 10


def test_derivatives_of_historical_at_and_off_the_mean():
    p, mean = numbers(5, w=(3, 2), b=2), numbers(6, w=(3, 2), b=2)
    exact = lambda p: sum(((p[k] - mean[k]) ** 2).sum() for k in p)  # noqa: E731
    right = lambda p: regularisers.historical(p, mean)  # noqa: E731
    assert error(right, exact, p) < 1
    averaged = lambda p: right(p) / 8  # noqa: E731
    rooted = lambda p: jnp.sqrt(right(p))  # noqa: E731
    for wrong in (averaged, rooted):
        assert error(wrong, exact, p) > 10
    # Nothing pulls where nothing has moved.
    still = jax.tree.map(jnp.asarray, mean)
    value, slopes = jax.value_and_grad(right)(still)
    assert value == 0 and not any(np.any(x) for x in slopes.values())


def test_running_mean_is_that_of_all_values_and_no_decay():
    path = np.random.default_rng(7).normal(3, 1, size=(300, 2))
    mean, decayed = (jnp.float32(path[0]),) * 2
    step = jax.jit(regularisers.running_mean)
    for n, x in enumerate(path[1:], 1):
        mean = step(mean, jnp.float32(x), jnp.int32(n))
        decayed = 0.99 * decayed + 0.01 * x
    tolerance = 1e-5
    assert np.abs(mean - path.mean(0)).max() < tolerance
    assert np.abs(decayed - path.mean(0)).max() > 10 * tolerance


def test_half_precision_gives_float32():
    x = jnp.ones(4, jnp.bfloat16)
    # 141 / 128 is a number of bfloat16, but its square is none: 1.2109 for 1.2134.
    square = (141 / 128) ** 2
    kernel = jnp.full((64, 2), 141 / 128, jnp.bfloat16)
    found = {
        2 * (64 * square) ** 2: regularisers.orthogonal({"k": kernel}),
        128 * square: regularisers.historical([kernel], [0 * kernel]),
        -2 * square: regularisers.latent_diversity(kernel[:3], 0 * kernel[:3]),
    }
    for expected, value in found.items():
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert regularisers.lecam(x, x, jnp.float32(0), jnp.float32(0)).dtype == jnp.float32
    assert regularisers.consistency(x, x).dtype == jnp.float32


@pytest.mark.parametrize("off_diagonal", [True, False])
def test_wide_kernels_by_the_smaller_product(off_diagonal):
    """The same sum and derivatives, without a matrix of columns by columns."""
    w = jnp.float32(np.random.default_rng(0).normal(size=(3, 11)))
    mask = 1 - jnp.eye(11)

    def exact(w):
        gram = w.T @ w
        return jnp.sum((gram * mask if off_diagonal else gram - jnp.eye(11)) ** 2)

    found = lambda w: regularisers.orthogonal([w], off_diagonal=off_diagonal)  # noqa: E731
    np.testing.assert_allclose(found(w), exact(w), rtol=1e-5)
    np.testing.assert_allclose(
        jax.grad(found)(w), jax.grad(exact)(w), rtol=1e-4, atol=1e-3
    )
    largest = max(
        x.aval.size for eqn in jax.make_jaxpr(found)(w).eqns for x in eqn.outvars
    )
    assert largest < 11 * 11


def test_examples_have_a_number_each():
    # (1 - 3)^2 and (2 - 3)^2; -((1 - 0)^2 + (2 - 0)^2) and 0.
    x, y = jnp.array([1.0, 2.0]), jnp.array([3.0, 3.0])
    np.testing.assert_allclose(elementwise.consistency(x, y), [4, 1])
    fake, other = (
        jnp.array([[1.0, 2.0], [5.0, 5.0]]),
        jnp.array([[0.0, 0.0], [5.0, 5.0]]),
    )
    np.testing.assert_allclose(elementwise.latent_diversity(fake, other), [-5, 0])
    on_real, on_fake = elementwise.lecam(x, y, jnp.float32(1), jnp.float32(2))
    np.testing.assert_allclose(on_real, [1, 0])
    np.testing.assert_allclose(on_fake, [4, 4])
