"""Optimisers by name, their learning rates, and the links of WGAN, TGAN, StyleGAN2."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gans import optim


def descend(tx, params, gradients):
    """The parameters after each of `gradients`."""

    @jax.jit
    def update(params, state, grads):
        delta, state = tx.update(grads, state, params)
        return optax.apply_updates(params, delta), state

    state, path = tx.init(params), []
    for grads in gradients:
        params, state = update(params, state, grads)
        path.append(params)
    return path


def rates(n, **options):
    """Learning rates of the first n updates: SGD's updates under gradients of 1."""
    tx = optim.make("sgd", learning_rate=2.0, **options)
    path = descend(tx, jnp.float32(0), [jnp.float32(1)] * n)
    return -np.diff([0.0, *path])


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"n_updates": 4}, [2, 2, 2, 2, 2, 2]),
        # 2 (1 - k / 4), and 0 from update 4 on.
        ({"n_updates": 4, "schedule": "linear"}, [2, 1.5, 1, 0.5, 0, 0]),
        # Constant for two updates, then 2 (1 - (k - 2) / 2).
        ({"n_updates": 4, "schedule": "half_linear"}, [2, 2, 2, 1, 0, 0]),
        # 1 + cos(pi k / 4) = 2, 1 + 0.7071, 1, 1 - 0.7071, 0.
        ({"n_updates": 4, "schedule": "cosine"}, [2, 1.707107, 1, 0.292893, 0, 0]),
        # Two updates from 0 up, then the remaining four as above.
        (
            {"n_updates": 6, "schedule": "linear", "warmup": 2},
            [0, 1, 2, 1.5, 1, 0.5, 0],
        ),
        ({"n_updates": 9, "warmup": 4}, [0, 0.5, 1, 1.5, 2, 2]),
        ({"n_updates": 6, "drops": (2, 3)}, [2, 2, 1, 0.5, 0.5, 0.5]),
        # 2 (1 - k / 4), and a tenth of it from update 2 on.
        (
            {"n_updates": 4, "schedule": "linear", "drops": (2,), "drop": 0.1},
            [2, 1.5, 0.1, 0.05],
        ),
    ],
)
def test_learning_rates(options, expected):
    np.testing.assert_allclose(rates(len(expected), **options), expected, atol=2e-6)


@pytest.mark.parametrize("name", optim.NAMES)
def test_every_name_descends(name):
    tx = optim.make(name, learning_rate=0.1, n_updates=10)
    start = {"w": jnp.array([1.0, -2.0])}
    (end,) = descend(tx, start, [start])  # the gradient of |w|^2 / 2
    assert (jnp.abs(end["w"]) < jnp.abs(start["w"])).all()


def test_options_reach_the_optimiser():
    # Momentum 0.5 under gradients of 1: updates of 1, 1.5, 1.75 times the rate.
    updates = rates(3, n_updates=3, momentum=0.5)
    np.testing.assert_allclose(updates, [2, 3, 3.5], rtol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "addam"}, "optimiser: 'addam'.*rmsprop.*mean 'adam'"),
        (
            {"name": "sgd", "schedule": "liner"},
            "optimiser: schedule: 'liner'.*'linear'",
        ),
        ({"name": "sgd", "warmup": -3}, "optimiser: warmup=-3 must be a number of at"),
        (
            {"name": "sgd", "drops": (5, 2)},
            r"drops=\(5, 2\) must be numbers of updates",
        ),
        ({"name": "sgd", "drops": (0.5,)}, r"drops=\(0.5,\) must be numbers of upda"),
        ({"name": "sgd", "drop": -0.5}, "optimiser: drop=-0.5 must be a number of at"),
        (
            {"name": "sgd", "clip": -1.0},
            "optimiser: clip=-1.0 must be a number above 0",
        ),
        (
            {"name": "adam", "b1": 1.5},
            r"optimiser: b1=1.5 must be a number in \[0, 1\)",
        ),
        ({"name": "sgd", "clip_singular": 0.0}, "optimiser: clip_singular=0.0 must be"),
    ],
)
def test_what_is_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        optim.make(learning_rate=1.0, n_updates=1, **options)


LIMIT = 0.01


