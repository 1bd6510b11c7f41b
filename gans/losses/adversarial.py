"""Adversarial losses: pairs of functions from logits to costs, example by example.

A loss takes logits [B, ...] (no sigmoid applied) and returns a tuple of arrays of
costs, in float32, or in float64 where the logits are float64. The caller reduces them:
`total` adds the means. Beside them, two ways to change what a loss is given:
`flip_labels` and `top_k_weights`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from gans import names
from gans.names import check, holds

Costs = tuple[Array, ...]


@dataclasses.dataclass(frozen=True)
class Adversarial:
    """The losses of the two players, not reduced.

    discriminator: (real_logits [B, ...], fake_logits [B, ...]) -> (costs of the real
      [B, ...], costs of the fake [B, ...]), or (costs of the pairs [B, ...],).
    generator: (fake_logits [B, ...], real_logits [B, ...] | None = None,
      weights [B, ...] | None = None) -> (costs of the fake [B, ...],), or those and the
      costs of the real. `weights`, of sum 1, are for relativistic losses that compare
      with the mean of the fake logits; None: 1 / B each.
    relative: the generator's loss needs the logits of real examples.
    boundary: the logit of the best discriminator where real and fake are equally
      likely: above it, an example counts as real. None: a single logit has no such
      meaning.
    """

    discriminator: Callable[[Array, Array], Costs]
    generator: Callable[..., Costs]
    relative: bool = False
    boundary: float | Array | None = 0.0


def total(
    costs: Costs,
    weights: Array | None = None,
    *,
    logits: Array | None = None,
    by: Callable[..., Costs] | None = None,
) -> Array:
    """Returns the sum [] of the means of the arrays of costs [B, ...].

    `weights` [B, ...], of sum 1, take the place of the mean over the first array.

    Raises ValueError for one array, whose rows would be taken for arrays and summed;
    and for costs of another shape than `logits` [B, ...], if they are given: a scalar,
    or [B, B] of logits [B] and [B, 1]. `by`: the function that gave them, for errors.
    """
    where = names.where(by) if by else ""
    if not isinstance(costs, tuple | list):
        raise ValueError(
            "a loss returns a tuple of arrays of costs [B], got one array of shape "
            f"{jnp.shape(costs)}; (costs,) is a tuple of one{where}"
        )
    for cost in costs if logits is not None else ():
        if jnp.shape(cost) != logits.shape:
            raise ValueError(
                f"a loss returns costs of the shape of its logits, {[*logits.shape]}, "
                f"got {[*jnp.shape(cost)]}{where}"
            )
    first, *rest = costs
    return sum((_mean(x) for x in rest), _mean(first, weights))


def _wide(x):
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _mean(x, weights=None):
    return jnp.mean(x) if weights is None else jnp.sum(weights * x)


def _absolute(real, fake, fool, boundary=0.0):
    """Losses of single examples: what `real` and `fake` cost the discriminator, and
    what `fool` costs the generator, at a logit."""

    def discriminator(real_logits, fake_logits):
        return real(_wide(real_logits)), fake(_wide(fake_logits))

    def generator(fake_logits, real_logits=None, weights=None):
        return (fool(_wide(fake_logits)),)

    return Adversarial(discriminator, generator, boundary=boundary)


def _relative(contest):
    """Losses of a contest, which the discriminator wants real examples to win, and the
    generator fake ones: contest(winner, loser, mean of winners, mean of losers)."""

    def discriminator(real_logits, fake_logits):
        return contest(_wide(real_logits), _wide(fake_logits), _mean, _mean)

    def generator(fake_logits, real_logits=None, weights=None):
        if real_logits is None:
            raise ValueError("the generator of a relativistic loss needs real_logits")
        of_fake = functools.partial(_mean, weights=weights)
        return contest(_wide(fake_logits), _wide(real_logits), of_fake, _mean)

    return Adversarial(discriminator, generator, relative=True, boundary=None)


# The cost of being on the right side by a margin (below 0: on the wrong one).
def _logistic(margin):
    return jax.nn.softplus(-margin)


def _squares(margin):
    return (margin - 1) ** 2


def _hinge(margin):
    return jax.nn.relu(1 - margin)


BASES = {"logistic": _logistic, "least_squares": _squares, "hinge": _hinge}


def _cross_entropy(fool, smooth_real, smooth_fake):
    """Logistic losses with targets 1 - smooth_real and smooth_fake."""
    for side, smooth in (("real", smooth_real), ("fake", smooth_fake)):
        if not holds((0 <= smooth) & (smooth < 0.5)):
            raise ValueError(
                f"label smoothing: smooth_{side}={smooth}, not in [0, 0.5)"
            )
    return _absolute(
        lambda x: _logistic(x) + smooth_real * x,
        lambda x: _logistic(-x) - smooth_fake * x,
        fool,
        # Where D is half the sum of the targets.
        _log(1 - smooth_real + smooth_fake) - _log(1 + smooth_real - smooth_fake),
    )


def _log(x):
    return jnp.log(x) if isinstance(x, Array) else math.log(x)


def minimax(smooth_real: float = 0.0, smooth_fake: float = 0.0) -> Adversarial:
    """Equation 1 of arXiv 1406.2661: the generator minimises log(1 - D(G(z))).

    With D = sigmoid(logits), the discriminator minimises -log D(x) - log(1 - D(G(z))).
    Label smoothing (section 3.4 of arXiv 1606.03498, one-sided: smooth_fake = 0) makes
    its targets 1 - smooth_real and smooth_fake instead of 1 and 0, and leaves the
    generator's loss alone. Raises ValueError where one of the two is not in [0, 0.5).
    """
    return _cross_entropy(lambda x: -_logistic(-x), smooth_real, smooth_fake)


def non_saturating(smooth_real: float = 0.0, smooth_fake: float = 0.0) -> Adversarial:
    """Section 3 of arXiv 1406.2661: the generator maximises log D(G(z)).

    The discriminator's loss and its label smoothing are those of `minimax`.
    """
    return _cross_entropy(_logistic, smooth_real, smooth_fake)


def least_squares(
    a: float = 0.0, b: float = 1.0, c: float = 1.0, factor: float = 0.5
) -> Adversarial:
    """Equation 2 of arXiv 1611.04076: targets a (fake), b (real), c (generator).

    Squares are multiplied by `factor`: 1/2 there, 1 in arXiv 1703.10593, section 4.
    """

    def towards(target):
        return lambda x: factor * (x - target) ** 2

    return _absolute(towards(b), towards(a), towards(c), boundary=0.5 * (a + b))


def hinge() -> Adversarial:
    """Equations 16 and 17 of arXiv 1802.05957."""
    return _absolute(_hinge, lambda x: _hinge(-x), jnp.negative)


def wasserstein() -> Adversarial:
    """Equation 2 of arXiv 1701.07875, for a critic kept 1-Lipschitz by other means."""
    return _absolute(jnp.negative, jnp.positive, jnp.negative, boundary=None)


def relativistic_average(base: str = "logistic") -> Adversarial:
    """RaGAN (arXiv 1807.00734): each logit is measured from the other side's mean.

    The discriminator wants real examples above the mean of the fake, and the mean of
    the real above fake examples; the generator wants the opposite. Margins cost
    log(1 + exp(-m)) ("logistic": RaSGAN), (m - 1)^2 ("least_squares": RaLSGAN) or
    max(0, 1 - m) ("hinge": RaHingeGAN), and the two means of costs are added. Raises
    ValueError for another `base`.
    """
    cost = BASES[check(base, BASES, "base of relativistic_average")]

    def contest(winner, loser, of_winner, of_loser):
        return cost(winner - of_loser(loser)), cost(of_winner(winner) - loser)

    return _relative(contest)


def relativistic_pairing(base: str = "logistic") -> Adversarial:
    """RpGAN: the i-th real logit is measured from the i-th fake one.

    The relativistic GAN of arXiv 1807.00734 for costs with f2(-m) = f1(m), and equation
    2 of arXiv 2501.05441 (R3GAN) for the "logistic" base; the bases are those of
    `relativistic_average`. Raises ValueError for another `base`, and, when called, for
    unequal numbers of real and fake logits.
    """
    cost = BASES[check(base, BASES, "base of relativistic_pairing")]

    def contest(winner, loser, of_winner, of_loser):
        _check_pairs(winner, loser)
        return (cost(winner - loser),)

    return _relative(contest)


LOSSES = {
    f.__name__: f
    for f in (
        minimax,
        non_saturating,
        least_squares,
        hinge,
        wasserstein,
        relativistic_average,
        relativistic_pairing,
    )
}


def make(name: str, **options) -> Adversarial:
    """Returns the loss of that name, or of your own function that returns one.

    name: of LOSSES, or a path (see `gans.names`). Raises ValueError for an unknown name
    or option.
    """
    build = names.pick(name, LOSSES, "loss")
    made = names.call(build, options, "loss", name)
    return names.wanted(made, Adversarial, "loss", name, "an Adversarial")


def flip_labels(
    real_logits: Array, fake_logits: Array, key: Array, probability: float | Array
) -> tuple[Array, Array]:
    """Noisy labels: some real and fake logits are exchanged before the loss.

    The trick is from S. Chintala's "How to train a GAN" (github.com/soumith/ganhacks,
    item 6). Deviation: pairs are flipped, so that as many examples are called real as
    fake; each label is wrong with the same probability as if flipped alone.

    Args:
      real_logits, fake_logits: [B]; their shapes differ: ValueError.
      key: draws which pairs.
      probability: [] in [0, 1], that the i-th real and i-th fake one are exchanged.

    Returns: the logits [B] to be taken for real, and those [B] to be taken for fake.
    """
    _check_pairs(real_logits, fake_logits)
    flip = jax.random.bernoulli(key, probability, real_logits.shape)
    return (
        jnp.where(flip, fake_logits, real_logits),
        jnp.where(flip, real_logits, fake_logits),
    )


def top_k_weights(fake_logits: Array, share: float | Array) -> Array:
    """Weights [B] of the generator's loss: only fakes with the highest logits count.

    Algorithm 1 of arXiv 2002.06224. Of fake_logits [B], the k highest (of equal ones
    the first) get 1 / k each, the others 0; k = max(1, round(share B)), halves to even,
    for a share [] in (0, 1], which may be traced. The choice passes no gradient on.

    Returns: [B] float32, of sum 1.
    """
    best_first = jnp.argsort(fake_logits, descending=True, stable=True)
    rank = jnp.argsort(best_first)
    k = jnp.clip(jnp.round(jnp.float32(share) * len(fake_logits)), 1, len(fake_logits))
    return jax.lax.stop_gradient(jnp.where(rank < k, 1 / k, 0))


def _check_pairs(x, y):
    if x.shape != y.shape:
        raise ValueError(f"real and fake logits in pairs: shapes {x.shape}, {y.shape}")
