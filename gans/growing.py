"""Progressive growing, section 2 of arXiv 1710.10196: a GAN in stages of resolution.

The first stage trains at a small resolution. Each later one doubles it: for so many
images the new layers are faded in, from nothing, and for as many more they are trained
in full. The last goes on to the end of the run.

`stages` and `grown` make any game of images grow whose networks have a field `fading`
(see `gans.layers.growth`). They read these keys of a config, beside a game's:

    first_resolution  of the first stage; that of the data: there is no growing
    fade_kimg, stable_kimg     thousands of real images of the two parts of a stage
    batch_changes, rate_changes    ((side, value), ...): batch sizes and learning rates
                      from a resolution on

As in the authors' code, optimisers begin anew at each border and after each fade, and
real images are faded in like those of the generator. Deviations: the parts of a stage
are rounded up to whole calls of `steps_per_call` steps, and real images of a stage are
read at its own resolution, not as means of 2x2 pixels of the next.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import jax

from gans import build as parts
from gans import networks, schedules
from gans.core import GAN, Update
from gans.data.spec import Spec, main_field
from gans.layers.growth import mixed, sides
from gans.layers.resample import downsample, upsample
from gans.stages import Stage, first_step

ROLES = ("generator", "discriminator")
Changes = Sequence[tuple[int, float]]


def stages(config: parts.Config, spec: Spec) -> tuple[Stage, ...]:
    """Returns the stages, of `first_resolution` to that of the data.

    Raises ValueError for a resolution that is no power of two, and for a run that ends
    before the networks are grown.
    """
    every = _sides(config, spec)
    found = []
    for i, side in enumerate(every):
        batch_size = from_side(config["batch_changes"], side, config["batch_size"])
        steps = _fade_steps(config, spec, i)
        if side == every[-1]:
            before = sum(stage.steps for stage in found)
            if config["steps"] - before < max(steps, 1):
                raise ValueError(
                    f"steps={config['steps']} are over before the networks are grown: "
                    f"with these first_resolution, fade_kimg, stable_kimg and "
                    f"batch_changes, {side}x{side} pixels take at least "
                    f"{before + max(steps, 1)} steps"
                )
            steps = config["steps"] - before
        else:
            steps += _steps(config, config["stable_kimg"], batch_size)
        if not steps:
            raise ValueError(
                f"stable_kimg={config['stable_kimg']} leaves no step for "
                f"{side}x{side} pixels; wanted is more than 0"
            )
        found.append(Stage(steps, batch_size, _at(spec, side), i > 0))
    return tuple(found)


def grown(
    build: Callable[[parts.Config, Spec], GAN],
    config: parts.Config,
    spec: Spec,
    stage: int,
) -> GAN:
    """Returns the GAN of a stage.

    build: makes a game of the networks "g" and "d" at the resolution of a spec.
    """
    every = stages(config, spec)
    own, fade = every[stage], _fade_steps(config, spec, stage)
    config = _of_stage(config, spec, own, fade > 0, len(every))
    gan = build(config, own.spec)
    if not fade:
        return gan
    start = first_step(every, stage)
    alpha, field = schedules.fade_in(start, start + fade), main_field(spec)

    def of_step(step):
        return {"fade": {"alpha": alpha(step)}}

    def with_reals(update: Update) -> Update:
        def loss(nets, batch, key, state):
            x = batch[field]
            x = mixed(upsample(downsample(x)), x, alpha(state.step))
            return update.loss(nets, {**batch, field: x}, key, state)

        return dataclasses.replace(update, loss=loss)

    def after(state, metrics):
        state = state if gan.after is None else gan.after(state, metrics)
        opt = jax.lax.cond(
            state.step == start + fade,
            lambda: {name: gan.nets[name].tx.init(state.params[name]) for name in opts},
            lambda: state.opt,
        )
        return state.replace(opt=opt)

    opts = [name for name, net in gan.nets.items() if net.tx is not None]
    return dataclasses.replace(
        gan,
        nets={k: dataclasses.replace(x, of_step=of_step) for k, x in gan.nets.items()},
        updates=tuple(map(with_reals, gan.updates)),
        after=after,
    )


def from_side(changes: Changes, side: int, value: float) -> float:
    """Returns the last value of ((side, value), ...) up to `side`, or `value`."""
    return next((x for at, x in reversed([*changes]) if at <= side), value)


def _sides(config, spec):
    """The resolutions of all stages."""
    shape, first = spec[main_field(spec)].shape, config["first_resolution"]
    if spec[main_field(spec)].kind != "image":
        raise ValueError(
            f"progressive growing is for images, and this data has {main_field(spec)}"
        )
    every = sides(shape)
    if first not in every:
        raise ValueError(
            f"first_resolution={first} is not one of {', '.join(map(str, every))}: "
            "powers of two from 4 to the resolution of the data"
        )
    for name in ("batch_changes", "rate_changes"):
        found = [side for side, _ in config[name]]
        if any(a >= b for a, b in itertools.pairwise(found)):
            raise ValueError(f"{name}={config[name]}: the resolutions must rise")
    return every[every.index(first) :]


def _at(spec, side):
    field = spec[main_field(spec)]
    shape = (side, side, *field.shape[2:])
    return {**spec, main_field(spec): dataclasses.replace(field, shape=shape)}


def _steps(config, kimg, batch_size):
    """Of so many thousands of images, in whole calls."""
    calls = math.ceil(round(1000 * kimg / batch_size / config["steps_per_call"], 6))
    return calls * config["steps_per_call"]


def _fade_steps(config, spec, index):
    side = _sides(config, spec)[index]
    batch_size = from_side(config["batch_changes"], side, config["batch_size"])
    return _steps(config, config["fade_kimg"], batch_size) if index else 0


def _of_stage(config, spec, stage, fades, n):
    """The config of one stage's game."""
    side = stage.spec[main_field(spec)].shape[0]
    changed = {
        "batch_size": stage.batch_size,
        "steps": stage.steps,
        # As many images, in updates of this stage.
        "ema_half_life": config["ema_half_life"]
        * (config["batch_size"] / stage.batch_size),
    }
    for role in ROLES:
        part = {**config[role]}
        optimizer = part["optimizer"] = {**part["optimizer"]}
        rate = optimizer.get("learning_rate")
        optimizer["learning_rate"] = from_side(config["rate_changes"], side, rate)
        schedule = optimizer.get("schedule", "constant")
        with parts.place(role):
            if n > 1 and schedule != "constant":
                raise ValueError(
                    f"optimizer.schedule={schedule!r}, but optimisers begin anew with "
                    "each stage; accepted is constant, and rate_changes"
                )
            if fades:
                _check(part["network"], role)
                part["fading"] = True
        changed[role] = part
    return {**config, **changed}


def _check(network, role):
    cls = networks.find(role.capitalize(), network)
    if "fading" not in cls.__dataclass_fields__:
        raise ValueError(
            f"network={network!r} has no layers that are faded in; first_resolution="
            "RESOLUTION trains it at one resolution, fade_kimg=0 without fading"
        )
