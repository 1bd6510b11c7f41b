"""CycleGAN (arXiv 1703.10593): from images to images, learnt without pairs.

Two generators translate between the sides a and b, and are updated together on equation
3 with the least-squares loss of section 4, and an identity term (section 5.2). Each
side has a discriminator, which is shown fakes from a pool of earlier ones. The order of
a step is that of the authors' PyTorch code: fakes are made once, the generators are
updated, then the discriminators are shown those fakes.

Deviations: an `identity` of 5 by default, as in both of the authors' codes, where the
paper has it for paintings only; the rate of the optimiser falls by the step, not by the
epoch; fakes wait for the discriminators' updates in `State.aux`.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from gans import build as parts
from gans.adversary import Adversary, Batch, Nets, Shown
from gans.core import GAN, Net, Out, State, Update
from gans.data.spec import Spec
from gans.sharding import split

OTHER = {"a": "b", "b": "a"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CycleGAN:
    """The game of arXiv 1703.10593; networks g_ab and g_ba, d_a and d_b.

    Attributes:
      generators: by the side that they make.
      adversaries: the discriminators, by the side whose images they judge.
      spec: of the data; sides are its image fields a and b.
      batch_size: examples of each side in a batch.
      cycle, identity: weights of the generators' terms; no identity term for 0.
      pool: fakes of each side that are kept; 0: none.

    Raises ValueError for an identity term between sides of different shapes.
    """

    generators: dict[str, Net]
    adversaries: dict[str, Adversary]
    spec: Spec
    batch_size: int
    cycle: float = 10.0
    identity: float = 5.0
    pool: int = 50

    def __post_init__(self):
        shapes = [self.spec[side].shape for side in OTHER]
        if self.identity and shapes[0] != shapes[1]:
            raise ValueError(
                f"identity={self.identity} needs sides of one shape, and a is "
                f"{shapes[0]}, b is {shapes[1]}; accepted is identity=0"
            )

    def gan(self) -> GAN:
        """Returns the GAN."""
        nets = {translation(side): net for side, net in self.generators.items()}
        updates = [Update("g", tuple(nets), self.loss)]
        aux = {}
        for side, adversary in self.adversaries.items():
            nets[adversary.name] = adversary.net(self.spec[side].shape)
            updates += adversary.updates(self._shown(side))
            aux |= adversary.aux
            aux[f"pool_{side}"] = {
                "images": jnp.zeros((self.pool, *self.spec[side].shape)),
                "n": jnp.int32(0),
                "shown": jnp.zeros((self.batch_size, *self.spec[side].shape)),
            }
        return GAN(
            nets=nets,
            updates=tuple(updates),
            inputs=lambda key, batch: {side: batch[side] for side in OTHER},
            conditioned_on=tuple(OTHER),
            outputs={
                "a_to_b": lambda nets, inputs, key: self._there(nets, inputs, key, "b"),
                "b_to_a": lambda nets, inputs, key: self._there(nets, inputs, key, "a"),
                "cycle_a": lambda nets, inputs, key: self._back(nets, inputs, key, "a"),
                "cycle_b": lambda nets, inputs, key: self._back(nets, inputs, key, "b"),
            },
            aux=aux,
        )

    # --- the updates, in the order of a step -----------------------------------------

    def loss(self, nets: Nets, batch: Batch, key: Array, state: State):
        """Equation 3, the generators' part, and the identity term."""
        value, metrics, stats, aux = 0.0, {}, {}, {}
        for i, (side, other) in enumerate(OTHER.items()):
            keys = jax.random.split(jax.random.fold_in(key, i), 5)
            there, back = nets[translation(side)], nets[translation(other)]
            fake, stats[translation(side)] = there.mutate(batch[other], key=keys[0])
            fake = split(fake)
            adversary, real = self.adversaries[side], batch[side]
            fooled = adversary.fooled(nets, fake, real, keys[1], state)
            again = jnp.mean(jnp.abs(back(fake, key=keys[2]) - batch[other]))
            value += fooled + self.cycle * again
            metrics |= {f"adversarial_{side}": fooled, f"cycle_{other}": again}
            if self.identity:
                same = jnp.mean(jnp.abs(there(real, key=keys[3]) - real))
                value += self.identity * same
                metrics[f"identity_{side}"] = same
            pool = f"pool_{side}"
            fake = jax.lax.stop_gradient(fake)
            aux[pool] = exchange(state.aux[pool], fake, keys[4])
        return value, Out(jax.lax.stop_gradient(metrics), stats=stats, aux=aux)

    def _shown(self, side):
        """What a discriminator is shown: fakes that came out of the pool."""

        def shown(nets, batch, key, state):
            return Shown(batch[side], split(state.aux[f"pool_{side}"]["shown"]))

        return shown

    # --- what a trained model can do -------------------------------------------------

    def _there(self, nets, inputs, key, side):
        """Images of the other side, translated to `side`."""
        return {side: nets[translation(side)](inputs[OTHER[side]], key=key)}

    def _back(self, nets, inputs, key, side):
        """Images of `side`, translated to the other one and back."""
        key_there, key_back = jax.random.split(key)
        away = nets[translation(OTHER[side])](inputs[side], key=key_there)
        return {side: nets[translation(side)](away, key=key_back)}


def translation(side: str) -> str:
    """Returns the name of the generator that makes images of `side`: g_ab makes b."""
    return f"g_{OTHER[side]}{side}"


def exchange(pool: dict[str, Array], fakes: Array, key: Array) -> dict[str, Array]:
    """Shows a pool new fakes, one after the other (section 4, "training details").

    Args:
      pool: images [P, H, W, C], of which the first n [] are there; shown [B, H, W, C].
      fakes: [B, H, W, C].

    Returns: the pool afterwards; `shown` are the images that it gave for the fakes.
    """
    images, n = pool["images"], pool["n"]
    if not len(images):
        return pool | {"shown": fakes}
    key_p, key_place = jax.random.split(key)
    p = jax.random.uniform(key_p, (len(fakes),))
    place = jax.random.randint(key_place, (len(fakes),), 0, len(images))
    (images, n), shown = jax.lax.scan(
        lambda held, drawn: query(*held, *drawn), (images, n), (fakes, p, place)
    )
    return {"images": images, "n": n, "shown": shown}


def query(images: Array, n: Array, fake: Array, p: Array, place: Array):
    """Shows a pool one fake [H, W, C]: ((images [P, H, W, C], n []), image [H, W, C]).

    While the pool is not full, the fake is kept and comes back. Later, where p > 1/2,
    it takes the place of the image at `place`, which comes back; else it comes back and
    is not kept.
    """
    filling = n < len(images)
    swapped = ~filling & (p > 0.5)
    at = jnp.where(filling, n, place)
    old = images[at]
    images = images.at[at].set(jnp.where(filling | swapped, fake, old))
    return (images, n + filling), jnp.where(swapped, old, fake)


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/cyclegan.py).

    Raises ValueError for data without the fields a and b.
    """
    parts.sides(spec)
    return CycleGAN(
        generators={
            side: parts.translator(config, spec, other, side)
            for side, other in (("b", "a"), ("a", "b"))
        },
        adversaries={side: parts.adversary(config, f"d_{side}") for side in OTHER},
        spec=spec,
        batch_size=config["batch_size"],
        cycle=config["cycle"],
        identity=config["identity"],
        pool=config["pool"],
    ).gan()
