"""Spectral norm: numpy, torch and Flax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers.conv import Conv
from gans.layers.spectral import SpectralNorm, power_iteration

KEY = jax.random.key(3)
# Little effort goes into compiling what runs once.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def images(*shape, seed=0):
    return 2 * np.random.default_rng(seed).normal(size=shape).astype(np.float32) + 1


def trained(layer, variables, *inputs):
    """A pass in training: the output, and what it changes."""
    apply = functools.partial(layer.apply, train=True, mutable=["spectral"])
    return quick(apply)(variables, *inputs)


def test_power_iteration_by_hand():
    # w = diag(3, 4), u = (1, 1): v = (3, 4) / 5, v w = (9, 16) / 5 of norm
    # sqrt(337) / 5, which is sigma = v w u; the largest singular value is 4.
    w = jnp.diag(jnp.array([3.0, 4.0]))
    sigma, u = power_iteration(w, jnp.ones(2))
    np.testing.assert_allclose(u, np.array([9, 16]) / np.sqrt(337), rtol=1e-6)
    np.testing.assert_allclose(sigma, np.sqrt(337) / 5, rtol=1e-6)
    # A fixed point that is not the largest: u = (1, 0), sigma = 3.
    sigma, u = power_iteration(w, jnp.array([2.0, 0.0]))
    np.testing.assert_allclose([sigma, *u], [3, 1, 0], atol=1e-6)


def matrix(m, n, seed=0):
    return np.random.default_rng(seed).normal(size=(m, n)).astype(np.float32)


def iterate(w, u):
    """One iteration in float64: (sigma, v, the new u)."""
    w, u = np.asarray(w, np.float64), np.asarray(u, np.float64)
    v = w @ u / np.linalg.norm(w @ u)
    u = v @ w / np.linalg.norm(v @ w)
    return v @ w @ u, v, u


def test_power_iteration_converges_to_the_largest_singular_value():
    w, u = matrix(6, 4), np.ones(4, np.float32)
    largest = np.linalg.svd(w, compute_uv=False)[0]
    step = quick(power_iteration)
    found = []
    for _ in range(60):
        sigma, u = step(w, u)
        found.append(float(sigma))
    np.testing.assert_allclose(found[-1], largest, rtol=1e-5)
    assert found[0] < 0.99 * largest and max(found) < largest * (1 + 1e-5)


def differences(f, w, h=1e-6):
    """Central differences of f along each entry of w, in float64."""
    slopes, w = np.empty(w.shape), w.astype(np.float64)
    for index in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[index] = h
        slopes[index] = (f(w + step) - f(w - step)) / (2 * h)
    return slopes


def test_sigma_moves_with_w_only_through_v_w_u():
    w, first = matrix(5, 3), np.ones(3, np.float32)
    _, v, u = iterate(w, first)
    grads = quick(jax.grad(lambda w: power_iteration(w, first)[0]))(w)
    fixed = differences(lambda w: v @ w @ u, w)  # which is the outer product v u
    np.testing.assert_allclose(grads, fixed, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(grads, np.outer(v, u), rtol=1e-4, atol=1e-6)
    # If u and v changed with w as well, before convergence, it would be another.
    free = differences(lambda w: iterate(w, first)[0], w)
    assert np.abs(grads - free).max() > 0.01


def test_sigma_does_not_move_with_the_stored_u():
    slope = quick(jax.grad(lambda u: power_iteration(matrix(5, 3), u)[0]))
    np.testing.assert_array_equal(slope(jnp.ones(3)), 0)


# Layers, an input that makes the output the normalised kernel as a matrix, its shape.
def one_hot_patches(k, c):
    return jnp.eye(k * k * c).reshape(-1, k, k, c)


WRAPPED = {
    "dense": (nn.Dense(5), jnp.eye(6), (6, 5)),
    "conv": (Conv(5, (3, 3), padding="VALID"), one_hot_patches(3, 2), (18, 5)),
    "embed": (nn.Embed(7, 4), jnp.arange(7), (7, 4)),
}


def drawn(module, x, seed=0):
    """Kernels from N(0, 1), u of norm 1, no biases: nothing to compile."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(functools.partial(module.init, train=True), KEY, x)

    def draw(path, p):
        w = rng.normal(size=p.shape)
        if p.ndim == 1:
            w *= path[-1].key.endswith("/u") / np.linalg.norm(w)
        return jnp.asarray(w, p.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)


