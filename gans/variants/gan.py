"""Generative Adversarial Nets (arXiv 1406.2661), and the game that most variants share.

Deviations from the paper: Adam for momentum SGD, ReLU for maxout. The generator's loss
is a choice: minimax (equation 1) or non-saturating (section 3).

The batch's labels, where it has any, go to both networks in both moves; networks that
are not conditional ignore them. What stabilises a game (`gans.stabilisers`,
`gans.augment`, smoothed and flipped labels, top-k) is added by the config.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from gans import augment, diagnostics, names, networks, optim, schedules, stabilisers
from gans.core import GAN, Bound, Net, Out, State, Update, length
from gans.losses import adversarial
from gans.stabilisers import Move, Term


@dataclasses.dataclass(frozen=True)
class Game:
    """What the moves are made of.

    Attributes:
      loss: the adversarial pair.
      latent: dimensions of z.
      augments: what the critic's inputs go through, real and fake, in both moves.
      label_flip: share of examples whose labels are exchanged in the critic's move.
      top_k: step -> share of the fakes that the generator learns from, the critic's
        favourites; None: all (arXiv 2002.06224).
      terms: of each player, "g" and "d".
    """

    loss: adversarial.Adversarial
    latent: int
    augments: tuple[augment.Augment, ...] = ()
    label_flip: float = 0.0
    top_k: schedules.Schedule | None = None
    terms: dict[str, list[Term]] = dataclasses.field(
        default_factory=lambda: {"g": [], "d": []}
    )


def discriminator_loss(nets, batch, key, state, *, game: Game):
    """Algorithm 1, the inner loop: one batch of noise against one of data.

    The generator is bound, not trained, in this move: no gradient flows through it.
    """
    terms = [term for term in game.terms["d"] if term.every == 1]
    move, stats, key, keys = critic_move(nets, batch, key, state, terms, game=game)
    logits = move.on_real, move.on_fake
    if game.label_flip:
        logits = adversarial.flip_labels(*logits, key, game.label_flip)
    value, found, aux = stabilisers.add(game.loss.critic(*logits), terms, move, keys)

    metrics = diagnostics.judgement(move.on_real, move.on_fake, game.loss.boundary)
    metrics["gap"] = metrics["real"] - metrics["fake"]
    metrics["diversity"] = diagnostics.diversity(move.real, move.fake)
    if move.fake.ndim == 4:
        metrics["saturated"] = diagnostics.saturated(move.fake)
    for kind in _adaptive(game):
        above, kept = move.on_real - game.loss.boundary, state.aux[kind.name]
        aux[kind.name] = kind.adapted(kept, above, state.step, len(move.real))
        metrics[f"{kind.name}_p"] = aux[kind.name]["p"]
    metrics, aux = jax.lax.stop_gradient((metrics | found, aux))
    return value, Out(metrics, stats={"d": stats}, aux=aux)


def generator_loss(nets, batch, key, state, *, game: Game):
    """Algorithm 1, the outer loop: one batch of noise."""
    terms = [term for term in game.terms["g"] if term.every == 1]
    move, stats, keys = generator_move(nets, batch, key, state, terms, game=game)
    value = jnp.zeros(())
    if not any(term.replaces for term in game.terms["g"]):
        weights = None
        if game.top_k is not None:
            weights = adversarial.top_k_weights(move.on_fake, game.top_k(state.step))
        value = game.loss.generator(move.on_fake, move.on_real, weights)
    value, found, aux = stabilisers.add(value, terms, move, keys)
    found, aux = jax.lax.stop_gradient((found, aux))
    return value, Out(found, stats={"g": stats}, aux=aux)


def lazy_loss(nets, batch, key, state, *, game: Game, term: Term, player: str):
    """One term as a move of its own, with `every` times its weight."""
    made = {"d": critic_move, "g": generator_move}[player]
    move, *_, keys = made(nets, batch, key, state, [term], game=game)
    value, found, aux = stabilisers.add(jnp.zeros(()), [term], move, keys)
    found, aux = jax.lax.stop_gradient((found, aux))
    return term.every * value, Out({"value": found[term.name]}, aux=aux)


def critic_move(nets, batch, key, state, terms, *, game: Game):
    """Returns (Move of "d", the critic's new stats, a key, keys of the terms)."""
    real, label = data(batch)
    key_g, key_d, *keys, key_in, key = jax.random.split(key, 4 + len(terms))
    fake, _, z = generate(nets["g"], len(real), label, key_g, game.latent)
    see = functools.partial(inputs, game, state, key=key_in)
    looks = _looks(nets["d"], see, label, key_d, plain=not game.augments)
    on_real, on_fake, stats = looks["both"](real, fake)
    seen = {"real": real, "fake": fake, "on_real": on_real, "on_fake": on_fake}
    move = Move("d", nets, state, z=z, label=label, key=key, **looks, **seen)
    return move, stats, key, keys


def generator_move(nets, batch, key, state, terms, *, game: Game):
    """Returns (Move of "g", the generator's new stats, keys of the terms)."""
    real, label = data(batch)
    key_g, key_d, *keys, key_in, key = jax.random.split(key, 4 + len(terms))
    fake, stats, z = generate(nets["g"], len(real), label, key_g, game.latent)
    see = functools.partial(inputs, game, state, key=key_in)
    looks = _looks(nets["d"], see, label, key_d, plain=not game.augments)
    if game.loss.relative:
        on_real, on_fake, _ = looks["both"](real, fake)
    else:
        on_real, on_fake = None, looks["critic"](fake)
    seen = {"real": real, "fake": fake, "on_real": on_real, "on_fake": on_fake}
    move = Move("g", nets, state, z=z, label=label, key=key, **looks, **seen)
    return move, stats, keys


def _looks(d, see, label, key, plain):
    """`Move`'s critic, features and both: functions of the inputs before `see`.

    plain: `see` draws nothing.
    """

    def both(real, fake):
        return judge(d, real, fake, label, key, see)

    def critic(x, as_fake=False):
        if as_fake and not (plain and d.module.layers.dropout == 0):
            return both(x, x)[1]
        return d(see(x), label, key=key)

    def features(x):
        return d.features(see(x), label, key=key)

    return {"critic": critic, "features": features, "both": both}


def inputs(game: Game, state: State, x: Array, key: Array) -> Array:
    """x [B, ...] as the critic is to see it."""
    for i, kind in enumerate(game.augments):
        key_i = jax.random.fold_in(key, i)
        p = state.aux[kind.name]["p"] if kind.adaptive else None
        x = kind.apply(x, key_i, state.step, p)
    return x


def _adaptive(game):
    return [kind for kind in game.augments if kind.adaptive]


def data(batch: dict[str, Array]) -> tuple[Array, Array | None]:
    """Returns the batch's images [B, H, W, C] or points [B, 2], and labels [B]."""
    return batch["image"] if "image" in batch else batch["point"], batch.get("label")


def generate(
    g: Bound, n: int, label: Array | None, key: Array, latent: int
) -> tuple[Array, Any, Array]:
    """Returns n samples [n, ...], g's new stats, and the z [n, latent] of N(0, 1)."""
    key_z, key_dropout = jax.random.split(key)
    z = jax.random.normal(key_z, (n, latent))
    return *g.mutate(z, label, key=key_dropout), z


def judge(
    d: Bound,
    real: Array,
    fake: Array,
    label: Array | None,
    key: Array,
    see=lambda x: x,
) -> tuple[Array, Array, Any]:
    """Returns logits [B] of real and of fake [B, ...], and the critic's new stats.

    Both go through `see` and the critic together, which saves half the passes, unless
    its logits depend on their batch (batch norm, minibatch layers): then each is a
    batch of its own (arXiv 1511.06434), and the statistics are those of real data.
    Real examples have the draws, of `see` and of dropout, that they have alone.
    """
    both = see(jnp.concatenate([real, fake]))
    if d.module.mixes_batch:
        real, fake = jnp.split(both, [len(real)])
        on_real, stats = d.mutate(real, label, key=key)
        return on_real, d(fake, label, key=jax.random.fold_in(key, 1)), stats
    labels = None if label is None else jnp.concatenate([label, label])
    logits, stats = d.mutate(both, labels, key=key)
    return *jnp.split(logits, [len(real)]), stats


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/gan.py for its keys).

    Raises ValueError for a name or an option that is not known, and for what does not
    go together.
    """
    return assemble(config, loss_of(config))


def loss_of(config) -> adversarial.Adversarial:
    """Returns the loss that config.loss names, "NAME" or "NAME(option=value)"."""
    name, options = names.parse(config.loss, "config.loss")
    return adversarial.make(name, **options)


def assemble(config, loss: adversarial.Adversarial, pace=None) -> GAN:
    """Returns the game of `g` against `d` under `loss`.

    `pace`, the arguments of `schedules.n_critic`, says at which steps the generator
    moves; None: config.n_critic and config.n_critic_changes.
    """
    n_critic, changes = pace or (config.n_critic, config.n_critic_changes)
    when = schedules.n_critic(n_critic, changes)
    shape = tuple(config.shape)
    terms = {
        player[0]: stabilisers.make(config[part].get("penalties", ()), part, shape)
        for player, part in (("d", "critic"), ("g", "generator"))
    }
    augments = tuple(
        augment.make(name, **options)
        for name, options in (names.parse(x, "config.augment") for x in config.augment)
    )
    game = Game(loss, config.latent, augments, config.label_flip, _top_k(config), terms)
    nets = players(
        config, terms, functools.partial(schedules.n_moves, n_critic, changes)
    )
    _check(config, game, nets)
    updates = [
        Update("d", ("d",), functools.partial(discriminator_loss, game=game)),
        Update("g", ("g",), functools.partial(generator_loss, game=game), when),
    ]
    aux = {kind.name: kind.first() for kind in _adaptive(game)}
    for player, of_player in terms.items():
        for term in of_player:
            name = stabilisers.slot(term.name, player)
            if term.first is not None:
                aux[name] = lambda params, f=term.first, p=player: f(params[p])
            if term.every > 1:
                if player == "g" and changes:
                    raise ValueError(
                        f"config.generator.penalties: {term.name} every={term.every} "
                        "of its moves, which change their pace; accepted is every=1"
                    )
                due = schedules.every(term.every * (n_critic if player == "g" else 1))
                move = {"game": game, "term": term, "player": player}
                loss = functools.partial(lazy_loss, **move)
                updates.append(Update(name, (player,), loss, due))
    return GAN(
        nets=nets,
        updates=tuple(updates),
        inputs=functools.partial(latents, latent=config.latent),
        outputs={"sample": functools.partial(sample, field=field_of(shape))},
        aux=aux,
    )


def _top_k(config):
    if not config.top_k:
        return None
    name, given = names.parse(config.top_k, "config.top_k")
    names.check(name, ("top_k",), "config.top_k")
    options = {"share": 0.5, "gamma": 0.99, "interval": 781}
    names.options(options, given, "top_k")
    share, gamma, interval = (options | given).values()
    if not all(names.holds((0 < x) & (x <= 1)) for x in (share, gamma)):
        raise ValueError(
            f"config.top_k={config.top_k!r}: share, gamma must be in (0, 1]"
        )
    return schedules.decay_to(share, gamma, interval)


def _check(config, game, nets):
    """Raises ValueError, with the reason, for what does not go together."""
    d = nets["d"].module
    for term in game.terms["d"]:
        if term.per_example and d.mixes_batch:
            raise ValueError(
                f"config.critic.penalties: {term.name} is per example, which "
                f"norm={d.layers.norm!r} and minibatch={d.layers.minibatch!r} in "
                "the critic make meaningless; accepted is None of both"
            )
    for value, inside, key, accepted in (
        (config.label_flip, lambda x: (0 <= x) & (x <= 1), "label_flip", "in [0, 1]"),
        (config.ema, lambda x: (0 <= x) & (x < 1), "ema", "in [0, 1)"),
        (config.ema_half_life, lambda x: x >= 0, "ema_half_life", "of at least 0"),
        (config.ema_ramp, lambda x: x > 0, "ema_ramp", "above 0, or None"),
        (d.layers.dropout, lambda x: (0 <= x) & (x < 1), "critic.dropout", "in [0, 1)"),
    ):
        if not (value is None and key == "ema_ramp"):
            names.number(value, inside, f"config.{key}", accepted)
    if game.top_k and any(term.replaces for term in game.terms["g"]):
        raise ValueError("config.top_k is of the loss that feature_matching replaces")
    if game.top_k and game.loss.relative:
        raise ValueError(f"config.top_k ranks fakes alone; config.loss={config.loss!r}")
    for kind in game.augments:
        kind.check(tuple(config.shape))
        if kind.adaptive and game.loss.boundary is None:
            raise ValueError(
                f"config.augment: {kind.name} goes by the sign of the critic's logits, "
                f"which has no meaning with config.loss={config.loss!r}"
            )
    kinds = [kind.name for kind in game.augments]
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"config.augment: each at most once, got {', '.join(kinds)}")
    for part, net in (("critic", nets["d"]), ("generator", nets["g"])):
        layers, optimizer = net.module.layers, config[part].optimizer
        if layers.n_reference > config.batch_size:
            raise ValueError(
                f"config.{part}: virtual batch norm needs a batch of at least "
                f"n_reference={layers.n_reference}, got batch_size={config.batch_size}"
            )
        group = _group(layers.minibatch)
        if group and config.batch_size > group and config.batch_size % group:
            raise ValueError(
                f"config.{part}.minibatch={layers.minibatch!r}: its group does not "
                f"divide batch_size={config.batch_size}"
            )
        terms = [term.name for term in game.terms[part[0].replace("c", "d")]]
        of_size = [x for x in ("clip", "clip_singular") if optimizer.get(x) is not None]
        of_size += [x for x in terms if x == "orthogonal"]
        if layers.equalised and of_size:
            raise ValueError(
                f"config.{part}: {of_size[0]} is about the size of kernels as they are "
                "used, and equalised ones are kept at another, about 1"
            )


def _group(minibatch):
    return names.named(minibatch, "minibatch")[1].get("group") if minibatch else None


def latents(key: Array, batch: dict[str, Array], *, latent: int) -> dict[str, Array]:
    """Returns {"z": [n, latent]} of N(0, 1), for a batch of n examples."""
    return {"z": jax.random.normal(key, (length(batch), latent))}


def sample(
    nets: dict[str, Bound], inputs: dict[str, Array], key: Array, *, field: str
) -> dict[str, Array]:
    """Returns {field: the generator's output for inputs["z"] [n, latent]}."""
    return {field: nets["g"](inputs["z"], inputs.get("label"), key=key)}


def field_of(shape: tuple[int, ...]) -> str:
    """The name of the data's field."""
    return "image" if len(shape) == 3 else "point"


def players(
    config, terms: dict[str, list[Term]], n_moves: Callable[[Any], Any]
) -> dict[str, Net]:
    """Returns the networks `g` (with its average) and `d` of a config.

    The generator makes n_moves(steps) in so many steps, the critic one in each.
    """
    shape, dtype = tuple(config.shape), jnp.dtype(config.dtype)
    z = jax.ShapeDtypeStruct((1, config.latent), jnp.float32)
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    label = jax.ShapeDtypeStruct((1,), jnp.int32) if config.n_classes else None
    shared = {"n_classes": config.n_classes, "dtype": dtype}
    g = networks.make("Generator", shape=shape, **shared, **options(config.generator))
    d = networks.make("Discriminator", **shared, **options(config.critic))
    tx_g = optimiser(config.generator, n_moves(config.steps), terms["g"])
    tx_d = optimiser(config.critic, config.steps, terms["d"])
    decay = schedules.ramp_up(config.ema)
    if config.ema_half_life:
        decay = schedules.half_life(config.ema_half_life, config.ema_ramp)
    ema = lambda step: decay(n_moves(step + 1) - 1)  # noqa: E731
    return {"g": Net(g, (z, label), tx_g, ema), "d": Net(d, (x, label), tx_d)}


def options(player) -> dict[str, Any]:
    """Returns the part of a player's config that is for its network."""
    found = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in player.items()
        if name not in ("optimizer", "penalties")
    }
    for name in {"norm", "minibatch"} & {k for k, v in found.items() if v is not None}:
        called, given = names.parse(found[name], name)
        found[name] = {"name": called, **given} if given else called
    return found


def optimiser(player, n_updates: int, terms: list[Term]):
    """Returns the optax optimiser of a player that will move `n_updates` times.

    Its lazy terms come on top of these (see `optim.make`).
    """
    lazy = tuple(term.every for term in terms if term.every > 1)
    return optim.make(n_updates=max(n_updates, 1), lazy=lazy, **player.optimizer)
