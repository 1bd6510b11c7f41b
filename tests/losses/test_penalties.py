"""The gradient penalty: by hand, in numpy, in torch; per example, over all axes."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.losses import penalties as elementwise
from gans.losses.penalties import gradient_norms


def mean_of(penalty):
    """The mean over examples: what a game adds to its loss."""
    return functools.wraps(penalty)(lambda *args, **kw: penalty(*args, **kw).mean())


NAMES = ("gradient_penalty", "dragan", "r1", "r2", "zero_centred")
penalties = types.SimpleNamespace(
    **{name: mean_of(getattr(elementwise, name)) for name in NAMES}
)
gradient_penalty = penalties.gradient_penalty
KEY = jax.random.key(7)
# Little effort goes into compiling what runs once.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
penalise = quick(gradient_penalty, static_argnums=0)
norms_of = quick(gradient_norms, static_argnums=0)


def pair(shape=(5, 2, 3, 2), seed=0):
    """A batch of real and one of fake examples."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, size=(2, *shape)).astype(np.float32)


def test_linear_discriminator_by_hand():
    # The gradient of 3 x + 4 y is (3, 4) everywhere: norm 5, penalty (5 - 1)^2 = 16.
    real, fake = pair((6, 2))
    w = jnp.array([3.0, 4.0])
    penalty = penalise(lambda x: x @ w, real, fake, KEY)
    assert penalty.shape == () and penalty.dtype == jnp.float32
    np.testing.assert_allclose(penalty, 16, rtol=1e-6)
    norms = norms_of(lambda x: x @ w, real)
    np.testing.assert_allclose(norms, [5] * 6, rtol=1e-6)
    # Of norm 1: no penalty.
    unit = penalise(lambda x: x @ w / 5, real, fake, KEY)
    np.testing.assert_allclose(unit, 0, atol=1e-12)
    # Its derivative along w is 2 (|w| - 1) w / |w| = 8 (0.6, 0.8).
    slope = quick(
        jax.grad(lambda w: gradient_penalty(lambda x: x @ w, real, fake, KEY))
    )
    np.testing.assert_allclose(slope(w), [4.8, 6.4], rtol=1e-5)


def test_norm_is_over_all_axes():
    # A gradient of 0.25 at each of 2 x 4 x 2 = 16 numbers: norm 0.25 sqrt(16) = 1.
    real, fake = pair((3, 2, 4, 2))
    flat = lambda x: 0.25 * x.sum(axis=(1, 2, 3))  # noqa: E731
    np.testing.assert_allclose(norms_of(flat, real), [1, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(penalise(flat, real, fake, KEY), 0, atol=1e-12)


def points(penalty, real, fake, key=KEY):
    """Where `penalty` asks for the discriminator's gradient."""
    seen = []

    def discriminator(x):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), x)
        return (x**2).reshape(len(x), -1).sum(1)

    ask = quick(penalty, static_argnums=0)
    ask(discriminator, real, fake, key).block_until_ready()
    jax.effects_barrier()
    return seen[0]


def mixing_weights(penalty, real, fake):
    """The weights [B], after a check that each example has one, for all its axes."""
    alpha = (points(penalty, real, fake) - real) / (fake - real)
    alpha = alpha.reshape(len(real), -1)
    np.testing.assert_allclose(alpha, alpha[:, :1] + 0 * alpha, atol=1e-4)
    return alpha.mean(1)


def mixed(shape_of_alpha, norm, centre=1):
    """A gradient penalty with the parts that are mistaken so easily left open."""

    def penalty(discriminator, real, fake, key):
        alpha = jax.random.uniform(key, shape_of_alpha(real.shape))
        grads = jax.grad(lambda x: discriminator(x).sum())(real + alpha * (fake - real))
        return jnp.mean((norm(grads) - centre) ** 2)

    return penalty


def per_example(shape):
    return (shape[0],) + (1,) * (len(shape) - 1)


def over_all(grads):
    return jnp.sqrt((grads**2).reshape(len(grads), -1).sum(1))


ALPHA_PER_PIXEL = mixed(lambda shape: (*shape[:-1], 1), over_all)
ALPHA_PER_BATCH = mixed(lambda shape: (1,) * len(shape), over_all)
NORM_PER_CHANNEL = mixed(per_example, lambda g: jnp.sqrt((g**2).sum(axis=(1, 2))))
NORM_PER_PIXEL = mixed(per_example, lambda g: jnp.sqrt((g**2).sum(axis=-1)))


