"""Parts of a config, nested dicts, made into networks, optimisers and a game.

Strings are names, and {"name": NAME, option: value, ...} is a name with options; no
string is parsed here. Errors name the part and its option.
"""

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gans import augment, names, networks, optim, schedules, terms
from gans.adversary import Adversary
from gans.core import Net
from gans.data import kinds
from gans.data.spec import Spec, label_field, main_field
from gans.game import Game
from gans.losses import adversarial
from gans.metrics.features import content as features

OF_DATA = ("shape", "scale", "bounded", "n_classes")  # what networks learn of the data
Config = Mapping[str, Any]


def game(
    config: Config,
    spec: Spec,
    *,
    loss: adversarial.Adversarial | None = None,
    pace: tuple[int, tuple[tuple[int, int], ...]] | None = None,
    sets: Mapping[str, Mapping[str, Any]] | None = None,
) -> Game:
    """Returns the game of two players that a config describes.

    Args:
      config: with the keys of `configs.presets.game`.
      loss: the variant's; None: that of config["loss"].
      pace: n_critic and its changes, likewise.
      sets: {role: {option: value}} of its networks, likewise; the config may leave them
        out, but not contradict.

    Raises ValueError for an unknown name or option, and for incompatible parts.
    """
    n_critic, changes = pace or (config["n_critic"], config["n_critic_changes"])
    schedules.n_critic(n_critic, changes)  # refuses what cannot be a pace
    field, label = main_field(spec), label_field(spec)
    shared = {
        "n_classes": spec[label].n_classes if label else None,
        "dtype": jnp.dtype(config["dtype"]),
    }
    of_data = {
        "shape": spec[field].shape,
        "bounded": kinds.of(spec[field]).RANGE is not None,
    }
    made, added, tx = {}, {}, {}
    for name, role, own in (("g", "generator", of_data), ("d", "discriminator", {})):
        part, steps = config[role], config["steps"]
        if name == "g":
            steps = schedules.n_updates(n_critic, changes, steps)
        with place(role):
            part = with_set(part, (sets or {}).get(role, {}))
            made[name] = network(role, part, config["batch_size"], **own, **shared)
            added[name] = terms.make(part.get("penalties", ()), role)
            equalised = networks.layers_of(made[name]).equalised
            tx[name] = optimiser(part, steps, added[name], equalised)
    return Game(
        generator=made["g"],
        discriminator=made["d"],
        tx=tx,
        loss=loss or loss_of(config),
        latent=config["latent"],
        spec=spec,
        ema=ema(config, n_critic, changes),
        terms=added,
        augments=augments(config["augment"]),
        label_flip=config["label_flip"],
        top_k=top_k(config["top_k"]),
        n_critic=n_critic,
        n_critic_changes=changes,
    )


def seen(spec: Spec, conditional: bool) -> Spec:
    """Returns the fields that a game is about: with their labels if it is conditional.

    Raises ValueError if it is to be, and the data has no labels.
    """
    if not conditional:
        return {main_field(spec): spec[main_field(spec)]}
    if label_field(spec) is None:
        raise ValueError(
            f"conditional=True needs labels, and the data has only {', '.join(spec)}; "
            "folders of images get their labels from the names of sub-folders"
        )
    return spec


def sides(spec: Spec) -> tuple[str, str]:
    """Returns the names of the two image fields of a translation, "a" and "b".

    Raises ValueError, naming its fields, for data without them.
    """
    if any(name not in spec or spec[name].kind != "image" for name in "ab"):
        has = ", ".join(f"{name} ({field.kind})" for name, field in spec.items())
        raise ValueError(
            f"wanted data with two image fields, a and b, as pairs:PATH, unpaired:PATH "
            f"and sr:PATH have; it has {has}"
        )
    return "a", "b"


def translator(config: Config, spec: Spec, given: str, made: str) -> Net:
    """Returns the generator that makes the image field `made` of the field `given`.

    config: with the keys generator, batch_size, steps, dtype and ema (0: no average).
    """
    part = config["generator"]
    with place("generator"):
        if part.get("penalties"):
            raise ValueError(
                f"penalties={part['penalties']!r}: the generator of this variant has "
                "none; leave them out"
            )
        scale = _scale(part["network"], spec[given].shape, spec[made].shape)
        module = network(
            "generator",
            part,
            config["batch_size"],
            shape=spec[made].shape,
            scale=scale,
            dtype=jnp.dtype(config["dtype"]),
        )
        equalised = networks.layers_of(module).equalised
        tx = optimiser(part, config["steps"], equalised=equalised)
    x = jax.ShapeDtypeStruct((1, *spec[given].shape), jnp.float32)
    average = schedules.ramp_up(config["ema"]) if config["ema"] else None
    return Net(module, (x,), tx, average)


def _scale(named, given, made):
    """How many times larger images [H, W, C] become; ValueError if `named` cannot."""
    scale = made[0] // given[0]
    if tuple(made[:2]) != tuple(scale * n for n in given[:2]):
        (h, w, _), (height, width, _) = given, made
        raise ValueError(f"from {w}x{h} to {width}x{height}: wanted a whole factor")
    fields = networks.find("Generator", named).__dataclass_fields__
    if scale > 1 and "scale" not in fields:
        raise ValueError(
            f"network={named!r} makes images as large as what it is given, and those "
            f"of the data are {scale} times larger; srresnet, msrresnet and rrdb "
            "enlarge them"
        )
    return scale


