"""Adversarial losses: numbers by hand, and torch for values and gradients."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.config import expand
from gans import core, names, networks
from gans.data.spec import Field
from gans.game import Game
from gans.losses import adversarial

LN2, LN3 = np.log(2), np.log(3)
SMOOTH = {"smooth_real": 0.1, "smooth_fake": 0.2}
# Every loss, with every option that it has.
CASES = [
    ("minimax", {}),
    ("minimax", SMOOTH),
    ("non_saturating", {}),
    ("non_saturating", {"smooth_real": 0.1}),
    ("non_saturating", SMOOTH),
    ("least_squares", {}),
    ("least_squares", {"a": -1.0, "b": 0.9, "c": 0.2}),
    ("hinge", {}),
    ("wasserstein", {}),
    *(("relativistic_average", {"base": base}) for base in adversarial.BASES),
    *(("relativistic_pairing", {"base": base}) for base in adversarial.BASES),
]


def reduced(loss):
    """The loss as the players minimise it: its costs, reduced."""
    return types.SimpleNamespace(
        discriminator=lambda r, k: adversarial.total(loss.discriminator(r, k)),
        generator=lambda k, r=None, w=None: adversarial.total(
            loss.generator(k, r, w), w
        ),
        relative=loss.relative,
        boundary=loss.boundary,
    )


def make(name, **options):
    return reduced(adversarial.make(name, **options))


every_case = pytest.mark.parametrize("name, options", CASES)
every_loss = pytest.mark.parametrize("name", sorted(adversarial.LOSSES))


def logits(n=9, seed=0, scale=3):
    """Those of n real and of n fake examples, in float64."""
    return np.random.default_rng(seed).normal(size=(2, n)) * scale


def test_every_loss_is_a_case():
    assert {name for name, _ in CASES} == set(adversarial.LOSSES)


# loss, real logits, fake logits, what the discriminator pays, what the generator pays.
# fmt: off
BY_HAND = [
    # D = 1/2, 3/4 on both. Discriminator: (ln 2 + ln 4/3) / 2 + (ln 2 + ln 4) / 2
    # = ln(64/3) / 2. Generator: minus its second half = -1.5 ln 2.
    ("minimax", [0, LN3], [0, LN3], np.log(64 / 3) / 2, -1.5 * LN2),
    # The same discriminator; the generator minimises (ln 2 + ln 4/3) / 2 = ln(8/3) / 2.
    ("non_saturating", [0, LN3], [0, LN3], np.log(64 / 3) / 2, np.log(8 / 3) / 2),
    # Targets 3/4 and 0: on real, D = 3/4 costs 3/4 ln 4/3 + 1/4 ln 4, that is
    # ln 4 - 3/4 ln 3, and D = 1/2 costs ln 2 whatever the target. The fake half
    # (ln 2 + ln 4) / 2 and the generator stay. In all 3 ln 2 - 3/8 ln 3.
    ("non_saturating(smooth_real=0.25)", [0, LN3], [0, LN3],
     3 * LN2 - 0.375 * LN3, np.log(8 / 3) / 2),
    # Targets 1 and 1/4: fake D = 3/4 costs 1/4 ln 4/3 + 3/4 ln 4 = ln 4 - 1/4 ln 3.
    # (ln 2 + ln 4 - ln 3) / 2 + (ln 2 + ln 4 - 1/4 ln 3) / 2 = 3 ln 2 - 5/8 ln 3.
    ("minimax(smooth_fake=0.25)", [0, LN3], [0, LN3],
     3 * LN2 - 0.625 * LN3, -1.5 * LN2),
    # (1 + 1/4) / 4 + (1 + 1) / 4 = 0.8125; (0 + 4) / 4 = 1.
    ("least_squares", [2, 0.5], [1, -1], 0.8125, 1.0),
    # (1 + 1/4) / 4 + (4 + 0) / 4 = 1.3125; (1 + 1) / 4 = 0.5.
    ("least_squares(a=-1.0, b=1.0, c=0.0)", [2, 0.5], [1, -1], 1.3125, 0.5),
    # (0 + 0.5) / 2 + (2 + 0) / 2 = 1.25; -(1 - 3) / 2 = 1.
    ("hinge", [2, 0.5], [1, -3], 1.25, 1.0),
    # -1 - 1.25 = -2.25; 1.
    ("wasserstein", [2, 0.5], [1, -3], -2.25, 1.0),
    # Means 0 and ln 3. Real minus ln 3: 0, -2 ln 3, which cost ln 2, ln 10; 0 minus
    # fake: -ln 3 twice, which cost ln 4. Discriminator: ln(20) / 2 + ln 4, which is
    # ln(320) / 2.
    # Generator, margins of other signs: (ln 2 + ln 10/9) / 2 + ln 4/3 = ln(320/81) / 2.
    ("relativistic_average", [LN3, -LN3], [LN3, LN3],
     np.log(320) / 2, np.log(320 / 81) / 2),
    # Means 1 and 2. Real minus 2: -2, 0; 1 minus fake: -2, 0. Discriminator: (m - 1)^2
    # = 9, 1 twice: 10. Generator, margins 2, 0 twice: 1, 1: 2.
    ("relativistic_average(base='least_squares')", [0, 2], [3, 1], 10.0, 2.0),
    # The same margins: (3 + 1) / 2 twice = 4; (0 + 1) / 2 twice = 1.
    ("relativistic_average(base='hinge')", [0, 2], [3, 1], 4.0, 1.0),
    # Margins 0, -2 ln 3: (ln 2 + ln 10) / 2; the other way (ln 2 + ln 10/9) / 2.
    ("relativistic_pairing", [LN3, -LN3], [LN3, LN3],
     np.log(20) / 2, np.log(20 / 9) / 2),
    # Margins -3, 1: (16 + 0) / 2; 3, -1: (4 + 4) / 2.
    ("relativistic_pairing(base='least_squares')", [0, 2], [3, 1], 8.0, 4.0),
    # (4 + 0) / 2; (0 + 2) / 2.
    ("relativistic_pairing(base='hinge')", [0, 2], [3, 1], 2.0, 1.0),
]
# fmt: on


@pytest.mark.parametrize("spec, real, fake, discriminator, generator", BY_HAND)
def test_by_hand(spec, real, fake, discriminator, generator):
    name, options = names.named(expand(spec, "loss"), "loss")
    loss = make(name, **options)
    real, fake = jnp.array(real, jnp.float32), jnp.array(fake, jnp.float32)
    on_critic, on_generator = loss.discriminator(real, fake), loss.generator(fake, real)
    np.testing.assert_allclose(on_critic, discriminator, rtol=1e-6)
    np.testing.assert_allclose(on_generator, generator, rtol=1e-6)
    for value in (on_critic, on_generator):
        assert value.shape == () and value.dtype == jnp.float32


def references(name, options):
    """discriminator(real, fake) and generator(fake, real, weights) in torch's words."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional

    def bce(logits, target):
        targets = torch.full_like(logits, target)
        return f.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    def mse(logits, target):
        return f.mse_loss(logits, torch.full_like(logits, target), reduction="none")

    def relu(logits, target):
        return f.relu(1 - (2 * target - 1) * logits)

    def ends(logits, target):
        return mse(logits, 2 * target - 1)

    measure = {"logistic": bce, "least_squares": ends, "hinge": relu}

    def average(real, fake, target, w):
        """As in the paper: each side with the target, `fake` with the other one."""
        on_real = measure[options["base"]](real - (w * fake).sum(), target)
        on_fake = measure[options["base"]](fake - real.mean(), 1 - target)
        return on_real.mean() + (w * on_fake).sum()

    def pairing(real, fake, target, w):
        return (w * measure[options["base"]](real - fake, target)).sum()

    if name.startswith("relativistic"):
        contest = {"relativistic_average": average, "relativistic_pairing": pairing}
        return (
            lambda r, k: contest[name](r, k, 1.0, torch.full_like(k, 1 / len(k))),
            lambda k, r, w: contest[name](r, k, 0.0, w),
        )
    a, b, c = (options.get(x, t) for x, t in (("a", 0.0), ("b", 1.0), ("c", 1.0)))
    t_real = 1 - options.get("smooth_real", 0.0)
    t_fake = options.get("smooth_fake", 0.0)

    def log_loss(real, fake):
        return bce(real, t_real).mean() + bce(fake, t_fake).mean()

    return {
        "minimax": (log_loss, lambda k, r, w: -(w * bce(k, 0.0)).sum()),
        "non_saturating": (log_loss, lambda k, r, w: (w * bce(k, 1.0)).sum()),
        "least_squares": (
            lambda r, k: (mse(r, b).mean() + mse(k, a).mean()) / 2,
            lambda k, r, w: (w * mse(k, c)).sum() / 2,
        ),
        "hinge": (
            lambda r, k: relu(r, 1.0).mean() + relu(k, 0.0).mean(),
            lambda k, r, w: -(w * k).sum(),
        ),
        "wasserstein": (
            lambda r, k: k.mean() - r.mean(),
            lambda k, r, w: -(w * k).sum(),
        ),
    }[name]


