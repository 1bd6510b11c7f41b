"""The game of two players: a generator of latents against a discriminator.

    two = game.Game(
        generator=networks.make("Generator", "mlp", shape=(2,)),
        discriminator=networks.make("Discriminator", "mlp"),
        tx={"g": optax.adam(1e-3, b1=0.5), "d": optax.adam(1e-3, b1=0.5)},
        loss=adversarial.non_saturating(),
        latent=8,
        spec={"point": Field("point", (2,), "float32")},
        terms={"d": (gradient_penalties.r1(weight=0.1),)},
    )
    step = jax.jit(core.make_step(two.gan()))

Everything is given as a keyword; no config is needed. The methods follow Algorithm 1 of
arXiv 1406.2661: the discriminator's loss, the generator's loss, then their parts.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from gans import diagnostics, names, schedules, terms
from gans.augment.base import Augment
from gans.augment.chain import Chain
from gans.core import GAN, Bound, Net, Out, Output, State, Update, length
from gans.data import kinds
from gans.data.spec import Spec, label_field, main_field
from gans.losses import adversarial
from gans.sharding import split
from gans.terms import Context, Term

Nets = dict[str, Bound]
Batch = dict[str, Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Game:
    """The game, from which `gan` makes a GAN of the networks "g" and "d".

    Labels, if the batch has any, go to both networks in both updates; networks that are
    not conditional ignore them.

    Attributes:
      generator: called as module(z [B, L], label [B] | None, train=bool).
      discriminator: called as module(x [B, ...], label, train=bool) -> logits [B].
      tx: the optimisers of "g" and of "d".
      loss: see `gans.losses.adversarial`.
      latent: the number of dimensions of z.
      spec: of the data; it has one field that is not a label, and at most one
        that is.
      ema: of the generator (see `core.Net`).
      terms: what is added to the losses of "g" and of "d".
      augments: what the discriminator's inputs go through, real and fake, in both
        updates.
      label_flip: share of examples whose labels real and fake are exchanged in the
        discriminator's update.
      top_k: step -> share of the fakes that the generator learns from, those with the
        highest logits; None: all (arXiv 2002.06224).
      n_critic: updates of the discriminator, of a batch each, for one of the generator.
      n_critic_changes: ((step, n), ...): n_critic from that step on.

    Raises ValueError for parts that are incompatible.
    """

    generator: nn.Module
    discriminator: nn.Module
    tx: Mapping[str, optax.GradientTransformation]
    loss: adversarial.Adversarial
    latent: int
    spec: Spec
    ema: float | schedules.Schedule | None = None
    terms: Mapping[str, tuple[Term, ...]] = dataclasses.field(default_factory=dict)
    augments: tuple[Augment, ...] = ()
    label_flip: float = 0.0
    top_k: schedules.Schedule | None = None
    n_critic: int = 1
    n_critic_changes: tuple[tuple[int, int], ...] = ()

    def __post_init__(self):
        kind = self.spec[self.field].kind
        for name, module in (("g", self.generator), ("d", self.discriminator)):
            for term in self.terms.get(name, ()):
                term.check(module, kind)
        shape = self.spec[self.field].shape
        self._chain.check(kind, self.loss.boundary, shape)
        names.number(self.latent, lambda n: n >= 1, "latent", "of at least 1")
        names.number(
            self.label_flip, lambda x: (0 <= x) & (x <= 1), "label_flip", "in [0, 1]"
        )
        if self.top_k and self._replaced:
            raise ValueError(
                "top_k changes the generator's adversarial loss, which "
                "feature_matching replaces"
            )
        if self.top_k and self.loss.relative:
            raise ValueError(
                "top_k ranks fake examples by their own logits, but a relativistic "
                "loss compares them with those of real examples"
            )

    def gan(
        self,
        updates: tuple[Update, ...] = (),
        *,
        inputs: Callable[[Array, Batch], Batch] | None = None,
        outputs: Mapping[str, Output] | None = None,
    ) -> GAN:
        """Returns the GAN; what is not given is the game's own."""
        return GAN(
            nets=self.nets,
            updates=updates or self.updates,
            inputs=inputs or self.inputs,
            outputs=outputs or {"sample": self.sample},
            aux=self.aux,
        )

    # --- the updates, in the order of a step -----------------------------------------

    @property
    def updates(self) -> tuple[Update, ...]:
        """The discriminator's, the generator's where it is due, and the lazy terms'."""
        return (
            Update("d", ("d",), self.discriminator_loss),
            Update("g", ("g",), self.generator_loss, self.generator_due),
            *self.lazy_updates,
        )

    @property
    def generator_due(self) -> schedules.When | None:
        """When the generator is updated: once for n_critic batches, after the last."""
        return schedules.n_critic(self.n_critic, self.n_critic_changes)

    @property
    def lazy_updates(self) -> tuple[Update, ...]:
        """One for each term with every > 1; the generator's count its own updates."""
        found = []
        for name, of_net in self.terms.items():
            n = self.n_critic if name == "g" else 1
            for term in (term for term in of_net if term.every > 1):
                if name == "g" and self.n_critic_changes:
                    raise ValueError(
                        f"{term.name}: every={term.every} counts the generator's "
                        "updates, but n_critic changes during training; accepted is "
                        "every=1"
                    )

                def loss(nets, batch, key, state, name=name, term=term):
                    return self.lazy_loss(nets, batch, key, state, name, term)

                due = schedules.every(term.every * n)
                found.append(Update(terms.slot(term, name), (name,), loss, due))
        return tuple(found)

    def discriminator_loss(self, nets: Nets, batch: Batch, key: Array, state: State):
        """Algorithm 1, the inner loop: one batch of noise against one of data.

        The generator is bound, not trained, in this update: it gets no gradient.
        """
        added = self._in_loss("d")
        context, stats, key, keys = self.against_data(nets, batch, key, state, added)
        logits = context.on_real, context.on_fake
        if self.label_flip:
            logits = adversarial.flip_labels(*logits, key, self.label_flip)
        loss = self.loss.discriminator
        value = adversarial.total(loss(*logits), logits=logits[0], by=loss)
        value, found, aux = terms.add(value, added, context, keys, state.aux)
        metrics, adapted = self._observed(context, state)
        metrics, aux = jax.lax.stop_gradient((metrics | found, aux | adapted))
        return value, Out(metrics, stats={"d": stats}, aux=aux)

    def generator_loss(self, nets: Nets, batch: Batch, key: Array, state: State):
        """Algorithm 1, the outer loop: one batch of noise."""
        added = self._in_loss("g")
        context, stats, keys = self.against_d(nets, batch, key, state, added)
        value = jnp.zeros(())
        if not self._replaced:
            weights = None
            if self.top_k is not None:
                share = self.top_k(state.step)
                weights = adversarial.top_k_weights(context.on_fake, share)
            logits, loss = context.on_fake, self.loss.generator
            costs = loss(logits, context.on_real, weights)
            value = adversarial.total(costs, weights, logits=logits, by=loss)
        value, found, aux = terms.add(value, added, context, keys, state.aux)
        found, aux = jax.lax.stop_gradient((found, aux))
        return value, Out(found, stats={"g": stats}, aux=aux)

    def lazy_loss(self, nets, batch, key, state, name: str, term: Term):
        """One term of the network of that name, with `every` times its weight."""
        passes = {"d": self.against_data, "g": self.against_d}[name]
        context, *_, (key,) = passes(nets, batch, key, state, (term,))
        value, found, aux = terms.lazy(term, context, key, state.aux)
        found, aux = jax.lax.stop_gradient((found, aux))
        return value, Out({"value": found}, aux=aux)

    # --- their parts -----------------------------------------------------------------

    def against_data(self, nets, batch, key, state, added):
        """The discriminator's passes: (context of "d", new stats, key, term keys)."""
        key_g, key_d, *keys, key_in, key = jax.random.split(key, 4 + len(added))
        real, label = batch[self.field], batch.get(self.label)
        fake, _, z = generate(nets["g"], len(real), label, key_g, self.latent)
        views = self._views(nets["d"], label, key_d, state, key_in)
        on_real, on_fake, stats = views.both(real, fake)
        context = self._context(
            "d", nets, state, views, real, fake, z, label, on_real, on_fake
        )
        return context, stats, key, keys

    def against_d(self, nets, batch, key, state, added):
        """The generator's passes: (context of "g", new stats, term keys)."""
        key_g, key_d, *keys, key_in, key = jax.random.split(key, 4 + len(added))
        real, label = batch[self.field], batch.get(self.label)
        fake, stats, z = generate(nets["g"], len(real), label, key_g, self.latent)
        views = self._views(nets["d"], label, key_d, state, key_in)
        if self.loss.relative:
            on_real, on_fake, _ = views.both(real, fake)
        else:
            on_real, on_fake = None, views.one(fake)
        context = self._context(
            "g", nets, state, views, real, fake, z, label, on_real, on_fake
        )
        return context, stats, keys

    def _views(self, d, label, key, state, key_in):
        layers = getattr(d.module, "layers", None)
        plain = not self.augments and layers is not None and layers.dropout == 0

        def augmented(x):
            return self._chain.apply(x, key_in, state.step, state.aux)

        return _Views(d, label, key, augmented, plain)

    def _context(
        self, name, nets, state, views, real, fake, z, label, on_real, on_fake
    ) -> Context:
        return Context(
            name=name,
            net=nets[name],
            step=state.step,
            discriminate=views.one,
            features=views.features,
            both=lambda real, fake: views.both(real, fake)[:2],
            generate=lambda z, key: nets["g"](z, label, key=key),
            real=real,
            fake=fake,
            z=z,
            label=label,
            on_real=on_real,
            on_fake=on_fake,
        )

    def _observed(self, context: Context, state: State):
        """(metrics, what adaptive augmentations keep next) of the discriminator."""
        boundary = self.loss.boundary
        metrics = diagnostics.scores(context.on_real, context.on_fake, boundary)
        metrics["diversity"] = diagnostics.diversity(context.real, context.fake)
        if kinds.of(self.spec[self.field]).RANGE is not None:
            metrics["saturated"] = diagnostics.saturated(context.fake)
        found, aux = self._chain.adapted(
            context.on_real, boundary, state.step, state.aux
        )
        return metrics | found, aux

    # --- what the GAN is made of -----------------------------------------------------

    @property
    def field(self) -> str:
        """The data's field that the generator makes."""
        return main_field(self.spec)

    @property
    def label(self) -> str | None:
        """The data's field of labels, if it has one."""
        return label_field(self.spec)

    @property
    def nets(self) -> dict[str, Net]:
        """The networks `g`, with its average, and `d`."""
        z = jax.ShapeDtypeStruct((1, self.latent), jnp.float32)
        x = jax.ShapeDtypeStruct((1, *self.spec[self.field].shape), jnp.float32)
        label = jax.ShapeDtypeStruct((1,), jnp.int32) if self.label else None
        return {
            "g": Net(self.generator, (z, label), self.tx["g"], self.ema),
            "d": Net(self.discriminator, (x, label), self.tx["d"]),
        }

    @property
    def aux(self) -> dict[str, Any]:
        """The first values of what augmentations and terms keep."""
        aux = self._chain.first
        for name, of_net in self.terms.items():
            for term in of_net:
                if term.memory is not None:
                    aux[terms.slot(term, name)] = (
                        lambda params, f=term.memory, name=name: f(params[name])
                    )
        return aux

    def inputs(self, key: Array, batch: Batch) -> Batch:
        """Returns {"z": [n, latent]} of N(0, 1), for a batch of n examples."""
        return {"z": split(jax.random.normal(key, (length(batch), self.latent)))}

    def sample(self, nets: Nets, inputs: Batch, key: Array) -> Batch:
        """Returns {field: the generator's output for inputs["z"] [n, latent]}."""
        return {self.field: nets["g"](inputs["z"], inputs.get(self.label), key=key)}

    def _in_loss(self, name):
        return tuple(term for term in self.terms.get(name, ()) if term.every == 1)

    @property
    def _replaced(self):
        return any(term.replaces for term in self.terms.get("g", ()))

    @property
    def _chain(self):
        return Chain(self.augments)