def test_one_mixing_weight_per_example():
    real = np.zeros((2000, 1, 2, 1), np.float32)
    alpha = mixing_weights(gradient_penalty, real, real + 1)
    assert len(np.unique(alpha)) > 1990
    # Uniform in [0, 1): the largest gap of the empirical distribution is below
    # 1.95 / sqrt(2000) = 0.044 but once in a thousand draws.
    assert alpha.min() >= 0 and alpha.max() < 1
    ranks = np.arange(2000) / 2000
    assert np.abs(np.sort(alpha) - ranks).max() < 0.044


def test_mixing_weights_are_checked():
    real, fake = pair()
    mixing_weights(gradient_penalty, real, fake)
    with pytest.raises(AssertionError):
        mixing_weights(ALPHA_PER_PIXEL, real, fake)
    assert np.ptp(mixing_weights(ALPHA_PER_BATCH, real, fake)) < 1e-4
    assert np.ptp(mixing_weights(gradient_penalty, real, fake)) > 0.1


def network(n=12, hidden=4, seed=1):
    """Weights of the discriminator tanh(x w) v, on n numbers."""
    rng = np.random.default_rng(seed)
    return {"w": rng.normal(size=(n, hidden)), "v": rng.normal(size=hidden)}


def discriminator_of(p):
    return lambda x: jnp.tanh(x.reshape(len(x), -1) @ p["w"]) @ p["v"]


def numpy_penalty(p, x):
    """d/dx tanh(x w) v = w ((1 - tanh^2(x w)) v), in float64."""
    h = np.tanh(x.reshape(len(x), -1).astype(np.float64) @ p["w"])
    grads = ((1 - h**2) * p["v"]) @ p["w"].T
    return ((np.sqrt((grads**2).sum(1)) - 1) ** 2).mean()


def numpy_slopes(p, x, penalty=numpy_penalty, h=1e-6):
    """Central differences of `penalty` along each weight."""
    slopes = {}
    for name, value in p.items():
        slopes[name] = np.empty_like(value)
        for index in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[index] = h
            up, down = ({**p, name: value + s} for s in (step, -step))
            slopes[name][index] = (penalty(up, x) - penalty(down, x)) / 2 / h
    return slopes


def from_one(norms):
    return ((norms - 1) ** 2).mean()