def compare(ours, theirs, *inputs, dtype, tolerance):
    """Values and gradients of one player's loss; theirs in float64."""
    import torch

    given = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    value = theirs(*given)
    slopes = torch.autograd.grad(value, given, materialize_grads=True)
    with jax.enable_x64(dtype == "float64"):
        mine, grads = jax.value_and_grad(ours, tuple(range(len(inputs))))(
            *(jnp.asarray(x, dtype) for x in inputs)
        )
    assert mine.dtype == dtype and mine.shape == ()
    np.testing.assert_allclose(mine, value.item(), rtol=tolerance, atol=tolerance)
    for g, x in zip(grads, slopes, strict=True):
        np.testing.assert_allclose(g, x.numpy(), rtol=tolerance, atol=tolerance)


PRECISIONS = [("float32", 3e-6), ("float64", 1e-13)]


@every_case
@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
def test_against_torch(name, options, dtype, tolerance):
    discriminator, generator = references(name, options)
    loss = make(name, **options)
    real, fake = logits()
    weights = np.random.default_rng(1).dirichlet(np.ones(9))
    uniform = lambda k, r: generator(k, r, (0 * k + 1) / 9)  # noqa: E731
    check = functools.partial(compare, dtype=dtype, tolerance=tolerance)
    check(loss.discriminator, discriminator, real, fake)
    check(loss.generator, uniform, fake, real)
    check(loss.generator, generator, fake, real, weights)