def generate(
    g: Bound, n: int, label: Array | None, key: Array, latent: int
) -> tuple[Array, Any, Array]:
    """Returns n samples [n, ...], g's new stats, and the z [n, latent] of N(0, 1)."""
    key_z, key_dropout = jax.random.split(key)
    z = split(jax.random.normal(key_z, (n, latent)))
    fake, stats = g.mutate(z, label, key=key_dropout)
    return split(fake), stats, z


def discriminate(
    d: Bound,
    real: Array,
    fake: Array,
    label: Array | None,
    key: Array,
    augmented: Callable[[Array], Array] = lambda x: x,
) -> tuple[Array, Array, Any]:
    """Returns logits [B] of real and of fake [B, ...], and the new stats of `d`.

    Both go through `augmented` and `d` together, which saves half the passes, unless
    logits depend on their batch (batch norm, minibatch layers): then each is a batch of
    its own (arXiv 1511.06434), and the statistics are those of real data. Where a
    network keeps alternate examples apart (`alternates`), they go in turn. Real
    examples get the random numbers, of `augmented` and of dropout, that they get alone.
    """
    both = augmented(jnp.concatenate([real, fake]))
    if getattr(d.module, "mixes_batch", False):
        real, fake = jnp.split(both, [len(real)])
        alternates = getattr(d.module, "alternates", None)
        if alternates is not None and alternates(len(real)):
            labels = None if label is None else jnp.repeat(label, 2, axis=0)
            both = jnp.stack([real, fake], axis=1).reshape(both.shape)
            logits, stats = d.mutate(both, labels, key=key)
            return logits[::2], logits[1::2], stats
        on_real, stats = d.mutate(real, label, key=key)
        return on_real, d(fake, label, key=jax.random.fold_in(key, 1)), stats
    labels = None if label is None else jnp.concatenate([label, label])
    logits, stats = d.mutate(both, labels, key=key)
    return *jnp.split(logits, [len(real)]), stats


@dataclasses.dataclass(frozen=True)
class _Views:
    """The discriminator in one update: functions of inputs before augmentation.

    plain: neither augmentations nor dropout draw anything.
    """

    d: Bound
    label: Array | None
    key: Array
    augmented: Callable[[Array], Array]
    plain: bool

    def both(self, real: Array, fake: Array) -> tuple[Array, Array, Any]:
        return discriminate(self.d, real, fake, self.label, self.key, self.augmented)

    def one(self, x: Array, as_fake: bool = False) -> Array:
        if as_fake and not self.plain:
            return self.both(x, x)[1]
        return self.d(self.augmented(x), self.label, key=self.key)

    def features(self, x: Array) -> dict[str, Array]:
        return self.d.features(self.augmented(x), self.label, key=self.key)
