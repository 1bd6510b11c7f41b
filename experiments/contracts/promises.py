"""The promises: each is given a `Trial` and yields what is wrong, a line for each.

The first line of a promise's docstring is what it promises, as a report says it. A
promise that does not apply raises `Skipped` with the reason.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from experiments import config as configs
from experiments import own_code
from experiments.contracts.trial import KEY, Trial, equal, quick
from experiments.rundir.checkpoint import Checkpoints
from gans import core
from gans.data import kinds
from gans.data import spec as specs
from gans.data.spec import main_field

N = 4  # samples of each output
Faults = Iterator[str]
Promise = Callable[[Trial], Faults]


class Skipped(Exception):
    """The promise cannot be asked of this config or machine; the message says why."""


def _of_net(gan, name):
    """Where a network is defined, if it is the user's."""
    return own_code.where(type(gan.nets[name].module).__call__)


def compiles_once(trial: Trial) -> Faults:
    """The step is compiled once."""
    if trial.compilations != 1:
        yield f"{trial.compilations} compilations: a type or a shape changes"


def is_finite(trial: Trial) -> Faults:
    """Losses and states are finite."""
    if fault := trial.not_finite:
        yield fault
        return
    for step, found in enumerate(trial.metrics):
        for update in trial.gan.updates:
            if trial.made(update, step):
                continue
            for name, value in found.items():
                if name.startswith(f"{update.name}/") and np.isfinite(value):
                    wanted = "wanted is NaN, as it is not due"
                    yield f"{name} is {value} in step {step}; {wanted}"


def metrics_are_numbers(trial: Trial) -> Faults:
    """Every metric is one float32 number."""
    for name, x in trial.metrics[0].items():
        if x.dtype != jnp.float32 or x.shape != ():
            yield f"{name} is {x.dtype} {list(x.shape)}"


def networks_fit_the_game(trial: Trial) -> Faults:
    """The generator makes data [B, ...] and the discriminator logits [B], float32."""
    gan, spec = trial.gan, trial.spec
    if not configs.is_game(trial.config.to_dict()) or set(gan.nets) != {"g", "d"}:
        raise Skipped("it is not the game of two players")
    n = core.length(trial.batch(0))
    shapes = {"g": (n, *spec[main_field(spec)].shape), "d": (n,)}

    def call(state, name):
        inputs = [
            None if x is None else jnp.zeros((n, *x.shape[1:]), x.dtype)
            for x in gan.nets[name].inputs
        ]
        return core.bind(gan, state, train=False)[name](*inputs, key=KEY)

    for name, shape in shapes.items():
        made = jax.eval_shape(functools.partial(call, name=name), trial.states[0])
        if made.shape != shape or made.dtype != jnp.float32:
            yield (
                f"{name} gives {made.dtype} {list(made.shape)}, not float32 "
                f"{list(shape)}{_of_net(gan, name)}"
            )


def every_network_learns(trial: Trial) -> Faults:
    """Every network is changed by the training."""
    first, last = trial.states[0].params, trial.states[-1].params
    for name, net in trial.gan.nets.items():
        if net.tx is not None and equal(first[name], last[name]):
            by = _of_net(trial.gan, name)
            yield f"{name} is as it was: no gradient reaches it{by}"


def updates_keep_apart(trial: Trial) -> Faults:
    """Each update changes only what it trains, and only when it is due."""
    gan, first = trial.gan, trial.states[0]
    batch = trial.batch(0)
    for update in gan.updates:
        play = functools.partial(core.play, gan, update)
        changes, _ = jax.eval_shape(play, first, batch, KEY)
        for part in ("params", "opt", "stats"):
            other = set(changes[part]) - set(update.trains)
            if other:
                yield (
                    f"{update.name} changes {part} of {', '.join(sorted(other))}"
                    f"{own_code.where(update.loss)}"
                )
    # A step in which none of a network's updates was due has left it alone.
    for step, (before, after) in enumerate(itertools.pairwise(trial.states)):
        for name in gan.nets:
            of_net = [update for update in gan.updates if name in update.trains]
            due = any(trial.made(update, step) for update in of_net)
            changed = not equal(before.params[name], after.params[name])
            if changed and not due:
                yield f"{name} is changed in step {step}, where no update of it is due"


