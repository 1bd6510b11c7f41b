"""A discriminator as a part of a game: its loss, its terms, and their updates.

It is for generators that are given images. The game of a generator that is given
latents is `gans.game.Game`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from gans import diagnostics, schedules, terms
from gans.augment.base import Augment
from gans.augment.chain import Chain
from gans.core import Bound, Net, Out, State, Update
from gans.losses import adversarial
from gans.terms import Context, Term

Nets = dict[str, Bound]
Batch = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a discriminator is shown in one of its updates.

    Attributes:
      real, fake: [B, H, W, C].
      given: [B, H, W, C'], what both were made from; None: it is not shown.
      aux: what the update leaves in `State.aux`.
    """

    real: Array
    fake: Array
    given: Array | None = None
    aux: Mapping[str, Array] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversary:
    """A discriminator, against which a generator plays.

    Its own loss is half the adversarial one, which slows it down relative to the
    generator (arXiv 1611.07004, section 3.3; 1703.10593, section 4). Maps of logits
    [B, h, w] are averaged. Terms get the mean logit of each example; penalties on the
    gradient are about the image, not about what it was made from.

    Attributes:
      name: of the network in the GAN.
      module: called as module(x [B, H, W, C], train=bool) -> logits [B, ...].
      tx: its optimiser.
      loss: see `gans.losses.adversarial`.
      terms: what is added to its loss.
      augments: what all it is shown goes through. What is given and what is made of it
        get the same draw.

    Raises ValueError for terms that it has no use for.
    """

    name: str
    module: nn.Module
    tx: optax.GradientTransformation
    loss: adversarial.Adversarial
    terms: tuple[Term, ...] = ()
    augments: tuple[Augment, ...] = ()

    def __post_init__(self):
        for term in self.terms:
            term.check(self.module, "image")
            if term.of_latents:
                raise ValueError(
                    f"{term.name} moves latents z, and this generator has none"
                )
        self._chain.check("image", self.loss.boundary)

    def net(self, *shapes: tuple[int, ...]) -> Net:
        """Returns the network, for images [H, W, C] joined along their channels.

        Raises ValueError for augmentations that are not for such images.
        """
        for shape in shapes:
            self._chain.check("image", self.loss.boundary, shape)
        joined = (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
        return Net(
            self.module, (jax.ShapeDtypeStruct((1, *joined), jnp.float32),), self.tx
        )

    @property
    def aux(self) -> dict[str, Any]:
        """The first values of what its terms and augmentations keep."""
        of_terms = {
            terms.slot(term, self.name): lambda params, f=term.memory: f(
                params[self.name]
            )
            for term in self.terms
            if term.memory is not None
        }
        return self._chain.first | of_terms

    def updates(
        self, shown: Callable[[Nets, Batch, Array, State], Shown]
    ) -> tuple[Update, ...]:
        """Returns its update, and after it those of its lazy terms.

        shown: (nets, batch, key, state) -> what it is shown.
        """
        of_terms = (
            Update(
                terms.slot(term, self.name),
                (self.name,),
                functools.partial(self._lazy_loss, shown=shown, term=term),
                schedules.every(term.every),
            )
            for term in self.terms
            if term.every > 1
        )
        of_loss = functools.partial(self._loss, shown=shown)
        return (Update(self.name, (self.name,), of_loss), *of_terms)

    def fooled(
        self,
        nets: Nets,
        fake: Array,
        real: Array,
        key: Array,
        state: State,
        given: Array | None = None,
    ) -> Array:
        """Returns the generator's adversarial loss [] of `fake` [B, H, W, C].

        real: [B, H, W, C], which relativistic losses compare with. given: see `Shown`.
        """
        view = self._view(nets, given, key, state)
        if self.loss.relative:
            on_real, on_fake, _ = view.both(real, fake)
        else:
            on_real, on_fake = None, view.one(fake)
        loss = self.loss.generator
        return adversarial.total(loss(on_fake, on_real), logits=on_fake, by=loss)

    def _loss(self, nets, batch, key, state, *, shown):
        """Half the adversarial loss, and the terms that are due in every update."""
        added = tuple(term for term in self.terms if term.every == 1)
        seen, logits, stats, context, keys = self._passes(
            nets, batch, key, state, shown, len(added)
        )
        loss = self.loss.discriminator
        value = adversarial.total(loss(*logits), logits=logits[0], by=loss) / 2
        value, found, aux = terms.add(value, added, context, keys, state.aux)
        p, kept = self._chain.adapted(
            context.on_real, self.loss.boundary, state.step, state.aux
        )
        metrics = diagnostics.scores(*logits, self.loss.boundary) | found | p
        metrics["saturated"] = diagnostics.saturated(seen.fake)
        if len(seen.real) > 1:
            metrics["diversity"] = diagnostics.diversity(seen.real, seen.fake)
        metrics, aux = jax.lax.stop_gradient((metrics, {**aux, **kept, **seen.aux}))
        return value, Out(metrics, stats={self.name: stats}, aux=aux)

    def _lazy_loss(self, nets, batch, key, state, *, shown, term):
        """One term, with `every` times its weight."""
        *_, context, (key,) = self._passes(nets, batch, key, state, shown, 1)
        value, found, aux = terms.lazy(term, context, key, state.aux)
        found, aux = jax.lax.stop_gradient((found, aux))
        return value, Out({"value": found}, aux=aux)

    def _passes(self, nets, batch, key, state, shown, n):
        """(Shown, (logits of real, of fake), new stats, context, n keys of terms)."""
        key_shown, key_d, *keys = jax.random.split(key, 2 + n)
        seen = shown(nets, batch, key_shown, state)
        view = self._view(nets, seen.given, key_d, state)
        on_real, on_fake, stats = view.both(seen.real, seen.fake)
        context = Context(
            name=self.name,
            net=nets[self.name],
            step=state.step,
            discriminate=lambda x, as_fake=False: _of_each(
                view.both(x, x)[1] if as_fake else view.one(x)
            ),
            features=view.features,
            both=lambda real, fake: tuple(map(_of_each, view.both(real, fake)[:2])),
            real=seen.real,
            fake=seen.fake,
            on_real=_of_each(on_real),
            on_fake=_of_each(on_fake),
        )
        return seen, (on_real, on_fake), stats, context, keys

    def _view(self, nets, given, key, state):
        key_in = jax.random.fold_in(key, 2)  # 1: see `_View.both`

        def augmented(x):
            return self._chain.apply(x, key_in, state.step, state.aux)

        return _View(nets[self.name], given, key, augmented)

    @property
    def _chain(self):
        return Chain(self.augments, f"{self.name}_")


def _of_each(logits):
    """The mean logit of each example: [B, ...] -> [B]."""
    return logits.reshape(len(logits), -1).mean(axis=1)


@dataclasses.dataclass(frozen=True)
class _View:
    """The discriminator in one update: functions of images [B, H, W, C]."""

    d: Bound
    given: Array | None
    key: Array
    augmented: Callable[[Array], Array]

    def _seen(self, x):
        """The condition, once for each of its images, then the image; augmented."""
        if self.given is None:
            return self.augmented(x)
        given = jnp.concatenate([self.given] * (len(x) // len(self.given)))
        return jnp.concatenate([self.augmented(given), self.augmented(x)], axis=-1)

    def one(self, x: Array) -> Array:
        return self.d(self._seen(x), key=self.key)

    def features(self, x: Array) -> dict[str, Array]:
        return self.d.features(self._seen(x), key=self.key)

    def both(self, real: Array, fake: Array) -> tuple[Array, Array, Any]:
        """Logits of real and of fake, and the new stats.

        They pass together, unless logits depend on their batch: then each is a batch of
        its own, and the statistics are those of real images.
        """
        if getattr(self.d.module, "mixes_batch", False):
            on_real, stats = self.d.mutate(self._seen(real), key=self.key)
            key_fake = jax.random.fold_in(self.key, 1)
            return on_real, self.d(self._seen(fake), key=key_fake), stats
        both = self._seen(jnp.concatenate([real, fake]))
        logits, stats = self.d.mutate(both, key=self.key)
        return *jnp.split(logits, [len(real)]), stats