@functools.cache
def wrapped(name):
    """The wrapped layer, its first variables, jitted `train` and `read`, its input.

    train(variables) -> (normalised kernel, variables of the next pass).
    """
    layer, x, shape = WRAPPED[name]
    module = SpectralNorm(layer)
    variables = drawn(module, x)

    @quick
    def train(variables):
        y, new = module.apply(variables, x, train=True, mutable=["spectral"])
        return y.reshape(shape), {**variables, **new}

    @quick
    def read(variables):
        y, new = module.apply(variables, x, train=False, mutable=["spectral"])
        return y.reshape(shape), {**variables, **new}

    return variables, train, read


def kernel_and_u(variables):
    (w,) = (p for p in jax.tree.leaves(variables["params"]) if p.ndim > 1)
    return np.asarray(w).reshape(-1, w.shape[-1]), only_u(variables)


def only_u(variables):
    (u,) = jax.tree.leaves(variables["spectral"])
    return np.asarray(u)


@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped_kernel_gets_spectral_norm_1(name):
    variables, train, read = wrapped(name)
    w, u = kernel_and_u(variables)
    assert w.shape == WRAPPED[name][2] and u.shape == w.shape[1:]
    first, _ = train(variables)
    for _ in range(150):
        last, variables = train(variables)
    assert np.linalg.svd(last)[1][0] == pytest.approx(1, rel=1e-4)
    assert np.linalg.svd(first)[1][0] > 1.01  # one pass is not enough
    np.testing.assert_allclose(read(variables)[0], last, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(kernel_and_u(variables)[0], w)


@pytest.mark.parametrize("name", WRAPPED)
def test_one_iteration_per_stored_pass(name):
    variables, train, read = wrapped(name)
    for _ in range(3):
        w, u = kernel_and_u(variables)
        sigma, _, after = iterate(w, u)
        for _ in range(2):  # a pass whose stats are dropped does not change u
            y, new = train(variables)
            np.testing.assert_allclose(y, w / sigma, rtol=2e-5, atol=1e-6)
            np.testing.assert_allclose(only_u(new), after, rtol=2e-5, atol=1e-6)
        assert np.abs(after - u).max() > 1e-3
        # Outside training: the same sigma from the stored u, which stays.
        y, kept = read(variables)
        np.testing.assert_allclose(y, w / sigma, rtol=2e-5, atol=1e-6)
        np.testing.assert_array_equal(only_u(kept), u)
        variables = new


def test_stored_kernel_is_the_initialised_one():
    # sigma divides on the way to the layer; the parameter itself stays N(0, 0.02).
    given = 0.02 * matrix(6, 5)
    init = lambda key, shape, dtype: jnp.asarray(given, dtype)  # noqa: E731
    layer = SpectralNorm(nn.Dense(5, kernel_init=init))
    variables = layer.init(KEY, jnp.eye(6), train=True)
    np.testing.assert_allclose(kernel_and_u(variables)[0], given, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(only_u(variables)), 1, rtol=1e-6)


def gradient_of_kernel(c):
    """d sum(c w / sigma) / dw by SpectralNorm, with its w and u."""
    variables, _, _ = wrapped("dense")
    layer, x, _ = WRAPPED["dense"]

    def weighted(params):
        y, _ = SpectralNorm(layer).apply(
            {**variables, "params": params}, x, train=True, mutable=["spectral"]
        )
        return (c * y).sum()

    grads = quick(jax.grad(weighted))(variables["params"])
    return kernel_and_u({**variables, "params": grads})[0], *kernel_and_u(variables)


def test_gradient_of_a_normalised_kernel():
    c = matrix(6, 5, seed=1).astype(np.float64)
    grads, w, u = gradient_of_kernel(c)
    _, v, u = iterate(w, u)
    fixed = differences(lambda w: (c * w).sum() / (v @ w @ u), w)
    np.testing.assert_allclose(grads, fixed, rtol=1e-4, atol=1e-5)
    # Equation 12 of arXiv 1802.05957: (c - <c, w / sigma> v u) / sigma.
    sigma = v @ w @ u
    exact = (c - (c * w).sum() / sigma * np.outer(v, u)) / sigma
    np.testing.assert_allclose(grads, exact, rtol=1e-4, atol=1e-5)
    # Sigma taken for a constant gives another.
    assert np.abs(grads - c / sigma).max() > 0.01


def test_against_torch():
    torch = pytest.importorskip("torch")
    c = matrix(6, 5, seed=1).astype(np.float64)
    grads, w, u = gradient_of_kernel(c)
    # Torch's iteration starts from its right vector: its weight is our matrix w.
    linear = torch.nn.Linear(5, 6, bias=False, dtype=torch.float64)
    linear.weight.data = torch.tensor(w, dtype=torch.float64)
    linear = torch.nn.utils.parametrizations.spectral_norm(linear)
    norm = linear.parametrizations.weight[0]
    norm._v = torch.tensor(u, dtype=torch.float64)
    linear.train()
    weight = linear.weight
    (torch.tensor(c) * weight).sum().backward()
    y, new = wrapped("dense")[1](wrapped("dense")[0])
    np.testing.assert_allclose(y, weight.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(only_u(new), norm._v.numpy(), rtol=1e-5)
    theirs = linear.parametrizations.weight.original.grad.numpy()
    np.testing.assert_allclose(grads, theirs, rtol=1e-4, atol=1e-5)
    again = linear.weight.detach().numpy()  # one iteration more
    assert np.abs(y - again).max() > 1e-4


def test_against_flax():
    variables, train, _ = wrapped("conv")
    layer, x, shape = WRAPPED["conv"]
    theirs = nn.SpectralNorm(nn.Conv(5, (3, 3), padding="VALID"))
    init = functools.partial(theirs.init, update_stats=True)
    stats = jax.eval_shape(init, KEY, x)["batch_stats"]
    w, u = kernel_and_u(variables)
    params = {"layer_instance": variables["params"]["layer"]}
    stats = jax.tree.map(lambda a: u[None] if a.ndim else np.ones(()), stats)
    for _ in range(4):
        y, variables = train(variables)
        z, new = theirs.apply(
            {"params": params, "batch_stats": stats},
            x,
            update_stats=True,
            mutable=["batch_stats"],
        )
        stats = new["batch_stats"]
        np.testing.assert_allclose(y, z.reshape(shape), rtol=2e-4, atol=1e-5)
    # Theirs is a pass ahead of the one before.
    assert np.abs(y - train(variables)[0]).max() > 1e-5


def test_sigma_is_float32_in_half_precision():
    w = matrix(64, 64)
    layer = SpectralNorm(nn.Dense(64, dtype=jnp.bfloat16, use_bias=False))
    variables = drawn(layer, jnp.eye(64))
    variables = {**variables, "params": {"layer": {"kernel": jnp.asarray(w)}}}
    y, new = trained(layer, variables, jnp.eye(64))
    assert y.dtype == jnp.bfloat16
    assert only_u(variables).dtype == only_u(new).dtype == np.float32
    sigma = iterate(w, only_u(variables))[0]

    def share_equal(sigma):
        return float((y == jnp.asarray(w / sigma, jnp.bfloat16)).mean())

    # Float32's rounding of sigma moves one entry in 2^15; bfloat16's, many.
    assert share_equal(sigma) > 0.99
    assert share_equal(sigma * (1 + 2**-8)) < 0.7


def test_half_precision_parameters_are_normalised_by_a_float32_sigma():
    layer = SpectralNorm(nn.Dense(5, param_dtype=jnp.bfloat16, dtype=jnp.bfloat16))
    variables = drawn(layer, jnp.eye(6))
    y, new = trained(layer, variables, jnp.eye(6))
    w, u = kernel_and_u(variables)
    assert y.dtype == w.dtype == jnp.bfloat16 and u.dtype == np.float32
    after = iterate(w.astype(np.float32), u)[2]
    np.testing.assert_allclose(only_u(new), after, rtol=1e-5)


def test_vmap_over_seeds_equals_single_runs():
    layer, x, _ = WRAPPED["conv"]
    module = SpectralNorm(layer)

    @quick
    def run(variables):
        return module.apply(variables, x, train=True, mutable=["spectral"])

    seeds = [drawn(module, x, seed) for seed in range(3)]
    together = jax.vmap(run)(jax.tree.map(lambda *a: jnp.stack(a), *seeds))
    for i, variables in enumerate(seeds):
        alone = run(variables)
        for a, b in zip(*map(jax.tree.leaves, (together, alone)), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-5)
    assert np.abs(together[0][0] - together[0][1]).max() > 0.01


def test_frozen_layer_passes_gradients_to_its_input():
    variables, _, _ = wrapped("dense")
    layer = SpectralNorm(WRAPPED["dense"][0])
    x = jnp.asarray(matrix(2, 6))
    grads = quick(jax.grad(lambda x: layer.apply(variables, x, train=False).sum()))(x)
    w, u = kernel_and_u(variables)
    expected = (w / iterate(w, u)[0]).sum(1)
    np.testing.assert_allclose(grads, [expected, expected], rtol=1e-4, atol=1e-6)