def torch_value_and_slopes(p, x, of_norms=from_one):
    torch = pytest.importorskip("torch")
    p = {
        k: torch.tensor(a, dtype=torch.float64, requires_grad=True)
        for k, a in p.items()
    }
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    logits = torch.tanh(x.flatten(1) @ p["w"]) @ p["v"]
    (grads,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    penalty = of_norms(grads.flatten(1).norm(2, dim=1))
    penalty.backward()
    return penalty.item(), {k: a.grad.numpy() for k, a in p.items()}


def numpy_value_and_slopes(p, x):
    return numpy_penalty(p, x), numpy_slopes(p, x)


def check(penalty, reference):
    """Value and second derivatives of `penalty` at points of one weight per example."""
    real, fake = pair()
    p = network()
    alpha = np.asarray(jax.random.uniform(KEY, (5, 1, 1, 1)))
    value, slopes = reference(p, real + alpha * (fake - real))
    weights = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), p)
    mine, grads = quick(
        jax.value_and_grad(lambda p: penalty(discriminator_of(p), real, fake, KEY))
    )(weights)
    np.testing.assert_allclose(mine, value, rtol=1e-5)
    for name in p:
        np.testing.assert_allclose(grads[name], slopes[name], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("reference", [numpy_value_and_slopes, torch_value_and_slopes])
def test_against_references(reference):
    check(gradient_penalty, reference)
    for wrong in (ALPHA_PER_PIXEL, ALPHA_PER_BATCH, NORM_PER_CHANNEL, NORM_PER_PIXEL):
        with pytest.raises(AssertionError):
            check(wrong, reference)


def test_flat_discriminator_has_a_penalty_of_1_and_no_nan():
    # |0 - 1|^2 = 1. The root's derivative at 0 is not finite: none may flow.
    real, fake = pair()

    def penalty(w):
        return gradient_penalty(lambda x: w * x.sum(axis=(1, 2, 3)), real, fake, KEY)

    value, slope = quick(jax.value_and_grad(penalty))(jnp.float32(0))
    assert value == 1 and slope == 0


def test_other_examples_are_not_touched_by_a_flat_one():
    # relu(x): slope 1 on positive, 0 on negative examples; penalties 0 and 1.
    x = jnp.array([[2.0], [-2.0], [3.0]])
    np.testing.assert_array_equal(
        norms_of(lambda x: jax.nn.relu(x)[:, 0], x), [1, 0, 1]
    )
    slope = quick(jax.grad(lambda x: gradient_norms(lambda x: x[:, 0] ** 2, x).sum()))
    # |d x^2 / dx| = 2 |x|, whose slope is +-2, and the subgradient 0 at 0.
    np.testing.assert_allclose(
        slope(jnp.array([[3.0], [-3.0], [0.0]]))[:, 0], [2, -2, 0]
    )


def test_half_precision_critic_gives_a_float32_penalty():
    real, fake = pair()
    w = jnp.linspace(-1, 1, 12).astype(jnp.bfloat16)
    discriminator = lambda x: x.astype(jnp.bfloat16).reshape(len(x), -1) @ w  # noqa: E731
    norms = norms_of(discriminator, real)
    assert norms.dtype == jnp.float32 and norms.shape == (5,)
    exact = np.linalg.norm(np.asarray(w, np.float64))
    np.testing.assert_allclose(norms, [exact] * 5, rtol=1e-6)
    assert penalise(discriminator, real, fake, KEY).dtype == jnp.float32


def test_key_decides():
    real, fake = pair()
    first, again, other = (
        points(gradient_penalty, real, fake, jax.random.key(k)) for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


# --- the others, by the points at which they ask and what they do with the slopes -----


OTHERS = {
    "one_sided": (
        functools.partial(gradient_penalty, one_sided=True),
        lambda n: ((n - 1).clip(0) ** 2).mean(),
    ),
    "dragan": (
        lambda discriminator, real, fake, key: penalties.dragan(
            discriminator, real, key
        ),
        from_one,
    ),
    "r1": (
        lambda discriminator, real, fake, key: penalties.r1(discriminator, real),
        lambda n: (n**2).mean() / 2,
    ),
    "r2": (
        lambda discriminator, real, fake, key: penalties.r2(discriminator, fake),
        lambda n: (n**2).mean() / 2,
    ),
    "zero_centred": (penalties.zero_centred, lambda n: (n**2).mean()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_values_and_second_derivatives_agree_with_pytorch(name):
    penalty, of_norms = OTHERS[name]
    real, fake = pair()
    p = {k: x / 2 for k, x in network().items()}  # norms on both sides of 1
    x = points(penalty, real, fake)
    value, slopes = quick(
        jax.value_and_grad(lambda p: penalty(discriminator_of(p), real, fake, KEY))
    )(jax.tree.map(jnp.float32, p))
    expected, expected_slopes = torch_value_and_slopes(p, x, of_norms)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for k in p:
        np.testing.assert_allclose(slopes[k], expected_slopes[k], rtol=1e-4, atol=1e-5)
    # Twice or half of it would be found: they are not 0.
    assert abs(expected) > 1e-3


def test_where_the_slopes_are_taken():
    real, fake = pair()
    np.testing.assert_array_equal(points(OTHERS["r1"][0], real, fake), real)
    np.testing.assert_array_equal(points(OTHERS["r2"][0], real, fake), fake)
    for name in ("one_sided", "zero_centred"):
        alpha = mixing_weights(OTHERS[name][0], real, fake)
        assert np.ptp(alpha) > 0.1 and alpha.min() >= 0 and alpha.max() <= 1
    # DRAGAN: within half a deviation of the batch above each number.
    real = np.random.default_rng(0).normal(size=(4000, 2)).astype(np.float32)
    noise = points(OTHERS["dragan"][0], real, real) - real
    most = 0.5 * real.std()
    assert -1e-6 <= noise.min() and noise.max() <= most + 1e-6
    # A product of two uniform numbers: mean 1/4 of `most`, within 5 deviations.
    np.testing.assert_allclose(noise.mean() / most, 0.25, atol=0.02)


def test_linear_discriminators_of_norm_5_and_one_half():
    real, fake = pair((6, 2))
    w = jnp.array([3.0, 4.0])

    def of(name, w):
        penalty = quick(OTHERS[name][0], static_argnums=0)
        return float(penalty(lambda x: x @ w, real, fake, KEY))

    # (5 - 1)^2; 25 / 2; 25; and of norm 1/2: 0 on one side, 1/4 on both.
    np.testing.assert_allclose(of("one_sided", w), 16, rtol=1e-6)
    np.testing.assert_allclose(of("dragan", w), 16, rtol=1e-6)
    np.testing.assert_allclose([of("r1", w), of("r2", w)], 12.5, rtol=1e-6)
    np.testing.assert_allclose(of("zero_centred", w), 25, rtol=1e-6)
    assert of("one_sided", w / 10) == 0
    np.testing.assert_allclose(of("dragan", w / 10), 0.25, rtol=1e-6)


@pytest.mark.parametrize("name", OTHERS)
def test_a_flat_discriminator_gives_no_nan(name):
    real, fake = pair((4, 3))
    discriminator = lambda w: lambda x: jnp.sum(w * x, axis=1)  # noqa: E731
    value, slope = jax.value_and_grad(
        lambda w: OTHERS[name][0](discriminator(w), real, fake, KEY)
    )(jnp.zeros(3))
    assert np.isfinite(value) and np.isfinite(slope).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("name", OTHERS)
def test_half_precision_critics_and_data_give_float32(name, dtype):
    penalty = OTHERS[name][0]
    real, fake = pair((4, 3))
    full = penalty(lambda x: 3 * x.sum(1), real, fake, KEY)  # a gradient of threes
    half = penalty(lambda x: 3 * x.astype(dtype).sum(1), real, fake, KEY)
    data = penalty(lambda x: 3 * x.sum(1), real.astype(dtype), fake.astype(dtype), KEY)
    assert half.dtype == data.dtype == jnp.float32
    np.testing.assert_allclose([half, data], full, rtol=1e-6)


def test_quadratic_discriminator_by_hand():
    # c |x|^2 / 2 has the gradient c x: norms 2 * 5 and 2 * 1 at c = 2.
    x = jnp.array([[3.0, 4.0], [0.0, 1.0]])

    def of(penalty, **options):
        f = lambda c: penalty(lambda x: c * (x**2).sum(1) / 2, **options)  # noqa: E731
        return jax.value_and_grad(f)(jnp.float32(2))

    pair = {"real": x, "fake": x, "key": KEY}
    # c^2 (25 + 1) / 2, with slope 26 c, and half of both.
    np.testing.assert_allclose(of(penalties.zero_centred, **pair), [52, 52])
    np.testing.assert_allclose(of(penalties.r1, real=x), [26, 26])
    np.testing.assert_allclose(of(penalties.r2, fake=x), [26, 26])
    # (9^2 + 1^2) / 2, with slope 9 * 5 + 1 * 1.
    for options in ({}, {"one_sided": True}):
        np.testing.assert_allclose(of(gradient_penalty, **pair, **options), [41, 46])
    still = of(penalties.dragan, real=x, key=KEY, scale=0.0)
    np.testing.assert_allclose(still, [41, 46])


# Of an activation: itself, and its derivative in numpy.
ACTIVATIONS = {
    "tanh": (jnp.tanh, lambda h: 1 - np.tanh(h) ** 2),
    "leaky": (lambda h: jnp.maximum(h, h / 5), lambda h: np.where(h > 0, 1, 0.2)),
}


def points_by_definition(name, real, fake):
    if name in ("r1", "r2"):
        return {"r1": real, "r2": fake}[name]
    key_noise, key = jax.random.split(KEY)
    if name == "dragan":
        noise = np.asarray(jax.random.uniform(key_noise, real.shape))
        share = np.asarray(jax.random.uniform(key, (len(real), 1, 1, 1)))
        return real + share * noise * real.std() / 2
    alpha = np.asarray(jax.random.uniform(KEY, (len(real), 1, 1, 1)))
    return real + alpha * (fake - real)


def error(penalty, name, activation):
    """Of its value and its slopes, in float64 and in units of what is allowed."""
    f, derivative = ACTIVATIONS[activation]
    real, fake = pair().astype(np.float64)
    p = {k: x / 2 for k, x in network().items()}

    def exact(p, x):
        grads = (derivative(x.reshape(len(x), -1) @ p["w"]) * p["v"]) @ p["w"].T
        return OTHERS[name][1](np.sqrt((grads**2).sum(1)))

    def mine(p):
        discriminator = lambda x: f(x.reshape(len(x), -1) @ p["w"]) @ p["v"]  # noqa: E731
        return penalty(discriminator, real, fake, KEY)

    with jax.enable_x64(True):  # draws are others then
        x = points_by_definition(name, real, fake)
        out = jax.value_and_grad(mine)(jax.tree.map(jnp.asarray, p))
    value, slopes = jax.tree.map(np.asarray, out)
    assert x.dtype == value.dtype == slopes["w"].dtype == np.float64
    expected = numpy_slopes(p, x, exact)
    found = [abs(value / exact(p, x) - 1) / 1e-12]
    for k, slope in expected.items():  # as good as central differences are
        found.append(np.abs(slopes[k] - slope).max() / np.abs(slope).max() / 1e-7)
    return max(found)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", OTHERS)
def test_values_and_second_derivatives_in_float64(name, activation):
    assert error(OTHERS[name][0], name, activation) < 1


WRONG = [
    ("one_sided", gradient_penalty),
    ("dragan", lambda c, r, f, key: penalties.dragan(c, r, key, scale=1.0)),
    ("dragan", lambda c, r, f, key: jnp.mean((gradient_norms(c, r) - 1) ** 2)),
    ("r1", lambda c, r, f, key: 2 * penalties.r1(c, r)),  # without its half
    ("r1", lambda c, r, f, key: len(r) * penalties.r1(c, r)),  # summed over the batch
    ("r1", lambda c, r, f, key: penalties.r1(c, f)),
    ("r1", lambda c, r, f, key: jnp.mean(gradient_norms(c, r)) / 2),  # not squared
    ("r2", lambda c, r, f, key: penalties.r2(c, r)),
    ("zero_centred", gradient_penalty),
    ("zero_centred", mixed(lambda s: (1,) * len(s), over_all, centre=0)),
    ("zero_centred", mixed(lambda s: (*s[:-1], 1), over_all, centre=0)),
    ("zero_centred", lambda *x: penalties.zero_centred(*x) / 2),
]


@pytest.mark.parametrize("name, wrong", WRONG)
def test_wrong_ones_are_ten_times_too_far(name, wrong):
    assert error(wrong, name, "tanh") > 10


def test_second_derivatives_under_cond_are_those_outside():
    real, fake = pair()
    p = jax.tree.map(lambda x: jnp.float32(x / 2), network())

    def slopes(p, due):
        def of(penalty):
            slope = jax.grad(lambda p: penalty(discriminator_of(p), real, fake, KEY))
            nought = lambda p: jax.tree.map(jnp.zeros_like, p)  # noqa: E731
            return slope(p), jax.lax.cond(due, slope, nought, p)

        return {name: of(penalty) for name, (penalty, _) in OTHERS.items()}

    slopes = quick(slopes)
    for outside, inside in slopes(p, True).values():
        for k in p:
            np.testing.assert_allclose(inside[k], outside[k], rtol=1e-5, atol=1e-6)
    assert not any(np.any(x) for _, i in slopes(p, False).values() for x in i.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_penalty_is_one_number_per_example(name):
    """Another example in the batch leaves the others' penalties alone."""
    real, fake = (jnp.asarray(x) for x in pair((5, 4)))
    discriminator = lambda x: jnp.sin(x).sum(axis=1) ** 2  # noqa: E731
    given = {"real": real, "fake": fake, "key": KEY}
    f = getattr(elementwise, name)
    wanted = f.__code__.co_varnames[: f.__code__.co_argcount]
    found = f(discriminator, *(given[x] for x in wanted[1:]))
    assert found.shape == (5,) and found.dtype == jnp.float32
    if name == "dragan":
        return  # its noise is scaled by the deviation of the whole batch
    given |= {"real": real.at[2].add(1), "fake": fake.at[2].add(1)}
    other = f(discriminator, *(given[x] for x in wanted[1:]))
    kept = np.arange(5) != 2
    np.testing.assert_allclose(found[kept], other[kept], rtol=1e-5)
    assert abs(found[2] - other[2]) > 1e-3
