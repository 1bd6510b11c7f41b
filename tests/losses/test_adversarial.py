"""Adversarial losses: numbers by hand, and torch for values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.losses import adversarial

LN2, LN3 = np.log(2), np.log(3)


@pytest.mark.parametrize(
    "name, options, real, fake, critic, generator",
    [
        # D = 1/2, 3/4 on both. Critic: (ln 2 + ln 4/3) / 2 + (ln 2 + ln 4) / 2
        # = ln(64/3) / 2. Generator: minus its second half = -1.5 ln 2.
        ("minimax", {}, [0, LN3], [0, LN3], np.log(64 / 3) / 2, -1.5 * LN2),
        # The same critic; the generator minimises (ln 2 + ln 4/3) / 2 = ln(8/3) / 2.
        (
            "non_saturating",
            {},
            [0, LN3],
            [0, LN3],
            np.log(64 / 3) / 2,
            np.log(8 / 3) / 2,
        ),
        # (1 + 1/4) / 4 + (1 + 1) / 4 = 0.8125; (0 + 4) / 4 = 1.
        ("least_squares", {}, [2, 0.5], [1, -1], 0.8125, 1.0),
        # a, b, c = -1, 1, 0: (1 + 1/4) / 4 + (4 + 0) / 4 = 1.3125; (1 + 1) / 4 = 0.5.
        (
            "least_squares",
            {"a": -1.0, "b": 1.0, "c": 0.0},
            [2, 0.5],
            [1, -1],
            1.3125,
            0.5,
        ),
        # (0 + 0.5) / 2 + (2 + 0) / 2 = 1.25; -(1 - 3) / 2 = 1.
        ("hinge", {}, [2, 0.5], [1, -3], 1.25, 1.0),
        # -1 - 1.25 = -2.25; 1.
        ("wasserstein", {}, [2, 0.5], [1, -3], -2.25, 1.0),
    ],
)
def test_by_hand(name, options, real, fake, critic, generator):
    loss = adversarial.make(name, **options)
    real, fake = jnp.array(real, jnp.float32), jnp.array(fake, jnp.float32)
    on_critic, on_generator = loss.critic(real, fake), loss.generator(fake)
    np.testing.assert_allclose(on_critic, critic, rtol=1e-6)
    np.testing.assert_allclose(on_generator, generator, rtol=1e-6)
    for value in (on_critic, on_generator):
        assert value.shape == () and value.dtype == jnp.float32


def references():
    """{name: (critic, generator)} in torch's words."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional

    def bce(logits, target):
        targets = torch.full_like(logits, target)
        return f.binary_cross_entropy_with_logits(logits, targets)

    def mse(logits, target):
        return f.mse_loss(logits, torch.full_like(logits, target)) / 2

    def log_loss(real, fake):
        return bce(real, 1.0) + bce(fake, 0.0)

    return {
        "minimax": (log_loss, lambda fake: -bce(fake, 0.0)),
        "non_saturating": (log_loss, lambda fake: bce(fake, 1.0)),
        "least_squares": (
            lambda r, k: mse(r, 1.0) + mse(k, 0.0),
            lambda k: mse(k, 1.0),
        ),
        "hinge": (
            lambda r, k: -f.hardtanh(r - 1, -1e9, 0).mean() + f.relu(1 + k).mean(),
            lambda k: -k.mean(),
        ),
        "wasserstein": (lambda r, k: k.mean() - r.mean(), lambda k: -k.mean()),
    }


def compare(ours, theirs, *logits):
    """Values and gradients of one player's loss, ours in float32, theirs in float64."""
    import torch

    inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in logits]
    value = theirs(*inputs)
    value.backward()
    argnums = tuple(range(len(logits)))
    logits = [jnp.asarray(x, jnp.float32) for x in logits]
    mine, grads = jax.value_and_grad(ours, argnums)(*logits)
    np.testing.assert_allclose(mine, value.item(), rtol=1e-5, atol=1e-6)
    for g, x in zip(grads, inputs, strict=True):
        np.testing.assert_allclose(g, x.grad.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", sorted(adversarial.LOSSES))
def test_against_torch(name):
    critic, generator = references()[name]
    loss = adversarial.make(name)
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 9)) * 3
    compare(loss.critic, critic, real, fake)
    compare(loss.generator, generator, fake)
    # Probabilities in place of logits, and real in place of fake, are other losses.
    with pytest.raises(AssertionError):
        compare(
            lambda r, k: loss.critic(*map(jax.nn.sigmoid, (r, k))), critic, real, fake
        )
    with pytest.raises(AssertionError):
        compare(lambda k: loss.generator(jax.nn.sigmoid(k)), generator, fake)
    with pytest.raises(AssertionError):
        compare(lambda r, k: loss.critic(k, r), critic, real, fake)


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_saturated_logits_give_no_infinity(name):
    # -log D(-1e4) = 1e4 up to exp(-1e4) = 0, and its slope is -1.
    loss = adversarial.make(name)
    far = jnp.full(2, 1e4)
    value, grads = jax.value_and_grad(loss.critic, (0, 1))(-far, far)
    np.testing.assert_allclose(value, 2e4)
    np.testing.assert_allclose(grads, [[-0.5, -0.5], [0.5, 0.5]])


def test_only_minimax_saturates_where_the_critic_wins():
    # d/dx of -softplus(x) and of softplus(-x), at x = -10: -s(x) and s(x) - 1.
    x, s = jnp.float32(-10), 1 / (1 + np.exp(10.0))
    slopes = [jax.grad(f().generator)(x) for f in
              (adversarial.minimax, adversarial.non_saturating)]  # fmt: skip
    np.testing.assert_allclose(slopes, [-s, s - 1], rtol=1e-5)


@pytest.mark.parametrize("name", sorted(adversarial.LOSSES))
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_logits_are_judged_in_float32(name, dtype):
    # 300 squared is past float16's largest number, 65504.
    logits = jnp.array([300.0, 0.3, -1.7, 0.9], dtype)
    loss, exact = adversarial.make(name), logits.astype(jnp.float32)
    for half, full in [
        (loss.critic(logits, logits[::-1]), loss.critic(exact, exact[::-1])),
        (loss.generator(logits), loss.generator(exact)),
    ]:
        assert half.dtype == jnp.float32
        np.testing.assert_allclose(half, full, rtol=1e-6)


def test_unknown_names():
    with pytest.raises(
        ValueError, match="loss: 'hing'.*wasserstein.*did you mean 'hinge'"
    ):
        adversarial.make("hing")
    with pytest.raises(TypeError, match="margin"):
        adversarial.make("hinge", margin=2.0)