def outputs_are_data(trial: Trial) -> Faults:
    """Every output has the shape, the type and the range of the data."""
    gan, spec = trial.gan, trial.spec
    decoded = specs.decoded(spec)
    batch = specs.blank(spec, N)
    if gan.conditioned_on:
        batch = {name: x[:N] for name, x in trial.batch(0).items()}
    inputs, of_data = gan.inputs(KEY, batch), False
    for output in gan.outputs:
        sample = functools.partial(core.sample, gan, output=output)
        made = quick(sample)(trial.states[-1], inputs, KEY)
        known, by = made.keys() & spec.keys(), own_code.where(gan.outputs[output])
        of_data |= bool(known)
        for name in sorted(known):
            x, kind, wanted = made[name], kinds.of(spec[name]), decoded[name]
            place, shape = f"{output}: {name}", (len(x), *spec[name].shape)
            fits = _is_like(x.shape[1:], spec[name].shape, kind)
            if not fits or x.dtype != wanted.dtype:
                yield (
                    f"{place} is {x.dtype} {list(x.shape)}, not {wanted.dtype} "
                    f"{list(shape)}{by}"
                )
                continue
            low, high = float(x.min()), float(x.max())
            bounds = (0, spec[name].n_classes - 1) if kind.CLASSES else kind.RANGE
            if bounds and not (bounds[0] <= low and high <= bounds[1]):
                said = f"in [{low:.3g}, {high:.3g}], not in {list(bounds)}"
                yield f"{place} is {said}{by}"
            if not kind.CLASSES and len(x) > 1 and not float(x.std(axis=0).max()) > 0:
                yield f"{place}: all samples are the same{by}"
    if not of_data:  # some may have fields of their own, such as a score
        every = " and ".join(gan.outputs)
        yield f"{every}: none of the data's fields {', '.join(spec)}"


def _is_like(shape, wanted, kind):
    """Whether an example's shape is the data's, but for axes of any length."""
    free = getattr(kind, "FREE", ())
    return len(shape) == len(wanted) and all(
        axis in free or n == m
        for axis, n, m in zip(kind.AXES, shape, wanted, strict=True)
    )


def steps_repeat(trial: Trial) -> Faults:
    """A step again gives the same, bit for bit."""
    step = quick(core.make_step(trial.gan))
    last = len(trial.metrics) - 1
    state, _ = step(trial.states[last], trial.batch(last), KEY)
    if not equal(state, trial.states[-1]):
        yield "two states after one step: it depends on more than its arguments"


def states_are_restored(trial: Trial) -> Faults:
    """A state that is saved is restored, bit for bit."""
    template = jax.eval_shape(functools.partial(core.init, trial.gan), KEY)
    template = template.replace(frozen=core.frozen_variables(trial.gan))
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder, keep=1)
        checkpoints.save(1, trial.states[-1], {"stream": 7})
        checkpoints.close()
        restored, extra = Checkpoints(folder, keep=1).restore(template)
    if not equal(restored, trial.states[-1]):
        yield "another state"
    if extra["stream"] != 7:
        yield "other facts beside it"


def devices_agree(trial: Trial) -> Faults:
    """Two devices give the state that one gives, but for rounding."""
    devices = jax.devices()[:2]
    n = core.length(trial.batch(0))
    if len(devices) < 2 or n % 2:
        raise Skipped("one device" if len(devices) < 2 else f"batch_size={n} is odd")
    mesh = Mesh(np.array(devices), ("batch",))
    whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, P("batch"))
    step = core.make_step(trial.gan)
    with jax.set_mesh(mesh):
        state = jax.device_put(trial.states[0], whole)
        shared = quick(step)(state, jax.device_put(trial.batch(0), split), KEY)[1]
    for name, value in trial.metrics[0].items():
        if not np.allclose(value, shared[name], rtol=2e-2, atol=1e-3, equal_nan=True):
            yield f"{name} is {value:.5g} on one device and {shared[name]:.5g} on two"


def metrics_are_measured(trial: Trial) -> Faults:
    """Every metric of the config is measured, on few samples."""
    if trial.evaluate is None or not trial.config.metrics:
        raise Skipped("config.metrics names none")
    report = trial.evaluate(trial.states[-1])
    for name, reason in report["failed"].items():
        yield f"{name}: {reason}"
    for name, result in report["results"].items():
        if np.isnan(result["value"]):
            yield f"{name} is {result['value']}"


# What is said of numbers, which is left out where they are not finite.
OF_NUMBERS = (
    every_network_learns,
    updates_keep_apart,
    outputs_are_data,
    steps_repeat,
    states_are_restored,
    devices_agree,
    metrics_are_measured,
)
PROMISES: tuple[Promise, ...] = (
    compiles_once,
    is_finite,
    metrics_are_numbers,
    networks_fit_the_game,
    every_network_learns,
    updates_keep_apart,
    outputs_are_data,
    steps_repeat,
    states_are_restored,
    devices_agree,
    metrics_are_measured,
)
