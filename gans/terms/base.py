"""What a term is, and what it may use."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

from gans import names
from gans.core import Bound


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """What a term may use, in an update of one network.

    A game fills in what its terms need; the rest stays None.

    Attributes:
      name: of the network in the GAN.
      net: the network that the term is about.
      discriminate: inputs [B, ...] -> logits [B]. It augments the inputs first, and
        draws what the loss draws for the real examples, or with as_fake=True what it
        draws for the fake ones: in the discriminator's update discriminate(real) is
        on_real, and discriminate(fake, as_fake=True) is on_fake.
      features: inputs [B, ...] -> the discriminator's layers {name: [B, ...]}.
      both: `discriminate` of real and fake [B, ...] in one pass -> (logits, logits).
      generate: (z [B, L], key) -> fake [B, ...].
      real, fake: [B, ...], as they come from the data and from the generator.
      z, label: of the fake examples; the real ones have the same labels.
      on_real, on_fake: logits [B], of the loss.
      step: [] int32.
      key: this term's own.
      memory: what this term remembers (see `Term`).
    """

    name: str
    net: Bound
    step: Array
    discriminate: Callable[..., Array] | None = None
    features: Callable[[Array], dict[str, Array]] | None = None
    both: Callable[[Array, Array], tuple[Array, Array]] | None = None
    generate: Callable[[Array, Array], Array] | None = None
    real: Array | None = None
    fake: Array | None = None
    z: Array | None = None
    label: Array | None = None
    on_real: Array | None = None
    on_fake: Array | None = None
    key: Array | None = None
    memory: Any = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Term:
    """weight * value(context), added to the loss of a network.

    Attributes:
      name: its metric, and the second half of its name in `state.aux`.
      value: Context -> [] float32; of a term with a memory, a pair of that and of what
        it remembers next, which passes no gradient on.
      weight: of a term that is part of the loss.
      every: due in each so many updates of its network only, as an update of its own
        with `every` times the weight (StyleGAN2, arXiv 1912.04958, appendix B); 1: part
        of the loss.
      memory: the first parameters of its network -> what it remembers at first, a tree
        kept in `state.aux`; None: nothing.
      about: the networks that it is for: "discriminator", "generator".
      per_example: it differentiates logits with respect to their examples. A norm with
        statistics of the batch has no part in that; minibatch features have: then it is
        about the gradient of the sum of all logits, as in the papers that use both
        (arXiv 1710.10196, 1912.04958).
      replaces: the adversarial loss, which is then left out.
      of_kernels: it is about the size of kernels.
      of_latents: it moves the latents z of a generator.
      of_styles: it is about the styles w of a generator with a mapping network.
      kinds: the kinds of data that it is for; None: any.

    Raises ValueError for a weight or an interval out of range, and for a lazy term that
    replaces the loss.
    """

    name: str
    value: Callable[[Context], Any]
    weight: float
    every: int = 1
    memory: Callable[[Any], Any] | None = None
    about: tuple[str, ...] = ("discriminator",)
    per_example: bool = False
    replaces: bool = False
    of_kernels: bool = False
    of_latents: bool = False
    of_styles: bool = False
    kinds: tuple[str, ...] | None = None

    def __post_init__(self):
        at_least_0(self.weight, f"{self.name}: weight")
        if not (isinstance(self.every, int) and self.every >= 1):
            raise ValueError(f"{self.name}: every={self.every!r} must be at least 1")
        if self.every > 1 and self.replaces:
            raise ValueError(
                f"{self.name}: every={self.every}, but it replaces the loss, so it "
                "must be part of every update: every=1"
            )

    def check(self, module: Any, kind: str) -> None:
        """Raises ValueError if it is not for this network or this kind of data."""
        if self.kinds is not None and kind not in self.kinds:
            raise ValueError(
                f"{self.name} is for data of kind {' or '.join(self.kinds)}, "
                f"not {kind!r}"
            )
        layers = getattr(module, "layers", None)
        mixes = getattr(module, "mixes_batch", False)
        if self.per_example and mixes and getattr(layers, "norm_mixes_batch", True):
            raise ValueError(
                f"{self.name} differentiates each logit with respect to its own "
                "example, but this discriminator normalises the whole batch: "
                f"norm={getattr(layers, 'norm', None)!r}; accepted is None, or a norm "
                "of each example"
            )
        if self.of_styles and not hasattr(module, "styles"):
            file = type(module).__module__.rpartition(".")[2]
            raise ValueError(
                f"{self.name} is about the styles w of a generator with a mapping "
                f"network, and network={file!r} has none"
            )
        if self.of_kernels and getattr(layers, "equalised", False):
            raise ValueError(
                f"{self.name} is about the size of the kernels in use, but equalised "
                "kernels are stored at another size, about 1"
            )


def at_least_0(value: Any, place: str, below: float = math.inf) -> None:
    """Raises ValueError unless `value` is a number, or a traced one, in [0, below)."""
    names.number(value, lambda x: (0 <= x) & (x < below), place, f"in [0, {below})")


def slot(term: Term, network: str) -> str:
    """Returns the name in `state.aux` of what a term of a network remembers."""
    return f"{network}_{term.name}"


def add(
    loss: Array,
    terms: tuple[Term, ...],
    context: Context,
    keys: list[Array],
    aux: Mapping[str, Any],
) -> tuple[Array, dict[str, Array], dict[str, Any]]:
    """Adds terms to a loss [].

    Args:
      keys: one for each term.
      aux: the state's (`State.aux`).

    Returns: the sum [], the bare values {term: []}, and what the terms remember next,
    to be returned in `Out.aux`.
    """
    values, remembered = {}, {}
    for term, key in zip(terms, keys, strict=True):
        where = slot(term, context.name)
        own = dataclasses.replace(context, key=key, memory=aux.get(where))
        value = term.value(own)
        if term.memory is not None:
            value, remembered[where] = value
        if jnp.shape(value) != ():
            raise ValueError(
                f"term {term.name!r} is one number [], got {[*jnp.shape(value)]}"
                f"{names.where(term.value)}"
            )
        values[term.name] = value
        loss = loss + term.weight * value
    return loss, values, remembered


def lazy(
    term: Term, context: Context, key: Array, aux: Mapping[str, Any]
) -> tuple[Array, Array, dict[str, Any]]:
    """Returns (loss [], value [], what it remembers next) of a term by itself."""
    loss, values, remembered = add(jnp.zeros(()), (term,), context, [key], aux)
    return term.every * loss, values[term.name], remembered
