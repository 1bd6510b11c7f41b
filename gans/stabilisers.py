"""Terms that stabilise a game, by name: what a config adds to the players' losses.

Each is `NAME(weight=..., every=..., option=...)`; weights are the papers' unless given.
The formulas are in `gans.losses`; here is what each of them is fed with.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from gans import augment, names
from gans.core import Bound, State
from gans.losses import matching, penalties, regularisers


@dataclasses.dataclass(frozen=True)
class Move:
    """What a term may look at, in a move of `player`, "g" or "d".

    Attributes:
      critic: inputs [B, ...] -> logits [B]; it augments them first, and draws what the
        critic's loss draws for the real examples, or, with as_fake=True, for the fake
        ones: in its move critic(real) is on_real, critic(fake, as_fake=True) on_fake.
      features: inputs [B, ...] -> the critic's hidden layers {name: [B, ...]}.
      both: the two of `critic` together -> (logits [B], logits [B], stats).
      real, fake: [B, ...], as they come from the data and from the generator.
      z, label: of the fake examples; the label of the real ones is the same.
      on_real, on_fake: logits [B], of the loss.
      key: this term's own.
    """

    player: str
    nets: dict[str, Bound]
    state: State
    critic: Callable[..., Array]
    features: Callable[[Array], dict[str, Array]]
    both: Callable[[Array, Array], tuple[Array, Array, Any]]
    real: Array
    fake: Array
    z: Array
    label: Array | None
    on_real: Array | None
    on_fake: Array
    key: Array


@dataclasses.dataclass(frozen=True)
class Term:
    """weight * value(move), added to a loss.

    Attributes:
      value: Move -> [] float32.
      weight: of a term that is always due.
      every: due in each so many moves only, as a move of its own, with `every` times
        the weight (StyleGAN2, arXiv 1912.04958, appendix B); 1: part of the loss.
      per_example: it takes gradients of each logit by its own example.
      replaces: the adversarial loss, which is then left out.
      first: the player's first parameters -> what it keeps in `state.aux`.
      remember: Move -> its new value.
    """

    name: str
    value: Callable[[Move], Array]
    weight: float
    every: int = 1
    per_example: bool = False
    replaces: bool = False
    first: Callable[[Any], Any] | None = None
    remember: Callable[[Move], Any] | None = None


def make(specs: tuple[str, ...], player: str, shape: tuple[int, ...]) -> list[Term]:
    """Returns the terms of `player`, "critic" or "generator", of examples of `shape`.

    Raises ValueError for an unknown name, option or value, and for one given twice.
    """
    place = f"config.{player}.penalties"
    if isinstance(specs, str):
        raise ValueError(f"{place}={specs!r} must be a tuple of strings")
    terms = []
    for spec in specs:
        name, given = names.parse(spec, place)
        factory = TERMS[player][names.check(name, TERMS[player], place)]
        known = [*inspect.signature(factory).parameters, "every"]
        names.options(known, given, name)
        if "policy" in known:
            augment.make("diff_augment").check(shape)
        every = given.pop("every", 1)
        if not (isinstance(every, int) and every >= 1):
            raise ValueError(f"{place}: {name} every={every!r} must be at least 1")
        for option, least, most in RANGES:
            names.number(
                given.get(option, least),
                lambda x, least=least, most=most: (least <= x) & (x < most),
                f"{place}: {name} {option}",
                f"in [{least}, {most})",
            )
        term = dataclasses.replace(factory(**given), name=name, every=every)
        if every > 1 and (term.remember is not None or term.replaces):
            raise ValueError(
                f"{place}: {name} every={every}, but it must be in every move: it "
                + ("replaces the loss" if term.replaces else "keeps a running mean")
            )
        terms.append(term)
    found = [term.name for term in terms]
    if len(set(found)) < len(found):
        raise ValueError(f"{place}: each at most once, got {', '.join(found)}")
    return terms


def add(
    loss: Array, terms: list[Term], move: Move, keys: list[Array]
) -> tuple[Array, dict[str, Array], dict[str, Any]]:
    """Returns the loss [] with the terms, their bare values [], and their new aux."""
    values, aux = {}, {}
    for term, key in zip(terms, keys, strict=True):
        own = dataclasses.replace(move, key=key)
        values[term.name] = term.value(own)
        loss = loss + term.weight * values[term.name]
        if term.remember is not None:
            aux[slot(term.name, move.player)] = term.remember(own)
    return loss, values, aux


def slot(name: str, player: str) -> str:
    """The name in `state.aux` of what a term of "g" or "d" keeps."""
    return f"{player}_{name}"


def _kept(move, name):
    return move.state.aux[slot(name, move.player)]


# --- on the critic's slope -----------------------------------------------------------


def _slope(weight, value):
    return Term("", value, weight, per_example=True)


def gradient_penalty(weight: float = 10.0, one_sided: bool = False) -> Term:
    """WGAN-GP, arXiv 1704.00028."""
    return _slope(
        weight,
        lambda m: penalties.gradient_penalty(
            m.critic, m.real, m.fake, m.key, one_sided=one_sided
        ),
    )


def dragan(weight: float = 10.0) -> Term:
    """arXiv 1705.07215."""
    return _slope(weight, lambda m: penalties.dragan(m.critic, m.real, m.key))


def r1(weight: float = 10.0) -> Term:
    """arXiv 1801.04406, equation 9; `weight` is gamma."""
    return _slope(weight, lambda m: penalties.r1(m.critic, m.real))


def r2(weight: float = 10.0) -> Term:
    """arXiv 1801.04406, equation 10; `weight` is gamma."""
    return _slope(weight, lambda m: penalties.r2(m.critic, m.fake))


def zero_centred(weight: float = 100.0) -> Term:
    """At interpolates, arXiv 1902.03984."""
    return _slope(
        weight, lambda m: penalties.zero_centred(m.critic, m.real, m.fake, m.key)
    )


# --- on the critic's logits ----------------------------------------------------------


def lecam(weight: float = 0.3, decay: float = 0.99) -> Term:
    """arXiv 2104.03310: distances from running means of the logits, kept in `aux`.

    The means are those of the moves before, from 0. Deviation: the authors' code adds
    the term after a warm-up only.
    """

    def value(m):
        means = _kept(m, "lecam")
        return regularisers.lecam(m.on_real, m.on_fake, means["real"], means["fake"])

    def remember(m):
        new = {"real": jnp.mean(m.on_real), "fake": jnp.mean(m.on_fake)}
        return jax.tree.map(
            lambda a, b: decay * a + (1 - decay) * b, _kept(m, "lecam"), new
        )

    def first(params):
        return {"real": jnp.zeros(()), "fake": jnp.zeros(())}

    return Term("", value, weight, first=first, remember=remember)


def consistency(weight: float = 10.0, policy: str = "translation") -> Term:
    """CR-GAN, arXiv 1910.12027: of real images.

    Deviation: the images are moved (see `gans.augment`), but not flipped too.
    """
    transform = augment.make("diff_augment", policy=policy)

    def value(m):
        moved = transform.apply(m.real, m.key, m.state.step)
        return regularisers.consistency(m.on_real, m.critic(moved))

    return Term("", value, weight)


def balanced_consistency(weight: float = 10.0, policy: str = "translation") -> Term:
    """bCR, arXiv 2002.04724, algorithm 1: of real and of generated images alike."""
    transform = augment.make("diff_augment", policy=policy)

    def value(m):
        keys = jax.random.split(m.key)
        moved = [
            transform.apply(x, key, m.state.step)
            for x, key in zip((m.real, m.fake), keys, strict=True)
        ]
        on_real, on_fake, _ = m.both(*moved)
        return regularisers.consistency(m.on_real, on_real) + regularisers.consistency(
            m.on_fake, on_fake
        )

    return Term("", value, weight)


def latent_consistency(weight: float = 5.0, sigma: float = 0.03) -> Term:
    """zCR's critic, arXiv 2002.04724, algorithm 2: of G(z) and G(z + noise)."""

    def value(m):
        near = m.critic(_neighbours(m, sigma), as_fake=True)
        return regularisers.consistency(m.on_fake, near)

    return Term("", value, weight)