def refuted(ours, theirs, *inputs):
    """Whether the two are apart by a thousand times the tolerance of float32."""
    try:
        compare(ours, theirs, *inputs, dtype="float32", tolerance=3e-3)
    except AssertionError:
        return True
    return False


@every_case
def test_other_losses_are_not_those_of_torch(name, options):
    discriminator, generator = references(name, options)
    loss = make(name, **options)
    real, fake = logits()
    weights = np.random.default_rng(1).dirichlet(np.ones(9))
    p = jax.nn.sigmoid
    wrong = [
        lambda r, k: loss.discriminator(p(r), p(k)),
        lambda r, k: loss.discriminator(k, r),
    ]
    if options and options.get("base") != "logistic":
        wrong.append(make(name).discriminator)
    for other in wrong:
        assert refuted(other, discriminator, real, fake)
    for other in (
        lambda k, r, w: loss.generator(k, r),
        lambda k, r, w: loss.generator(p(k), p(r), w),
        lambda k, r, w: loss.generator(k, r, w[::-1]),
    ):
        assert refuted(other, generator, fake, real, weights)


def average(real, fake, hold=lambda x: x, on_real=1, on_fake=1):
    """RaSGAN's discriminator, with the parts that are mistaken so easily left open."""
    real, fake = real - hold(fake.mean()), fake - hold(real.mean())
    on_real *= jax.nn.softplus(-real).mean()
    return on_real + on_fake * jax.nn.softplus(fake).mean()


