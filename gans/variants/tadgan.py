"""TadGAN (arXiv 2009.07769): an encoder and a generator of time series, two critics.

Windows x of a signal are encoded, E(x), and latents z decoded, G(z). The critic C_x
tells windows from G(z), and C_z latents from E(x); both are Wasserstein critics with a
gradient penalty (equations 2 to 4). Encoder and generator minimise together

    - mean C_x(G(z)) - mean C_z(E(x)) + cycle * mean (x - G(E(x)))^2     (equation 5)

once in `n_critic` steps. What a trained model cannot reconstruct is an anomaly.

Deviations: the cycle's distance is the mean of squares, as in the authors' code (Orion
0.7.1), where the paper writes the L2 norm. Latents are vectors, which in Orion are
sequences of one channel: its networks flatten them. Each update draws latents and masks
of its own; in Orion the last critic's serve the generator once more. Batches follow
each other through a permutation of all windows, where Orion drops those that do not
fill 5 batches. As in Orion, dropout is on in every pass but those of the penalties.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from gans import build as parts
from gans import diagnostics, networks, schedules, terms
from gans.core import GAN, Bound, Net, Out, State, Update, length
from gans.data.spec import Spec
from gans.losses import adversarial
from gans.networks import series
from gans.sharding import split
from gans.terms import Context, Term

Nets = dict[str, Bound]
Arrays = dict[str, Array]
LOSS = adversarial.wasserstein()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TadGAN:
    """The game of arXiv 2009.07769; networks e and g, c_x and c_z.

    Attributes:
      nets: those four.
      field: of the windows [B, T, C] in a batch.
      latent: dimensions of z.
      cycle: weight of the reconstruction.
      terms: added to the loss of each critic.
      n_critic: updates of the critics for one of encoder and generator.

    Raises ValueError for lazy terms, and for those that a critic cannot have.
    """

    nets: dict[str, Net]
    field: str = "series"
    latent: int = 20
    cycle: float = 10.0
    terms: tuple[Term, ...] = ()
    n_critic: int = 5

    def __post_init__(self):
        for term in self.terms:
            for name in ("c_x", "c_z"):
                term.check(self.nets[name].module, "series")
            if term.every > 1 or term.memory is not None or term.of_latents:
                raise ValueError(
                    f"{term.name}: a critic has terms of its own inputs, due in every "
                    "update and without a memory, such as gradient_penalty(weight=10)"
                )

    def gan(self) -> GAN:
        """Returns the GAN."""
        return GAN(
            nets=self.nets,
            updates=(
                Update("c_x", ("c_x",), self.loss_of_x),
                Update("c_z", ("c_z",), self.loss_of_z),
                Update("g", ("e", "g"), self.loss, schedules.every(self.n_critic)),
            ),
            inputs=self.inputs,
            conditioned_on=(self.field,),
            outputs={
                "sample": self.sample,
                "reconstruct": self.reconstruct,
                "score": self.score,
            },
        )

    def draw(self, key: Array, n: int) -> Array:
        """Returns latents [n, L] from N(0, 1)."""
        return split(jax.random.normal(key, (n, self.latent)))

    # --- the updates, in the order of a step -----------------------------------------

    def loss_of_x(self, nets: Nets, batch: Arrays, key: Array, state: State):
        """Equation 2 and its penalty: windows against those made of latents."""
        key_z, key_g, key = jax.random.split(key, 3)
        real = batch[self.field]
        fake = nets["g"](self.draw(key_z, len(real)), key=key_g)
        return self._critic("c_x", nets, real, fake, key, state)

    def loss_of_z(self, nets: Nets, batch: Arrays, key: Array, state: State):
        """Equation 3 and its penalty: latents against codes of windows."""
        key_z, key_e, key = jax.random.split(key, 3)
        x = batch[self.field]
        fake = nets["e"](x, key=key_e)
        return self._critic("c_z", nets, self.draw(key_z, len(x)), fake, key, state)

    def _critic(self, name, nets, real, fake, key, state):
        key_both, *keys = jax.random.split(key, 1 + len(self.terms))
        logits = nets[name](jnp.concatenate([real, fake]), key=key_both)
        on_real, on_fake = jnp.split(logits, 2)
        still = dataclasses.replace(nets[name], train=False)
        context = Context(
            name=name,
            net=nets[name],
            step=state.step,
            discriminate=lambda x, as_fake=False: still(x),
            features=still.features,
            both=lambda real, fake: (still(real), still(fake)),
            real=real,
            fake=fake,
            on_real=on_real,
            on_fake=on_fake,
        )
        value = adversarial.total(
            LOSS.discriminator(on_real, on_fake), logits=on_real, by=LOSS.discriminator
        )
        value, found, _ = terms.add(value, self.terms, context, keys, state.aux)
        metrics = diagnostics.scores(on_real, on_fake, LOSS.boundary) | found
        return value, Out(jax.lax.stop_gradient(metrics))

    def loss(self, nets: Nets, batch: Arrays, key: Array, state: State):
        """Equation 5; both latents pass the generator together."""
        key_z, key_e, key_g, key_x, key_c = jax.random.split(key, 5)
        x = batch[self.field]
        code = nets["e"](x, key=key_e)
        latents = jnp.concatenate([self.draw(key_z, len(x)), code])
        fake, again = jnp.split(nets["g"](latents, key=key_g), 2)
        fooled_x = -jnp.mean(nets["c_x"](fake, key=key_x))
        fooled_z = -jnp.mean(nets["c_z"](code, key=key_c))
        error = jnp.mean((x - again) ** 2)
        metrics = {"fooled_x": fooled_x, "fooled_z": fooled_z, "cycle": error}
        value = fooled_x + fooled_z + self.cycle * error
        return value, Out(jax.lax.stop_gradient(metrics))

    # --- what a trained model can do -------------------------------------------------

    def inputs(self, key: Array, batch: Arrays) -> Arrays:
        """Returns windows, and as many latents."""
        return {self.field: batch[self.field], "z": self.draw(key, length(batch))}

    def sample(self, nets: Nets, inputs: Arrays, key: Array) -> Arrays:
        """Windows made of latents."""
        return {self.field: nets["g"](inputs["z"])}

    def reconstruct(self, nets: Nets, inputs: Arrays, key: Array) -> Arrays:
        """Windows encoded and decoded."""
        return {self.field: nets["g"](nets["e"](inputs[self.field]))}

    def score(self, nets: Nets, inputs: Arrays, key: Array) -> Arrays:
        """The critic's value of each window: the higher, the more like the data."""
        return {"score": nets["c_x"](inputs[self.field])}


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/tadgan.py).

    Raises ValueError for data that are not series, and for networks that do not fit.
    """
    kinds = {name: field.kind for name, field in spec.items() if field.kind != "label"}
    if list(kinds.values()) != ["series"]:
        has = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise ValueError(
            f"wanted data with one field of kind series, such as series:PATH; it has "
            f"{has}"
        )
    (field,) = kinds
    shape, latent = spec[field].shape, config["latent"]
    dtype, size = jnp.dtype(config["dtype"]), config["batch_size"]
    made, optimisers, added = {}, {}, ()
    for name, role, updates, own in (
        ("g", "generator", config["steps"] // config["n_critic"], {"shape": shape}),
        ("c_x", "discriminator", config["steps"], {}),
    ):
        part = config[role]
        with parts.place(role):
            made[name] = parts.network(role, part, size, dtype=dtype, **own)
            added = terms.make(part.get("penalties", ()), role)
            optimisers[name] = parts.optimiser(part, updates)
    encoder = networks.layers_of(made["g"]).replace(dropout=0.0)
    critic = networks.layers_of(made["c_x"]).replace(dropout=config["latent_dropout"])
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    z = jax.ShapeDtypeStruct((1, latent), jnp.float32)
    average = schedules.ramp_up(config["ema"]) if config["ema"] else None
    e = series.Encoder(latent, config["encoder_width"], encoder)
    c_z = series.LatentDiscriminator(config["latent_width"], critic)
    return TadGAN(
        nets={
            "e": Net(e, (x,), optimisers["g"], average),
            "g": Net(made["g"], (z,), optimisers["g"], average),
            "c_x": Net(made["c_x"], (x,), optimisers["c_x"]),
            "c_z": Net(c_z, (z,), optimisers["c_x"]),
        },
        field=field,
        latent=latent,
        cycle=config["cycle"],
        terms=added,
        n_critic=config["n_critic"],
    ).gan()
