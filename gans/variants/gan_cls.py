"""GAN-CLS and GAN-INT-CLS, Generative Adversarial Text to Image Synthesis (1605.05396).

Both networks are given a vector of a sentence. The discriminator learns that a real
image with its own sentence is real, and that one with the sentence of another image is
as wrong as a fake with its sentence (algorithm 1). The generator also learns from
sentences that nobody wrote, beta t1 + (1 - beta) t2 of two in the batch (equation 5),
which the discriminator never sees.

The encoder of sentences learns first, for `encoder_steps`, to place them near their
images (structured joint embedding, arXiv 1605.05395), and then stays as it is. Data
with vectors in place of words need none.

Deviations: fakes are drawn anew for the generator's update. A wrong pair is an image
and the sentence of the next one in the batch, of any class; equal sentences are no
mistake. As in the authors' code, half as many interpolated sentences as real ones are
added to the generator's batch, with equal weights. Samples are made of the first
sentence of an example.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jax import Array

from gans import build as parts
from gans import names
from gans.core import GAN, Net, Out, State, Update
from gans.data.spec import Field, Spec
from gans.game import Batch, Game, Nets
from gans.losses import adversarial, joint
from gans.networks.joint import Pictures, Words

TEXT = "text"  # the vectors of a batch, in place of its labels
KINDS = ("captions", "embeddings")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextGame(Game):
    """The game of sentences; its labels are their vectors [B, E].

    Attributes:
      said: the name and the field of the data's sentences, or of their vectors.
      words, pictures: the encoders; None: there are none.
      encoder_steps: those in which they learn, before the game begins.
      averaged: sentences of an image, drawn at random, whose vectors are averaged.
      beta: of the interpolation; None: there is none.
      wrong: weight of wrong pairs; that of fakes is 1 - wrong, of right pairs 1.
    """

    said: tuple[str, Field]
    words: Net | None
    pictures: Net | None
    encoder_steps: int = 0
    averaged: int = 1
    beta: float | None = 0.5
    wrong: float = 0.5

    def gan(self) -> GAN:
        """Returns the GAN."""
        return GAN(
            nets=self.nets,
            updates=self.updates,
            inputs=self.inputs,
            outputs={"sample": self.sample},
            conditioned_on=(self.said[0],),
            paired=(self.field, self.said[0]),
            aux=self.aux,
        )

    @property
    def updates(self) -> tuple[Update, ...]:
        """The encoders' as long as they learn; then those of the game."""
        if not self.encoder_steps:
            return super().updates
        trained = ("words", "pictures")
        first = Update("joint", trained, self.joint_loss, self._learning)
        later = [
            dataclasses.replace(update, when=self._after(update.when))
            for update in super().updates
        ]
        return (first, *later)

    def _learning(self, step):
        return step < self.encoder_steps

    def _after(self, when):
        if when is None:
            return lambda step: step >= self.encoder_steps
        return lambda step: (
            (step >= self.encoder_steps) & when(step - self.encoder_steps)
        )

    def joint_loss(self, nets: Nets, batch: Batch, key: Array, state: State):
        """The encoders' loss, of one sentence of each image."""
        sentences = self._drawn(batch, key, 1)[:, 0]
        vectors = nets["words"](sentences)
        scores = nets["pictures"](batch[self.field]) @ vectors.T
        same = (sentences[:, None] == sentences[None]).all(axis=-1)
        best = scores.argmax(axis=1)
        found = {"retrieved": jnp.take_along_axis(same, best[:, None], axis=1).mean()}
        return joint.structured(scores, same), Out(found)

    def discriminator_loss(self, nets: Nets, batch: Batch, key: Array, state: State):
        """Algorithm 1: the loss of Game, whose fakes weigh less, and wrong pairs."""
        batch = self.with_text(nets, batch, key)
        value, out = super().discriminator_loss(nets, batch, key, state)
        key_d, key_in = jax.random.split(jax.random.fold_in(key, 1))
        right = batch[TEXT]
        text = jnp.roll(right, 1, axis=0)
        views = self._views(nets["d"], text, key_d, state, key_in)
        on_wrong = views.one(batch[self.field])
        mistake = (text != right).any(axis=-1).astype(jnp.float32)
        weights = mistake / jnp.maximum(mistake.sum(), 1)
        cost = adversarial.total(
            self.loss.discriminator(on_wrong, on_wrong)[1:], weights
        )
        # The loss of fakes has the weight 1 - wrong already, see `build`.
        value = value + cost * self.wrong / (1 - self.wrong)
        found = jax.lax.stop_gradient({"score_wrong": on_wrong.mean()})
        return value, out.replace(metrics={**out.metrics, **found})

    def against_data(self, nets, batch, key, state, added):
        """The passes of Game, with the vectors of the batch's sentences."""
        batch = self.with_text(nets, batch, key)
        return super().against_data(nets, batch, key, state, added)

    def against_d(self, nets, batch, key, state, added):
        """The passes of Game, with interpolated vectors after those of the batch."""
        batch = self.with_text(nets, batch, key)
        if self.beta is not None:
            x = batch[self.field]
            batch = {
                self.field: jnp.concatenate([x, x[: len(x) // 2]]),
                TEXT: interpolated(batch[TEXT], self.beta),
            }
        return super().against_d(nets, batch, key, state, added)

    def with_text(self, nets: Nets, batch: Batch, key: Array) -> Batch:
        """Returns {image, "text": vectors [B, E]} of sentences drawn by `key`."""
        if TEXT in batch:
            return batch
        drawn = self._drawn(batch, jax.random.fold_in(key, 0), self.averaged)
        text = self.embedded(nets, drawn.reshape(-1, drawn.shape[-1]))
        text = text.reshape(*drawn.shape[:2], -1).mean(axis=1)
        return {self.field: batch[self.field], TEXT: text}

    def embedded(self, nets: Nets, sentences: Array) -> Array:
        """Returns the vectors [B, E] of sentences [B, T], or of vectors themselves."""
        if self.words is None:
            return sentences
        return jax.lax.stop_gradient(nets["words"](sentences))

    def _drawn(self, batch, key, n):
        """n sentences of each example: [B, n, T], or [B, n, D] of vectors."""
        name, field = self.said
        sentences = batch[name]  # [B, K, T]
        there = jnp.full(len(sentences), sentences.shape[1])
        if field.kind == "captions":
            there = (sentences[..., 0] > 0).sum(axis=1)
        chosen = jax.random.uniform(key, (len(sentences), n)) * there[:, None]
        chosen = chosen.astype(jnp.int32)
        return jnp.take_along_axis(sentences, chosen[..., None], axis=1)

    def inputs(self, key: Array, batch: Batch) -> Batch:
        """Returns {"z": [n, latent] of N(0, 1), name: the examples' sentences}."""
        name = self.said[0]
        return super().inputs(key, batch) | {name: batch[name]}

    def sample(self, nets: Nets, inputs: Batch, key: Array) -> Batch:
        """Returns {image: what is made of inputs["z"] [n, L] and first sentences}."""
        text = self.embedded(nets, inputs[self.said[0]][:, 0])
        return {self.field: nets["g"](inputs["z"], text, key=key)}

    @property
    def label(self) -> str:
        """What takes the place of labels."""
        return TEXT

    @property
    def nets(self) -> dict[str, Net]:
        """The networks "g" and "d", given vectors, and the encoders."""
        z = jax.ShapeDtypeStruct((1, self.latent), jnp.float32)
        x = jax.ShapeDtypeStruct((1, *self.spec[self.field].shape), jnp.float32)
        size = (
            self.said[1].shape[-1] if self.words is None else self.words.module.features
        )
        text = jax.ShapeDtypeStruct((1, size), jnp.float32)
        nets = {
            "g": Net(self.generator, (z, text), self.tx["g"], self.ema),
            "d": Net(self.discriminator, (x, text), self.tx["d"]),
        }
        own = {"words": self.words, "pictures": self.pictures}
        return nets | {name: net for name, net in own.items() if net is not None}


def interpolated(text: Array, beta: float) -> Array:
    """Returns text [B, E], and beta t_i + (1 - beta) t_(i + B/2) of the first half."""
    half = len(text) // 2
    between = beta * text[:half] + (1 - beta) * text[half : 2 * half]
    return jnp.concatenate([text, between])


def less_of_fakes(loss: adversarial.Adversarial, weight: float):
    """Returns a loss, with costs [B] of fakes in the discriminator's times `weight`."""

    def discriminator(real_logits: Array, fake_logits: Array):
        real, fake = loss.discriminator(real_logits, fake_logits)
        return real, weight * fake

    return dataclasses.replace(loss, discriminator=discriminator)


def fields_of(spec: Spec) -> tuple[str, tuple[str, Field]]:
    """Returns the name of the images, and name and field of the sentences or vectors.

    Raises ValueError, naming its fields, for data with none or several of either.
    """
    images = [name for name, field in spec.items() if field.kind == "image"]
    found = [(name, field) for name, field in spec.items() if field.kind in KINDS]
    if len(found) != 1 or len(images) != 1:
        has = ", ".join(f"{name} ({field.kind})" for name, field in spec.items())
        raise ValueError(
            "wanted data with images and one field of sentences, or of their vectors, "
            f"as captions:PATH has; it has {has}"
        )
    return images[0], found[0]


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/gan_cls.py).

    Raises ValueError for data without sentences, for a relativistic loss, and for an
    encoder that leaves no step.
    """
    image, said = fields_of(spec)
    first = config["encoder_steps"] if said[1].kind == "captions" else 0
    if first >= config["steps"]:
        raise ValueError(
            f"encoder_steps={first} leaves none of steps={config['steps']} to the GAN"
        )
    names.check(config["words"], ("mean", "gru"), "words")
    loss = parts.loss_of(config)
    if loss.relative:
        raise ValueError(
            f"loss={config['loss']!r} compares real images with fakes one by one, and "
            "here are three kinds of pairs; accepted are losses that are not relative"
        )
    wrong = config["wrong_weight"]
    none = {"n_critic": 1, "n_critic_changes": (), "label_flip": 0.0, "top_k": ""}
    none |= {"ema_half_life": 0.0, "ema_ramp": None}
    game = parts.game(
        {**config, **none, "steps": config["steps"] - first},
        {image: spec[image]},
        loss=less_of_fakes(loss, 1 - wrong),
    )
    average = game.ema if config["ema"] else None
    if average is not None and first:
        average = lambda step: game.ema(jnp.maximum(step - first, 0))  # noqa: E731
    given = {
        field.name: getattr(game, field.name) for field in dataclasses.fields(game)
    }
    words, pictures = _encoders(config, spec[image], said[1], first)
    return TextGame(
        **{**given, "ema": average},
        said=said,
        words=words,
        pictures=pictures,
        encoder_steps=first,
        averaged=config["averaged"],
        beta=config["interpolation"],
        wrong=wrong,
    ).gan()


def _encoders(config, picture, field, first) -> tuple[Net | None, Net | None]:
    if field.kind != "captions":
        return None, None
    size, learn = config["text_features"], None
    sentence = jax.ShapeDtypeStruct((1, field.shape[-1]), jnp.int32)
    image = jax.ShapeDtypeStruct((1, *picture.shape), jnp.float32)
    module = Words(field.n_classes, size, config["words"])
    if not first:
        return Net(module, (sentence,)), None
    learn = optax.adam(config["encoder_rate"])
    pictures = Pictures(size, config["pictures_width"])
    return Net(module, (sentence,), learn), Net(pictures, (image,), learn)