def walk(clip):
    """20 updates of RMSprop, WGAN's optimiser, that would take the weights far."""
    start = {"kernel": jnp.linspace(-0.03, 0.03, 21).reshape(3, 7), "bias": jnp.ones(2)}
    rng = np.random.default_rng(0)
    draw = lambda p: (rng.normal(size=p.shape) + 0.5).astype(np.float32)  # noqa: E731
    gradients = [jax.tree.map(draw, start) for _ in range(20)]
    tx = optim.make("rmsprop", learning_rate=5e-3, n_updates=20, clip=clip)
    return descend(tx, start, gradients)


def furthest(params):
    return max(float(jnp.abs(p).max()) for p in jax.tree.leaves(params))


def test_clipped_weights_stay_inside_after_each_update():
    # p + (clip(p + u) - p) may round away from the limit by an ulp of it.
    ulp = float(np.spacing(np.float32(LIMIT)))
    path = walk(LIMIT)
    assert max(furthest(params) for params in path) <= LIMIT + ulp
    assert furthest(path[-1]) >= LIMIT - ulp  # they would leave if they could
    assert furthest(walk(None)[-1]) > 2 * LIMIT


def test_the_singular_values_are_clipped_last():
    tx = optim.make("sgd", learning_rate=1.0, n_updates=1, clip_singular=1.0)
    (end,) = descend(tx, 0.5 * jnp.eye(2), [-jnp.diag(jnp.array([3.0, 0.1]))])
    np.testing.assert_allclose(end, [[1, 0], [0, 0.6]], atol=1e-6)


def test_clipping_leaves_the_weights_inside_alone():
    tx = optim.make("sgd", learning_rate=1.0, n_updates=1, clip=1.0)
    # 0.5 - 0.25 and -0.5 - 0.25 are inside; 0.5 + 3 and -0.5 - 3 end at the limit.
    start = jnp.array([0.5, -0.5, 0.5, -0.5])
    (end,) = descend(tx, start, [jnp.array([0.25, 0.25, -3.0, 3.0])])
    np.testing.assert_allclose(end, [0.25, -0.75, 1, -1], rtol=1e-6)


def clipped(w, limit):
    """The reference, in float64."""
    left, s, right = np.linalg.svd(w.reshape(-1, w.shape[-1]).astype(np.float64), False)
    return (left @ np.diag(np.minimum(s, limit)) @ right).reshape(w.shape)


def spectrum(w):
    return np.linalg.svd(np.asarray(w).reshape(-1, w.shape[-1]), compute_uv=False)


def test_singular_values_are_clipped_as_numpy_does():
    rng = np.random.default_rng(0)
    shapes = {"conv": (2, 3, 4, 5), "wide": (3, 7), "small": (4, 4), "bias": (5,)}
    w = {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    w["small"] *= 0.05
    tx = optax.chain(optax.sgd(1.0), optim.clip_singular_values(0.8))
    zero = jax.tree.map(jnp.zeros_like, w)
    (end,) = descend(tx, jax.tree.map(jnp.asarray, w), [zero])
    for name in ("conv", "wide"):
        np.testing.assert_allclose(end[name], clipped(w[name], 0.8), atol=2e-6)
        np.testing.assert_allclose(spectrum(end[name]).max(), 0.8, rtol=1e-5)
        # Not clipped they are outside, and scaling by the largest is another matrix.
        assert spectrum(w[name]).max() > 1
        scaled = w[name] * 0.8 / spectrum(w[name]).max()
        assert np.abs(end[name] - scaled).max() > 0.05
    assert spectrum(w["small"]).max() < 0.8
    np.testing.assert_allclose(end["small"], w["small"], atol=1e-6)
    np.testing.assert_array_equal(end["bias"], w["bias"])


def test_singular_values_of_many_runs_are_found_one_run_after_another():
    """Batched decompositions of several CPU devices wait for each other for ever."""
    link = optim.clip_singular_values(0.8)
    w = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 5)), jnp.float32)

    def clip(w):
        zero = jnp.zeros_like(w)
        return w + link.update(zero, link.init(w), w)[0]

    runs = jax.jit(jax.vmap(clip))
    for found, one in zip(runs(w), w, strict=True):
        np.testing.assert_allclose(found, clipped(np.asarray(one), 0.8), atol=2e-6)
    calls = re.findall(r"@lapack_\w+.*: \((tensor<.*?>)", runs.lower(w).as_text())
    assert calls and all(shape.count("x") == 2 for shape in calls), calls  # 4x5xf32


