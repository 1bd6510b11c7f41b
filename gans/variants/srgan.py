"""SRGAN (arXiv 1609.04802) and ESRGAN (arXiv 1809.00219): large images of small ones.

There are two stages. In the first the generator learns the squared or absolute
distance to the real image (SRResNet; "PSNR-oriented" in the second paper); the second
starts from it and minimises

    content_weight * content + adversarial_weight * adversarial + l1 * L1,

where the content loss is the distance of feature maps of a frozen network (equation 5
of SRGAN with the non-saturating loss; equation 3 of ESRGAN, whose loss is the
relativistic average one, of two parts, of which the mean is taken, as in the authors'
code). With pretrain=0 there is the second stage alone, with pretrain=steps the first.

Deviations: adversarial losses are means over the batch, not sums; the discriminator's
loss is half of them, as its Adam ignores. Batch norm, the content network and the range
of images are the networks' own (see gans/networks/srresnet.py,
gans/metrics/features/content.py).
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from gans import build as parts
from gans import names
from gans.adversary import Adversary, Batch, Nets, Shown
from gans.core import GAN, Net, Out, State, Update
from gans.data.spec import Spec
from gans.sharding import split
from gans.stages import Stage

DISTANCES = {"l1": jnp.abs, "mse": jnp.square}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretraining:
    """The first stage: a generator alone.

    Attributes:
      given, made: the fields that the generator reads and makes.
      generator: see `core.Net`.
      distance: of DISTANCES, to the real image.
    """

    given: str
    made: str
    generator: Net
    distance: str = "mse"

    def gan(self) -> GAN:
        """Returns the GAN of the network "g", and of those that a stage adds."""
        return GAN(
            nets=self.nets,
            updates=self.updates,
            inputs=lambda key, batch: {self.given: batch[self.given]},
            conditioned_on=(self.given,),
            paired=(self.given, self.made),
            outputs={"sample": self.sample},
            aux=self.aux,
        )

    @property
    def nets(self):
        return {"g": self.generator}

    @property
    def updates(self):
        return (Update("g", ("g",), self.loss),)

    @property
    def aux(self):
        return {}

    def loss(self, nets: Nets, batch: Batch, key: Array, state: State):
        """The mean distance to the real image."""
        fake, stats = nets["g"].mutate(batch[self.given], key=key)
        value = _mean(self.distance, split(fake), batch[self.made])
        metrics = {self.distance: jax.lax.stop_gradient(value)}
        return value, Out(metrics, stats={"g": stats})

    def sample(self, nets: Nets, inputs: Batch, key: Array) -> Batch:
        """Returns {field: the large image of the small one, in its range}."""
        return {self.made: jnp.clip(nets["g"](inputs[self.given], key=key), -1, 1)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(Pretraining):
    """The second stage.

    Attributes:
      adversary: the discriminator.
      content: the network of the content loss; None: there is none.
      content_name: of its features.
      distance: of DISTANCES, of the content loss.
      content_weight, adversarial_weight, l1: weights of the generator's three terms.
    """

    adversary: Adversary
    shape: tuple[int, ...]
    content: Net | None = None
    content_name: str = ""
    content_weight: float = 1.0
    adversarial_weight: float = 1e-3
    l1: float = 0.0

    @property
    def nets(self):
        own = {} if self.content is None else {"content": self.content}
        return {"g": self.generator, "d": self.adversary.net(self.shape), **own}

    @property
    def updates(self):
        of_d, *lazy = self.adversary.updates(self.shown)
        return (of_d, Update("g", ("g",), self.loss), *lazy)

    @property
    def aux(self):
        return self.adversary.aux

    def shown(self, nets: Nets, batch: Batch, key: Array, state: State) -> Shown:
        """The discriminator is shown real and made images alone."""
        fake = split(nets["g"](batch[self.given], key=key))
        return Shown(real=batch[self.made], fake=fake)

    def loss(self, nets: Nets, batch: Batch, key: Array, state: State):
        """Equation 3 of SRGAN, with an L1 distance (equation 3 of ESRGAN)."""
        real, (key_g, key_d) = batch[self.made], jax.random.split(key)
        fake, stats = nets["g"].mutate(batch[self.given], key=key_g)
        fake = split(fake)
        fooled = self.adversary.fooled(nets, fake, real, key_d, state)
        if self.adversary.loss.relative:  # of two parts
            fooled = fooled / 2
        distance = _mean("l1", fake, real)
        value = self.adversarial_weight * fooled + self.l1 * distance
        metrics = {"adversarial": fooled, "l1": distance}
        if self.content is not None:
            wanted = jax.lax.stop_gradient(nets["content"](real))
            found = _mean(self.distance, nets["content"](fake), wanted)
            value = value + self.content_weight * found
            metrics[f"content_{self.content_name}"] = found
        return value, Out(jax.lax.stop_gradient(metrics), stats={"g": stats})


def _mean(distance, x, y):
    return jnp.mean(DISTANCES[names.check(distance, DISTANCES, "distance")](x - y))


def stages(config: parts.Config, spec: Spec) -> tuple[Stage, ...]:
    """Returns the stages: pretraining, and with a discriminator.

    Raises ValueError for a pretraining that is longer than the run.
    """
    first, steps = config["pretrain"], config["steps"]
    if first > steps:
        raise ValueError(f"pretrain={first} is more than steps={steps}")
    return tuple(
        Stage(n, config["batch_size"], spec, reset_optimisers=i > 0)
        for i, n in enumerate(x for x in (first, steps - first) if x)
    )


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN of a stage that `config` describes (see configs/srgan.py).

    Raises ValueError for data without the fields a and b, and for features without
    their file.
    """
    given, made = parts.sides(spec)
    first = config["pretrain"] > 0 and stage == 0
    own = stages(config, spec)[stage].steps
    generator = config["generator"]
    if first:
        optimizer = {**generator["optimizer"], "drops": config["pretrain_drops"]}
        if config["pretrain_rate"]:
            optimizer["learning_rate"] = config["pretrain_rate"]
        generator = {**generator, "optimizer": optimizer}
    config = {**config, "generator": generator, "steps": own}
    g = parts.translator(config, spec, given, made)
    if first:
        return Pretraining(
            given=given, made=made, generator=g, distance=config["pretrain_loss"]
        ).gan()
    shape = spec[made].shape
    return Adversarial(
        given=given,
        made=made,
        generator=g,
        distance=config["content_loss"],
        adversary=parts.adversary(config, "d"),
        shape=shape,
        content=parts.content(config, shape),
        content_name=config["content"],
        content_weight=config["content_weight"],
        adversarial_weight=config["adversarial_weight"],
        l1=config["l1"],
    ).gan()
