"""pix2pix (arXiv 1611.07004): from images to images, learnt from pairs.

The generator minimises equation 4, gan_weight * L_cGAN(G, D) + l1 * L_L1(G), with the
non-saturating loss; the discriminator sees what is given and what is made side by side,
in patches. The generator's noise is its dropout, which is on in samples too. One draw
of it a step serves both updates: the discriminator is updated against the fake that the
generator is then updated on.

With conditional=False the discriminator sees images alone ("GAN" in table 1), with l1=0
or gan_weight=0 a term is left out ("cGAN", "L1"); without its term there is no
discriminator. Deviations: normalisation and layers are those of the authors' PyTorch
code, not of the paper's text (see gans/networks/unet.py).
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

NOISE = "noise"  # the key of the generator's dropout in a step, in `State.aux`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2Pix:
    """The game of arXiv 1611.07004.

    Attributes:
      given, made: the fields that the generator reads and makes.
      spec: of the data.
      generator: see `core.Net`.
      adversary: the discriminator; None: there is none.
      conditional: whether it sees what is given, too.
      gan_weight, l1: weights of the generator's two terms.
    """

    given: str
    made: str
    spec: Spec
    generator: Net
    adversary: Adversary | None
    conditional: bool = True
    gan_weight: float = 1.0
    l1: float = 100.0

    def gan(self) -> GAN:
        """Returns the GAN of the networks "g" and "d"."""
        nets, updates, aux = {"g": self.generator}, (), {}
        if self.adversary is not None:
            seen = (self.given, self.made) if self.conditional else (self.made,)
            nets["d"] = self.adversary.net(*(self.spec[name].shape for name in seen))
            updates = self.adversary.updates(self.shown)
            aux = self.adversary.aux | {NOISE: jnp.zeros(2, jnp.uint32)}
        return GAN(
            nets=nets,
            updates=(*updates[:1], Update("g", ("g",), self.loss), *updates[1:]),
            inputs=lambda key, batch: {self.given: batch[self.given]},
            conditioned_on=(self.given,),
            paired=(self.given, self.made),
            outputs={"sample": self.sample},
            aux=aux,
        )

    def shown(self, nets: Nets, batch: Batch, key: Array, state: State) -> Shown:
        """The discriminator is shown a pair, and the same with the image made."""
        given = batch[self.given]
        fake = split(nets["g"](given, key=key))
        return Shown(
            real=batch[self.made],
            fake=fake,
            given=given if self.conditional else None,
            aux={NOISE: jax.random.key_data(key)},
        )

    def loss(self, nets: Nets, batch: Batch, key: Array, state: State):
        """Equation 4, the generator's part."""
        given, real = batch[self.given], batch[self.made]
        key_g, key_d = jax.random.split(key)
        if self.adversary is not None:
            # The pass of the discriminator's update once more: it is compiled once.
            key_g = jax.random.wrap_key_data(state.aux[NOISE])
        fake, stats = nets["g"].mutate(given, key=key_g)
        fake = split(fake)
        distance = jnp.mean(jnp.abs(fake - real))
        value, metrics = self.l1 * distance, {"l1": distance}
        if self.adversary is not None:
            condition = given if self.conditional else None
            fooled = self.adversary.fooled(nets, fake, real, key_d, state, condition)
            value, metrics["adversarial"] = value + self.gan_weight * fooled, fooled
        return value, Out(jax.lax.stop_gradient(metrics), stats={"g": stats})

    def sample(self, nets: Nets, inputs: Batch, key: Array) -> Batch:
        """Returns {field: what is made of the given images}."""
        return {self.made: nets["g"](inputs[self.given], key=key)}


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/pix2pix.py).

    Raises ValueError for data without the fields a and b, and for both weights 0.
    """
    given, made = parts.sides(spec)
    names.check(config["direction"], ("a_to_b", "b_to_a"), "direction")
    if config["direction"] == "b_to_a":
        given, made = made, given
    with_d = bool(config["gan_weight"])
    if not with_d and not config["l1"]:
        raise ValueError("gan_weight=0 and l1=0: there is nothing to be learnt")
    return Pix2Pix(
        given=given,
        made=made,
        spec=spec,
        generator=parts.translator(config, spec, given, made),
        adversary=parts.adversary(config, "d") if with_d else None,
        conditional=config["conditional"],
        gan_weight=config["gan_weight"],
        l1=config["l1"],
    ).gan()