def latent_diversity(weight: float = 0.5, sigma: float = 0.03) -> Term:
    """zCR's generator, arXiv 2002.04724, algorithm 2: G(z) and G(z + noise) apart."""

    def value(m):
        return regularisers.latent_diversity(m.fake, _neighbours(m, sigma))

    return Term("", value, weight)


def _neighbours(m, sigma):
    key_noise, key_dropout = jax.random.split(m.key)
    z = m.z + sigma * jax.random.normal(key_noise, m.z.shape)
    return m.nets["g"](z, m.label, key=key_dropout)


# --- on parameters and features ------------------------------------------------------


def orthogonal(weight: float = 1e-4, off_diagonal: bool = True) -> Term:
    """arXiv 1809.11096, section 3.1; with the diagonal that of arXiv 1609.07093."""
    return Term(
        "",
        lambda m: regularisers.orthogonal(
            m.nets[m.player].params, off_diagonal=off_diagonal
        ),
        weight,
    )


def historical(weight: float = 1.0) -> Term:
    """Historical averaging, arXiv 1606.03498, section 3.3; the mean is in `aux`.

    Of the parameters before each move of the player so far.
    """

    def value(m):
        mean = _kept(m, "historical")["mean"]
        return regularisers.historical(m.nets[m.player].params, mean)

    def remember(m):
        kept, now = _kept(m, "historical"), m.nets[m.player].params
        mean = regularisers.running_mean(kept["mean"], now, kept["n"])
        return {"mean": mean, "n": kept["n"] + 1}

    def first(params):
        return {"mean": jax.tree.map(jnp.copy, params), "n": jnp.int32(0)}

    return Term("", value, weight, first=first, remember=remember)


def feature_matching(weight: float = 1.0, moments: int = 1, alone: bool = True) -> Term:
    """arXiv 1606.03498, section 3.1: the generator matches means of critic features.

    It takes the place of the adversarial loss, unless `alone` is False. With
    moments=2 variances too (GFMN, arXiv 1904.02762).
    """
    if moments not in (1, 2):
        raise ValueError(f"feature_matching: moments={moments} must be 1 or 2")
    distance = (matching.feature_matching, matching.moment_matching)[moments - 1]

    def value(m):
        real = jax.lax.stop_gradient(m.features(m.real))
        return distance(real, m.features(m.fake))

    return Term("", value, weight, replaces=alone)


# Of options, in whichever term: from the first on, below the second.
RANGES = (("weight", 0, math.inf), ("sigma", 0, math.inf), ("decay", 0, 1))

TERMS = {
    "critic": {
        f.__name__: f
        for f in (gradient_penalty, dragan, r1, r2, zero_centred, lecam, consistency,
                  balanced_consistency, latent_consistency, orthogonal, historical)
    },
    "generator": {
        f.__name__: f
        for f in (feature_matching, latent_diversity, orthogonal, historical)
    },
}  # fmt: skip