def content(config: Config, shape: tuple[int, ...]) -> Net | None:
    """Returns the frozen network whose features of images of `shape` are compared.

    config: with the keys content ("": there is none) and content_weights, its file.
    """
    name, path = config["content"], config["content_weights"]
    if not name:
        return None
    with place("content"):
        features.known(name)
        if not path:
            raise ValueError(f"{name} needs its file of weights: content_weights=FILE")
        try:
            given = features.from_file(name, path)
        except OSError as error:
            raise ValueError(f"content_weights={path!r}: {error.strerror}") from None
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return Net(features.Content(name, name=name), (x,), given=given)


def adversary(config: Config, name: str) -> Adversary:
    """Returns the discriminator `name` of images.

    config: with the keys discriminator, augment, loss, batch_size, steps and dtype.
    """
    part = config["discriminator"]
    with place("discriminator"):
        dtype = jnp.dtype(config["dtype"])
        module = network("discriminator", part, config["batch_size"], dtype=dtype)
        added = terms.make(part.get("penalties", ()), "discriminator")
        equalised = networks.layers_of(module).equalised
        tx = optimiser(part, config["steps"], added, equalised)
        return Adversary(
            name=name,
            module=module,
            tx=tx,
            loss=loss_of(config),
            terms=added,
            augments=augments(config["augment"]),
        )


def with_set(part: Config, options: Mapping[str, Any]) -> Config:
    """Returns the part of a network with the options that its variant sets.

    Raises ValueError if the part has another value of one.
    """
    for name, value in options.items():
        if part.get(name, value) != value:
            raise ValueError(
                f"{name}={part[name]!r}, but this variant has {name}={value!r}"
            )
    with_options = copy.copy(part)
    with_options.update(options)
    return with_options


@contextlib.contextmanager
def place(name: str):
    """Puts the name of a part before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def network(role: str, part: Config, batch_size: int, **own: Any) -> nn.Module:
    """Returns the "generator" or the "discriminator" of a part of a config.

    own: what the game sets; that of the data only where a network has it.

    Raises ValueError for unknown options, for those that the game sets, and where the
    network's statistics do not fit `batch_size`.
    """
    cls, named = role.capitalize(), part["network"]
    for name in own:
        if name in part:
            raise ValueError(f"{name}={part[name]!r}: the game sets it; leave it out")
    fields = networks.find(cls, named).__dataclass_fields__
    own = {k: x for k, x in own.items() if k in fields or k not in OF_DATA}
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in part.items()
        if name not in ("optimizer", "penalties")
    }
    module = networks.make(cls, **own, **options)
    layers = networks.layers_of(module)
    names.number(layers.dropout, lambda x: (0 <= x) & (x < 1), "dropout", "in [0, 1)")
    if layers.n_reference > batch_size:
        raise ValueError(
            "virtual batch norm needs a batch of at least "
            f"n_reference={layers.n_reference}, got batch_size={batch_size}"
        )
    group, said = getattr(module, "group", None), "minibatch deviation"
    if layers.minibatch is not None:
        group = names.named(layers.minibatch, "minibatch")[1].get("group")
        said = f"minibatch={layers.minibatch!r}"
    if group and batch_size > group and batch_size % group:
        raise ValueError(
            f"{said}: its group does not divide batch_size={batch_size}: group={group}"
        )
    return module


def optimiser(
    part: Config,
    n_updates: int,
    added: tuple[terms.Term, ...] = (),
    equalised: bool = False,
) -> optax.GradientTransformation:
    """Returns the optimiser of a network that is updated `n_updates` times.

    The updates of its lazy terms are added to these, and limits of the size of
    `equalised` kernels are rejected (see `optim.make`).
    """
    name, options = names.named(part["optimizer"], "optimiser")
    for option in ("n_updates", "lazy", "equalised"):
        if option in options:
            raise ValueError(f"optimiser: the game sets {option}; leave it out")
    if "learning_rate" not in options:
        raise ValueError(f"optimiser {name} needs a learning_rate")
    return optim.make(
        name,
        n_updates=max(n_updates, 1),
        lazy=tuple(term.every for term in added if term.every > 1),
        equalised=equalised,
        **options,
    )


def loss_of(config: Config) -> adversarial.Adversarial:
    """Returns the loss that config["loss"] names."""
    name, options = names.named(config["loss"], "loss")
    return adversarial.make(name, **options)


def augments(values: tuple[Any, ...]) -> tuple[augment.Augment, ...]:
    """Returns the augmentations that are named."""
    named = (names.named(value, "augment") for value in values)
    return tuple(augment.make(name, **options) for name, options in named)


def top_k(value: Any) -> schedules.Schedule | None:
    """Returns the schedule of top-k training; None for an empty value."""
    if not value:
        return None
    name, options = names.named(value, "top_k")
    names.check(name, ("top_k",), "top_k")
    known = {"share": 0.5, "gamma": 0.99, "interval": 781}
    names.typed({"share": float, "gamma": float, "interval": int}, options, "top_k")
    share, gamma, interval = (known | options).values()
    for option, x in (("share", share), ("gamma", gamma)):
        names.number(x, lambda x: (0 < x) & (x <= 1), f"top_k: {option}", "in (0, 1]")
    return schedules.decay_to(share, gamma, interval)


def ema(
    config: Config, n_critic: int, changes: tuple[tuple[int, int], ...]
) -> schedules.Schedule:
    """Returns the generator's EMA decay, a function of the step.

    It counts the generator's updates.
    """
    decay = schedules.ramp_up(config["ema"])
    if config["ema_half_life"]:
        decay = schedules.half_life(config["ema_half_life"], config["ema_ramp"])
    return lambda step: decay(schedules.n_updates(n_critic, changes, step + 1) - 1)
