"""Many runs of a GAN in one compiled program: of several seeds, of several numbers.

A pure step is mapped over states, keys and numbers alike (images on a CPU: one lane
after another, in one compiled loop). Each run of a fleet, a lane, is what
`experiments.run` makes of its config, up to rounding: the same first state, the same
batches, the same random numbers. Where there are several devices, each has some of the
lanes to itself; a CPU's cores can be devices (see `experiments.process`): 8 small CNNs
on 2 cores then take 12.5 ms a step, not 22, and 8 MLPs 8.5 ms, not 13.

Devices never speak to each other: on CPUs a word awaited for a minute, as between
lanes of which one is slower, ends the process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gans import core
from gans.data.pipeline import Batches

Values = Mapping[str, Array]

# Examples of this many values or more, as images are, take convolutions.
LARGE = 64

_LANES = core.SEEDS.replace(
    **{f: P("lane") for f in ("params", "stats", "opt", "ema", "aux")},
    step=P(),
    frozen=P(),
)


class Fleet:
    """Runs that differ in their seeds, and in numbers that their program can take.

    Args:
      build: {name: [] float32} -> the game with these numbers; traced.
      values: {name: [L]}, the numbers of each lane; may be empty.
      seeds: [L], of each lane.
      batches: {seed: the batches of one run}.
      per_call: steps in one call.
    """

    def __init__(
        self,
        build: Callable[[Values], core.GAN],
        *,
        values: Mapping[str, Iterable[float]],
        seeds: Iterable[int],
        batches: Mapping[int, Batches],
        per_call: int,
    ):
        seeds, self.per_call = [*seeds], per_call
        n = self.n_lanes = len(seeds)
        order = list(batches)
        self._batches = [batches[seed] for seed in order]
        prepare = self._batches[0].prepare
        devices = np.array(jax.devices()[:n])
        mesh = Mesh(devices, ("lane",))
        # Each device has equally many: the last lane is there more than once.
        again = -n % len(devices)

        def padded(values):
            return np.concatenate([values, values[-1:].repeat(again, axis=0)])

        self._padded = padded
        self._split = NamedSharding(mesh, P("lane"))
        self._whole = NamedSharding(mesh, P())
        self._placed = jax.tree.map(lambda p: NamedSharding(mesh, p), _LANES)
        lanes = {
            "seed": np.array(seeds, np.int32),
            "row": np.array([order.index(seed) for seed in seeds], np.int32),
            "values": {k: np.array([*x], np.float32) for k, x in values.items()},
        }
        self._lanes = jax.device_put(jax.tree.map(padded, lanes), self._split)
        over_lanes = functools.partial(
            jax.shard_map, mesh=mesh, check_vma=False, out_specs=_LANES
        )

        def init(lanes):
            def one(lane):
                return core.init(build(lane["values"]), _keys(lane["seed"])[0])

            return jax.vmap(one, out_axes=core.SEEDS)(lanes)

        def one(state, batches, lane):
            step, key = core.make_step(build(lane["values"])), _keys(lane["seed"])[1]
            own = jax.tree.map(lambda x: x[:, lane["row"]], batches)
            state, metrics = jax.lax.scan(
                lambda s, batch: step(s, prepare(batch), key), state, own
            )
            means = {name: jnp.nanmean(x, axis=0) for name, x in metrics.items()}
            return state, (means, _finite(state))

        on_cpu = jax.default_backend() == "cpu"

        def call(state, batches, lanes):
            values = max(x[0, 0, 0].size for x in batches.values())  # of an example
            run = _in_turn if on_cpu and values >= LARGE else _at_once
            return run(one, state, batches, lanes)

        apart = on_cpu and len(devices) > 1
        # See experiments.training.programs.
        quick = {"xla_backend_optimization_level": "1"} if on_cpu else None
        self._init = jax.jit(
            over_lanes(init, in_specs=(P("lane"),)), compiler_options=quick
        )
        self._call = jax.jit(
            over_lanes(
                call,
                in_specs=(_LANES, P(), P("lane")),
                out_specs=(_LANES, P("lane")),
            ),
            donate_argnums=0,
            # Each device has its lanes; one that helped another would wait for it too.
            compiler_options={"xla_cpu_multi_thread_eigen": False} if apart else None,
        )

    @property
    def template(self) -> core.State:
        """The shapes and types of the lanes' states, as `kept` has them."""
        state = jax.eval_shape(self._init, self._lanes)
        own = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((self.n_lanes, *x.shape[1:]), x.dtype),
            state.replace(step=None),
        )
        return own.replace(step=state.step)

    def init(self) -> core.State:
        """The first states, stacked but for the step (see `gans.core.SEEDS`).

        There may be more than L, so that each device has equally many.
        """
        return self._init(self._lanes)

    def kept(self, state: core.State) -> core.State:
        """The states of the L lanes, of numpy, for a checkpoint."""
        state = jax.device_get(state)
        own = jax.tree.map(lambda x: x[: self.n_lanes], state.replace(step=None))
        return own.replace(step=state.step)

    def put(self, state: core.State) -> core.State:
        """The states of a checkpoint, on the devices of their lanes."""
        state = jax.tree.map(self._padded, state.replace(step=None)).replace(
            step=state.step
        )
        return jax.device_put(
            state,
            core.State(
                **{
                    field: jax.tree.map(lambda _, s=s: s, getattr(state, field))
                    for field, s in vars(self._placed).items()
                }
            ),
        )

    def call(self, state: core.State, start: int) -> tuple[core.State, dict, Array]:
        """The steps from `start` on; donates the states.

        Returns (states, {metric: [L] mean over the steps that have it}, finite [L]:
        whether all numbers of a lane are); as of states there may be more than L.
        """
        state, found = self._call(state, self._window(start), self._lanes)
        return state, *found

    def _window(self, start):
        """{name: [k, seeds, B, ...]}, on every device."""
        windows = [b.window(start, self.per_call) for b in self._batches]
        batches = {
            name: np.stack([w[name] for w in windows], axis=1) for name in windows[0]
        }
        return jax.device_put(batches, self._whole)


