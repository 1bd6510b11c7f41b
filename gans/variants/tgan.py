"""TGAN, Temporal Generative Adversarial Nets with Singular Value Clipping (1611.06624).

Clips are made by a generator of latents in time and one of frames
(`gans/networks/video.py`). The critic's loss is that of WGAN, and the critic is kept
Lipschitz by singular value clipping (section 3.3): after every fifth update the
singular values of its convolutions, as matrices of the output channels by the rest,
are set to at most 1, and the gains of its batch norms to [0.01 s, s], where s is the
running deviation. With `singular_every=0` and optimizer.clip its weights are clipped
instead, as in WGAN (the paper's comparison); penalties, r1 as in TGANv2, and other
losses are accepted too.

Deviations from the paper and the authors' code:
- The critic is updated before the generator, on fakes of its own; in the code both use
  those of one forward pass.
- The running statistics of the critic's batch norms, and so s, are those of real clips;
  in the code those of fake ones move them as well.
- The temporal generator's batch norms have a bias; batch norm adds 1e-5 to the
  variance, and 2e-5 in the code, and its averages are of biased variances.
- All kernels start from U(-0.01, 0.01); in the code, depending on the data, some do.
- Labels, if any, are embedded and join z_0, and a channel of the critic's input.
"""

import dataclasses
import functools

import flax
import jax
import jax.numpy as jnp

from gans import build as parts
from gans import names, optim
from gans.core import GAN, Metrics, State, Tree
from gans.data.spec import Spec, main_field
from gans.game import Batch, Game, Nets
from gans.variants import cgan

BETWEEN = 4  # frames of "interpolated" for one of "sample"


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/tgan.py).

    Raises ValueError for data that are not clips, and for a Wasserstein loss of a
    critic that nothing, or that both ways of clipping, keep Lipschitz.
    """
    field = main_field(spec)
    if spec[field].kind != "video":
        raise ValueError(
            f"TGAN makes clips, and the data have {field!r} of kind "
            f"{spec[field].kind!r}; accepted is a field of kind 'video'"
        )
    game = parts.game(config, spec)
    every = config["singular_every"]
    critic = config["discriminator"]
    clip = names.named(critic["optimizer"], "discriminator")[1].get("clip")
    if every and clip is not None:
        raise ValueError(
            f"discriminator: optimizer.clip={clip} clips weights, and singular_every="
            f"{every} singular values; accepted is one of them"
        )
    free = not every and clip is None and not critic.get("penalties")
    if free and names.named(config["loss"], "loss")[0] == "wasserstein":
        raise ValueError(
            "discriminator: the Wasserstein loss needs singular_every, optimizer.clip "
            "or penalties"
        )
    outputs = {"sample": game.sample}
    outputs["interpolated"] = functools.partial(interpolated, game=game)
    inputs = game.inputs
    if config["generator"].get("condition"):
        if game.label is None:
            raise ValueError(
                "generator: condition needs labels, and the data have only "
                f"{', '.join(spec)}"
            )
        classes = spec[game.label].n_classes
        inputs = functools.partial(cgan.inputs, game=game, n_classes=classes)
    gan = game.gan(inputs=inputs, outputs=outputs)
    if not every:
        return gan
    return dataclasses.replace(gan, after=functools.partial(after, every=every))


def after(state: State, metrics: Metrics, *, every: int) -> State:
    """Clips the critic after each `every`-th step."""
    d, stats = state.params["d"], state.stats["d"].get("batch_stats", {})
    due = state.step % every == 0
    d = jax.lax.cond(due, lambda: clipped(d, stats), lambda: d)
    return state.replace(params=state.params | {"d": d})


def clipped(params: Tree, stats: Tree) -> Tree:
    """Returns the critic's parameters after singular value clipping (section 3.3).

    params: kernels of convolutions [..., I, O], and any others, of which only the gains
    `scale` of batch norms change. stats: the running variances `var` of the latter.
    """
    flat = flax.traverse_util.flatten_dict(params)
    variances = flax.traverse_util.flatten_dict(stats)

    def clip(path, p):
        variance = variances.get((*path[:-1], "var"))
        if path[-1] == "scale" and variance is not None:
            deviation = jnp.sqrt(variance)
            return jnp.clip(p, 0.01 * deviation, deviation)
        return optim.limit_singular_values(p, 1.0) if p.ndim >= 4 else p

    return flax.traverse_util.unflatten_dict({x: clip(x, p) for x, p in flat.items()})


def interpolated(nets: Nets, inputs: Batch, key: jax.Array, *, game: Game) -> Batch:
    """Returns the clips of `sample` with three more frames between any two.

    They are made of latents z_t on the line between those of the two (section 4.4).
    """
    label = inputs.get(game.label)
    clips = nets["g"](inputs["z"], label, key=key, between=BETWEEN)
    return {game.field: clips}