def test_mistaken_averages_are_found():
    discriminator, generator = references("relativistic_average", {"base": "logistic"})
    real, fake = logits()
    assert not refuted(average, discriminator, real, fake)
    # No gradient through the means: the value is the same, the slopes are not.
    held = functools.partial(average, hold=jax.lax.stop_gradient)
    np.testing.assert_allclose(held(real, fake), average(real, fake))
    assert refuted(held, discriminator, real, fake)
    paired = make("relativistic_pairing")
    assert refuted(paired.discriminator, discriminator, real, fake)
    # The generator's is the other one with the sides exchanged, and no part left out.
    uniform = lambda k, r: generator(k, r, (0 * k + 1) / 9)  # noqa: E731
    assert not refuted(average, uniform, fake, real)
    assert refuted(functools.partial(average, on_fake=0), uniform, fake, real)
    assert refuted(functools.partial(average, on_real=0), uniform, fake, real)


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_saturated_logits_give_no_infinity(name):
    # -log D(-1e4) = 1e4 up to exp(-1e4) = 0, and its slope is -1.
    loss = make(name)
    far = jnp.full(2, 1e4)
    value, grads = jax.value_and_grad(loss.discriminator, (0, 1))(-far, far)
    np.testing.assert_allclose(value, 2e4)
    np.testing.assert_allclose(grads, [[-0.5, -0.5], [0.5, 0.5]])
    # The slopes are D - target: 0 - 0.9 and 1 - 0.2.
    soft = make(name, **SMOOTH).discriminator
    value, grads = jax.value_and_grad(soft, (0, 1))(-far, far)
    np.testing.assert_allclose(value, 1.7e4)
    np.testing.assert_allclose(grads, [[-0.45, -0.45], [0.4, 0.4]], rtol=1e-6)


def test_only_minimax_saturates_where_the_discriminator_wins():
    # d/dx of -softplus(x) and of softplus(-x), at x = -10: -s(x) and s(x) - 1.
    x, s = jnp.float32(-10), 1 / (1 + np.exp(10.0))
    slopes = [jax.grad(make(name).generator)(x) for name in
              ("minimax", "non_saturating")]  # fmt: skip
    np.testing.assert_allclose(slopes, [-s, s - 1], rtol=1e-5)


@every_loss
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_logits_cost_float32(name, dtype):
    # 300 squared is past float16's largest number, 65504.
    logits = jnp.array([300.0, 0.3, -1.7, 0.9], dtype)
    loss, exact = make(name), logits.astype(jnp.float32)
    for half, full in [
        (
            loss.discriminator(logits, logits[::-1]),
            loss.discriminator(exact, exact[::-1]),
        ),
        (loss.generator(logits, logits[::-1]), loss.generator(exact, exact[::-1])),
    ]:
        assert half.dtype == jnp.float32
        np.testing.assert_allclose(half, full, rtol=1e-6)


@every_case
def test_boundary_is_where_the_best_discriminator_is_in_doubt(name, options):
    """One logit for as many real as fake examples: the loss is flat there."""
    loss = make(name, **options)
    if name == "wasserstein" or loss.relative:
        assert loss.boundary is None
        return
    slope = jax.grad(lambda x: loss.discriminator(x[None], x[None]))
    at, below, above = (slope(loss.boundary + d) for d in (0.0, -1.5, 1.5))
    np.testing.assert_allclose(at, 0, atol=1e-7)
    assert below < -0.1 and above > 0.1


def test_boundaries_by_hand():
    # The mean target (0.9 + 0.2) / 2 = 0.55 is sigmoid(ln(11 / 9)); (-1 + 0.9) / 2.
    soft, shifted = adversarial.minimax(**SMOOTH), adversarial.least_squares(-1.0, 0.9)
    expected = [np.log(11 / 9), -0.05]
    np.testing.assert_allclose([soft.boundary, shifted.boundary], expected, rtol=1e-12)
    assert adversarial.hinge().boundary == adversarial.minimax(0.1, 0.1).boundary == 0


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_smoothing_is_of_the_discriminators_targets_alone(name):
    real, fake = jnp.asarray(logits())
    plain, soft = make(name), make(name, **SMOOTH)
    assert plain.generator(fake) == soft.generator(fake)
    # One-sided: no difference in the slopes at fake examples.
    one_sided = make(name, smooth_real=0.1)
    slopes = [
        jax.grad(x.discriminator, (0, 1))(real, fake) for x in (plain, one_sided, soft)
    ]
    np.testing.assert_array_equal(slopes[0][1], slopes[1][1])
    assert np.abs(slopes[0][1] - slopes[2][1]).min() > 0.02  # 0.2 / 9
    assert np.abs(slopes[0][0] - slopes[1][0]).min() > 0.01  # 0.1 / 9


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
@pytest.mark.parametrize("option", ["smooth_real", "smooth_fake"])
def test_smoothing_is_below_a_half(name, option):
    make(name, **{option: 0.499})
    with pytest.raises(ValueError, match=f"{option}=nan must be a number"):
        make(name, **{option: float("nan")})
    for value in (-0.1, 0.5, 0.9):
        with pytest.raises(ValueError, match=rf"{option}={value}, not in \[0, 0.5\)"):
            make(name, **{option: value})