def lane(state: core.State, i: int) -> core.State:
    """One run's state, of the states of a fleet; on one device."""

    def own(x):
        """Of the device that has it."""
        at = i
        for part in sorted(x.addressable_shards, key=lambda p: p.index[0].start or 0):
            if at < len(part.data):
                return part.data[at]
            at -= len(part.data)
        raise IndexError(f"lane {i} of {len(x)}")

    lanes = state.replace(step=None)
    state = jax.tree.map(own, lanes).replace(step=state.step.addressable_data(0))
    return jax.device_put(state, jax.devices()[0])


def _keys(seed):
    """(of the first state, of the steps), as in `experiments.training.programs`."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), 0))


def _at_once(one, state, batches, lanes):
    """Every step of all lanes at once: small ones make up for what each costs alone."""
    return jax.vmap(one, in_axes=(core.SEEDS, None, 0), out_axes=(core.SEEDS, 0))(
        state, batches, lanes
    )


def _in_turn(one, state, batches, lanes):
    """One lane after another: a CPU gains nothing by convolving several at once."""

    def own(lane):
        after, found = one(lane[0].replace(step=state.step), batches, lane[1])
        return after.replace(step=None), after.step, found

    after, step, found = jax.lax.map(own, (state.replace(step=None), lanes))
    return after.replace(step=step[0]), found


def _finite(state):
    """Whether every number of a state is finite: [] bool."""
    checks = [
        jnp.isfinite(x).all()
        for x in jax.tree.leaves(state)
        if jnp.issubdtype(x.dtype, jnp.inexact)
    ]
    return jnp.stack(checks).all()