def test_singular_values_are_those_after_the_move():
    # diag(0.5, 0.5) moved by diag(3, 0.1) is diag(3.5, 0.6), clipped to diag(1, 0.6).
    tx = optax.chain(optax.sgd(1.0), optim.clip_singular_values(1.0))
    (end,) = descend(tx, 0.5 * jnp.eye(2), [-jnp.diag(jnp.array([3.0, 0.1]))])
    np.testing.assert_allclose(end, [[1, 0], [0, 0.6]], atol=1e-6)


def adam(rate, b1, b2, gradients, eps=1e-8):
    """The updates of Adam (arXiv 1412.6980, Algorithm 1), in float64."""
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        yield -rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)


def test_rmsprop_updates_as_pytorch_does_however_small_the_gradients():
    torch = pytest.importorskip("torch")
    options = {"learning_rate": 5e-5, "n_updates": 9, "decay": 0.99}
    gradients = np.random.default_rng(0).normal(size=(5, 4)) * [1e-7, 1e-6, 1e-3, 1]
    gradients = gradients.astype(np.float32)
    tx = optim.make("rmsprop", **options)
    path = descend(tx, jnp.zeros(4), gradients)
    weights = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.RMSprop([weights], lr=5e-5, alpha=0.99)
    for found, gradient in zip(path, gradients, strict=True):
        weights.grad = torch.tensor(gradient)
        optimizer.step()
        np.testing.assert_allclose(found, weights.detach(), rtol=1e-4)
    # optax's own default would change the first of them a hundredth as far.
    under = optim.make("rmsprop", eps_in_sqrt=True, **options)
    assert abs(descend(under, jnp.zeros(4), gradients)[-1][0] / path[-1][0]) < 0.02


@pytest.mark.parametrize(
    "lazy, c", [((1,), 1 / 2), ((4,), 4 / 5), ((16,), 16 / 17), ((4, 2), 4 / 7)]
)
def test_lazy_updates_shorten_the_memory(lazy, c):
    """c = 1 / (1 + sum 1 / interval): of 1/4 and 1/2, 1 / 1.75."""
    gradients = [1.0, -2.0, 0.5, 3.0]
    adam_of = {"b1": 0.5, "b2": 0.9, "learning_rate": 0.1, "n_updates": 9}
    tx = optim.make("adam", lazy=lazy, **adam_of)
    path = descend(tx, jnp.float32(0), map(jnp.float32, gradients))
    updates = np.diff([0.0, *path])
    expected = list(adam(0.1 * c, 0.5**c, 0.9**c, gradients))
    np.testing.assert_allclose(updates, expected, rtol=1e-5)
    np.testing.assert_allclose(
        updates[0], -0.1 * c, rtol=1e-5
    )  # Adam's first is +- rate
    plain = list(adam(0.1, 0.5, 0.9, gradients))
    assert np.abs(updates - plain).max() > 1e-3


def test_defaults_are_slowed_down_too_and_zero_stays_zero():
    gradients = [jnp.float32(x) for x in (1.0, -2.0, 0.5)]
    rate = {"learning_rate": 0.1, "n_updates": 9}
    found = descend(
        optim.make("adam", lazy=(4,), b1=0.0, **rate), jnp.float32(0), gradients
    )
    expected = list(adam(0.08, 0.0, 0.999**0.8, [1.0, -2.0, 0.5]))
    np.testing.assert_allclose(np.diff([0.0, *found]), expected, rtol=1e-4)


def test_a_schedule_ends_with_the_lazy_updates():
    # 4 updates and 2 lazy ones, at SGD's own rate: 2 (1 - k / 6).
    updates = rates(7, n_updates=4, schedule="linear", lazy=(2,))
    np.testing.assert_allclose(updates, [2 * (1 - k / 6) for k in range(7)], atol=2e-6)


def test_an_unknown_option():
    with pytest.raises(ValueError, match="optimiser sgd has no option 'b1'"):
        optim.make("sgd", learning_rate=1.0, n_updates=1, b1=0.5)