@every_case
def test_who_needs_real_examples(name, options):
    """The generator's gradient reaches both sides, or the fake one alone."""
    loss = make(name, **options)
    real, fake = jnp.asarray(logits(scale=0.3))
    on_fake, on_real = jax.grad(loss.generator, (0, 1))(fake, real)
    assert (on_fake < 0).all() or name == "least_squares"
    assert loss.relative == name.startswith("relativistic")
    if loss.relative:
        assert (on_real > 0).all()
        with pytest.raises(ValueError, match="needs real_logits"):
            loss.generator(fake)
    else:
        assert not on_real.any()
        assert loss.generator(fake) == loss.generator(fake, real)


@every_case
def test_relativistic_losses_are_of_differences(name, options):
    """All logits moved by 5: no change, but for losses of single examples."""
    loss = make(name, **options)
    real, fake = jnp.asarray(logits(scale=1))
    change = [
        abs(loss.discriminator(real + 5, fake + 5) - loss.discriminator(real, fake)),
        abs(loss.generator(fake + 5, real + 5) - loss.generator(fake, real)),
    ]
    if loss.relative:
        np.testing.assert_allclose(change, 0, atol=1e-5)
        # The generator plays the discriminator's part for the fake examples.
        np.testing.assert_allclose(
            loss.generator(fake, real), loss.discriminator(fake, real)
        )
    elif name == "wasserstein":
        np.testing.assert_allclose(change, [0, 5], atol=1e-5)
    else:
        assert min(change) > 1e-3


def test_numbers_of_real_and_fake_examples():
    # Mean of real 2, of fake 1. Margins 3 - 1, 1 - 1; 2 - 0, 2 - 0, 2 - 3.
    # (0 + 1) / 2 + (0 + 0 + 2) / 3.
    real, fake = jnp.array([3.0, 1.0]), jnp.array([0.0, 0.0, 3.0])
    loss = make("relativistic_average", base="hinge")
    np.testing.assert_allclose(loss.discriminator(real, fake), 7 / 6, rtol=1e-6)
    pairing = make("relativistic_pairing")
    for call in (
        lambda: pairing.discriminator(real, fake),
        lambda: pairing.generator(real, fake),
        lambda: adversarial.flip_labels(real, fake, jax.random.key(0), 0.5),
        lambda: pairing.discriminator(real, fake[:1]),
    ):
        with pytest.raises(ValueError, match=r"in pairs: shapes \(\d,\), \(\d,\)"):
            call()


def test_names_and_options():
    make = adversarial.make
    with pytest.raises(
        ValueError, match="loss: 'hing'.*wasserstein.*did you mean 'hinge'"
    ):
        make("hing")
    with pytest.raises(
        ValueError, match="loss hinge has no option 'margin'; accepted are none"
    ):
        make("hinge", margin=2.0)
    with pytest.raises(
        ValueError, match="minimax has no option 'smooth'; .* smooth_fake, smooth_real"
    ):
        make("minimax", smooth_real=0.1, smooth=0.1)
    with pytest.raises(
        ValueError, match="relativistic_pairing: 'hing'.*logistic; did you mean 'hinge'"
    ):
        make("relativistic_pairing", base="hing")
    with pytest.raises(ValueError, match="base of relativistic_average: 'wasserstein'"):
        make("relativistic_average", base="wasserstein")


def test_flips_are_exchanges_of_pairs():
    real, fake = jnp.arange(20000.0), -1 - jnp.arange(20000.0)
    flip = jax.jit(adversarial.flip_labels)
    a, b = flip(real, fake, jax.random.key(0), 0.1)
    flipped = np.asarray(a != real)
    np.testing.assert_array_equal(a, jnp.where(flipped, fake, real))
    np.testing.assert_array_equal(b, jnp.where(flipped, real, fake))
    # The standard deviation of the share is sqrt(0.1 0.9 / 20000) = 0.0021.
    assert abs(flipped.mean() - 0.1) < 5 * 0.0021
    # Independent: of the neighbours of flipped ones as many are (0.0067 on 2000).
    assert abs(flipped[1:][flipped[:-1]].mean() - 0.1) < 5 * 0.0067
    again, _ = flip(real, fake, jax.random.key(0), 0.1)
    other, _ = flip(real, fake, jax.random.key(1), 0.1)
    np.testing.assert_array_equal(a, again)
    assert (a != other).any()
    for probability, expected in ((0.0, (real, fake)), (1.0, (fake, real))):
        both = flip(real, fake, jax.random.key(0), probability)
        np.testing.assert_array_equal(both, expected)


@every_loss
def test_any_loss_takes_flipped_labels(name):
    loss = make(name)
    real, fake = jnp.asarray(logits())
    key = jax.random.key(3)

    def noisy(real, fake):
        return loss.discriminator(*adversarial.flip_labels(real, fake, key, 0.4))

    a, b = adversarial.flip_labels(real, fake, key, 0.4)
    flipped = np.asarray(a != real)
    assert 0 < flipped.sum() < 9
    value, grads = jax.value_and_grad(noisy, (0, 1))(real, fake)
    np.testing.assert_allclose(value, loss.discriminator(a, b), rtol=1e-6)
    # A gradient goes back to the example that the logit is of.
    on_a, on_b = jax.grad(loss.discriminator, (0, 1))(a, b)
    np.testing.assert_allclose(grads[0], np.where(flipped, on_b, on_a), rtol=1e-5)
    np.testing.assert_allclose(grads[1], np.where(flipped, on_a, on_b), rtol=1e-5)
    assert not np.isclose(value, loss.discriminator(real, fake), rtol=1e-3)


def test_top_k_by_hand():
    top = jax.jit(adversarial.top_k_weights)
    x = jnp.array([0.5, 3.0, -1.0, 2.0])
    np.testing.assert_array_equal(top(x, 0.5), [0, 0.5, 0, 0.5])
    np.testing.assert_array_equal(top(x, 1.0), [0.25] * 4)
    # 0.1 4 = 0.4 rounds to 0, but one is kept; 2.5 rounds to 2, 3.5 to 4.
    np.testing.assert_array_equal(top(x, 0.1), [0, 1, 0, 0])
    np.testing.assert_array_equal(top(x, 0.625), [0, 0.5, 0, 0.5])
    np.testing.assert_array_equal(top(x, 0.875), [0.25] * 4)
    # Of equal ones the first.
    ties = jnp.array([1.0, 2.0, 1.0, 2.0, 2.0])
    np.testing.assert_array_equal(top(ties, 0.4), [0, 0.5, 0, 0.5, 0])
    np.testing.assert_array_equal(top(ties, 0.8), [0.25, 0.25, 0, 0.25, 0.25])
    assert top(x.astype(jnp.bfloat16), 0.5).dtype == jnp.float32


@pytest.mark.parametrize("distinct", [64, 3])
def test_top_k_are_exactly_k(distinct):
    x = np.random.default_rng(0).integers(distinct, size=64).astype(np.float32)
    top = jax.jit(adversarial.top_k_weights)
    for k in range(1, 65):
        weights = np.asarray(top(x, k / 64))
        kept = weights > 0
        assert kept.sum() == k
        np.testing.assert_allclose(weights[kept], 1 / k, rtol=1e-6)
        assert x[~kept].max(initial=-1) <= x[kept].min()


@every_loss
def test_top_k_training(name):
    """Torch's topk first, then the loss of what is left; share 1 is the plain loss."""
    torch = pytest.importorskip("torch")
    loss = make(name)
    real, fake = logits(8)
    _, generator = references(name, {"base": "logistic"})
    chosen = torch.topk(torch.tensor(fake), 3).indices.numpy()

    def ours(k, r, share=0.375):
        return loss.generator(k, r, adversarial.top_k_weights(k, share))

    def theirs(k, r):
        r = r if name != "relativistic_pairing" else r[chosen]
        return generator(k[chosen], r, torch.full((3,), 1 / 3, dtype=torch.float64))

    compare(ours, theirs, fake, real, dtype="float64", tolerance=1e-6)
    assert refuted(functools.partial(ours, share=0.5), theirs, fake, real)
    assert refuted(lambda k, r: ours(k, r, 1.0), theirs, fake, real)
    lowest = lambda k: adversarial.top_k_weights(-k, 0.375)  # noqa: E731
    assert refuted(lambda k, r: loss.generator(k, r, lowest(k)), theirs, fake, real)
    values = [
        jax.value_and_grad(f, (0, 1))(jnp.asarray(fake), jnp.asarray(real))
        for f in (lambda k, r: ours(k, r, 1.0), loss.generator)
    ]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), *values
    )


def test_top_k_passes_no_gradient_through_the_choice():
    x = jnp.asarray(logits()[0])
    mark = jnp.arange(9.0)
    slopes = jax.grad(lambda x, s: adversarial.top_k_weights(x, s) @ mark, (0, 1))
    on_logits, on_share = slopes(x, 0.5)
    assert not on_logits.any() and not on_share


@every_case
def test_costs_are_elementwise(name, options):
    """One for each logit, in whatever shape the logits come: patches, time steps."""
    loss = adversarial.make(name, **options)
    real, fake = (jnp.asarray(x) for x in logits(12))
    one = loss.discriminator(real, fake), loss.generator(fake, real)
    shaped = real.reshape(2, 3, 2), fake.reshape(2, 3, 2)
    many = loss.discriminator(*shaped), loss.generator(*shaped[::-1])
    for flat, maps in zip(one, many, strict=True):
        for a, b in zip(flat, maps, strict=True):
            assert a.shape == (12,) and b.shape == (2, 3, 2)
            np.testing.assert_allclose(a, b.reshape(12), rtol=1e-6)


def test_the_total_by_hand():
    # (1 + 3) / 2 + (2 + 4 + 6) / 3 = 6; weighted 0.25 1 + 0.75 3 + 4 = 6.5.
    costs = jnp.array([1.0, 3.0]), jnp.array([2.0, 4.0, 6.0])
    assert adversarial.total(costs) == 6
    assert adversarial.total(costs, jnp.array([0.25, 0.75])) == 6.5
    assert adversarial.total(costs[:1]) == 2


def test_a_loss_that_returns_one_array_is_refused():
    """Its rows would be summed, which is the batch size times its mean."""
    with pytest.raises(ValueError, match=r"a tuple .* one array of shape \(3,\)"):
        adversarial.total(jnp.ones(3))


@pytest.mark.parametrize(
    "costs, got",
    [
        (lambda real, fake: (real.mean(), fake.mean()), r"\[\]"),
        (lambda real, fake: (real, fake.sum()), r"\[\]"),
        (lambda real, fake: (real - fake[:, None],), r"\[3, 3\]"),
        (lambda real, fake: (real[:, None], fake[:, None]), r"\[3, 1\]"),
    ],
)
def test_costs_of_another_shape_than_the_logits_are_refused(costs, got):
    """[B] less [B, 1] is [B, B]: its mean is a number, and wrong."""
    logits = jnp.arange(3.0)
    where = rf" \(\S*test_adversarial.py, line {costs.__code__.co_firstlineno}\)"
    said = rf"of the shape of its logits, \[3\], got {got}{where}"
    with pytest.raises(ValueError, match=said):
        adversarial.total(costs(logits, logits), logits=logits, by=costs)
    own = adversarial.Adversarial(costs, lambda fake, real=None, w=None: (-fake,))
    with pytest.raises(ValueError, match=said.replace("3", r"\d")):
        jax.eval_shape(step_of(own))


def step_of(loss):
    """() -> a step of a game of this loss."""
    part = {"widths": (4,)}
    two = Game(
        generator=networks.make("Generator", "mlp", shape=(2,), **part),
        discriminator=networks.make("Discriminator", "mlp", **part),
        tx={"g": optax.sgd(0.1), "d": optax.sgd(0.1)},
        loss=loss,
        latent=3,
        spec={"point": Field("point", (2,), "float32")},
    ).gan()
    key = jax.random.key(0)
    batch = {"point": jnp.ones((3, 2))}
    return lambda: core.make_step(two)(core.init(two, key), batch, key)


def test_costs_of_the_logits_shape_are_accepted():
    jax.eval_shape(step_of(adversarial.hinge()))
