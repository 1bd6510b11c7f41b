"""Many runs of a GAN in one compiled program: with several seeds, or several numbers.

A pure step is mapped over states, keys and numbers alike (large examples on a CPU: one
replica after another, in one compiled loop). Each of these runs, a replica, is what
`experiments.run` makes of its config, up to rounding: the same first state, the same
batches, the same random numbers. With several devices, each has some of the replicas to
itself. The cores of a CPU can be devices (see `experiments.process`): 8 small CNNs on 2
cores then take 12.5 ms a step, not 22, and 8 MLPs 8.5 ms, not 13.

Devices never communicate. On CPUs XLA ends a process in which one device waits a minute
for another, as happens when one replica is slower.
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

from experiments.training import finite
from gans import core
from gans.data.pipeline import Batches

Values = Mapping[str, Array]

# Examples of this many values or more, as images are, take convolutions.
LARGE = 64

# Without frozen networks, which are handed to a program apart.
_REPLICAS = core.SEEDS.replace(
    **{f: P("replica") for f in ("params", "stats", "opt", "ema", "aux")},
    step=P(),
    frozen=P(),
)


class VmappedRuns:
    """Runs that differ in their seeds, and in numbers that their program can take.

    Frozen networks are the same for every replica, and as they are for the numbers of
    the first. No program donates or returns them.

    Args:
      build: {name: [] float32} -> the GAN with these numbers; traced.
      values: {name: [R]}, the numbers of each replica; may be empty.
      seeds: [R], of each replica.
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
        n = self.n_replicas = len(seeds)
        order = list(batches)
        self._batches = [batches[seed] for seed in order]
        prepare = self._batches[0].prepare
        devices = np.array(jax.devices()[:n])
        mesh = Mesh(devices, ("replica",))
        # Each device has equally many: the last replica is there more than once.
        again = -n % len(devices)

        def padded(values):
            return np.concatenate([values, values[-1:].repeat(again, axis=0)])

        self._padded = padded
        self._split = NamedSharding(mesh, P("replica"))
        self._whole = NamedSharding(mesh, P())
        self._placed = jax.tree.map(lambda p: NamedSharding(mesh, p), _REPLICAS)
        replicas = {
            "seed": np.array(seeds, np.int32),
            "row": np.array([order.index(seed) for seed in seeds], np.int32),
            "values": {k: np.array([*x], np.float32) for k, x in values.items()},
        }
        first = {name: x[0] for name, x in replicas["values"].items()}
        self._frozen = jax.device_put(core.frozen_variables(build(first)), self._whole)
        self._replicas = jax.device_put(jax.tree.map(padded, replicas), self._split)
        over_replicas = functools.partial(
            jax.shard_map, mesh=mesh, check_vma=False, out_specs=_REPLICAS
        )

        def init(replicas):
            def one(replica):
                key = _keys(replica["seed"])[0]
                return core.init(build(replica["values"]), key).replace(frozen={})

            return jax.vmap(one, out_axes=core.SEEDS)(replicas)

        def one(state, frozen, batches, replica):
            step = core.make_step(build(replica["values"]))
            key = _keys(replica["seed"])[1]
            own = jax.tree.map(lambda x: x[:, replica["row"]], batches)

            def body(state, batch):
                state = state.replace(frozen=frozen)
                state, metrics = step(state, prepare(batch), key)
                return state.replace(frozen={}), metrics

            state, metrics = jax.lax.scan(body, state, own)
            means = {name: jnp.nanmean(x, axis=0) for name, x in metrics.items()}
            return state, (means, finite.whole(state))

        on_cpu = jax.default_backend() == "cpu"

        def call(state, frozen, batches, replicas):
            values = max(x[0, 0, 0].size for x in batches.values())  # of an example
            run = _in_turn if on_cpu and values >= LARGE else _at_once
            return run(one, state, frozen, batches, replicas)

        apart = on_cpu and len(devices) > 1
        # See experiments.training.programs.
        quick = {"xla_backend_optimization_level": "1"} if on_cpu else None
        self._init = jax.jit(
            over_replicas(init, in_specs=(P("replica"),)), compiler_options=quick
        )
        self._call = jax.jit(
            over_replicas(
                call,
                in_specs=(_REPLICAS, P(), P(), P("replica")),
                out_specs=(_REPLICAS, P("replica")),
            ),
            donate_argnums=0,
            # Each device has its own; one that helped another would wait for it too.
            compiler_options={"xla_cpu_multi_thread_eigen": False} if apart else None,
        )

    @property
    def template(self) -> core.State:
        """The shapes and types of the replicas' states, as `kept` returns them.

        Frozen networks are there as they are (see `Checkpoints.restore`).
        """
        state = jax.eval_shape(self._init, self._replicas)
        own = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((self.n_replicas, *x.shape[1:]), x.dtype),
            state.replace(step=None),
        )
        return own.replace(step=state.step, frozen=self._frozen)

    def init(self) -> core.State:
        """The first states, stacked except for the step (see `gans.core.SEEDS`).

        There may be more than R, so that each device has equally many.
        """
        return self._init(self._replicas).replace(frozen=self._frozen)

    def kept(self, state: core.State) -> core.State:
        """The states of the R replicas, as numpy arrays for a checkpoint."""
        bare = jax.device_get(state.replace(frozen={}))
        own = jax.tree.map(lambda x: x[: self.n_replicas], bare.replace(step=None))
        return own.replace(step=bare.step, frozen=self._frozen)

    def put(self, state: core.State) -> core.State:
        """The states of a checkpoint, on the devices of their replicas."""
        bare = state.replace(step=None, frozen={})
        state = jax.tree.map(self._padded, bare).replace(step=state.step)
        placed = {
            field: jax.tree.map(lambda _, s=s: s, getattr(state, field))
            for field, s in vars(self._placed).items()
        }
        state = jax.device_put(state, core.State(**placed))
        return state.replace(frozen=self._frozen)

    def call(self, state: core.State, start: int) -> tuple[core.State, dict, Array]:
        """The steps from `start` on; donates the states.

        Returns (states, {metric: [R] mean over the steps that have it}, finite [R]:
        whether all numbers of a replica are). As of states there may be more than R.
        """
        state, found = self._call(
            state.replace(frozen={}), self._frozen, self._stacked(start), self._replicas
        )
        return state.replace(frozen=self._frozen), *found

    def _stacked(self, start):
        """{name: [k, seeds, B, ...]}, on every device."""
        windows = [b.window(start, self.per_call) for b in self._batches]
        batches = {
            name: np.stack([w[name] for w in windows], axis=1) for name in windows[0]
        }
        return jax.device_put(batches, self._whole)


def replica(state: core.State, i: int) -> core.State:
    """One run's state, out of the states of `VmappedRuns`; on one device."""

    def own(x):
        """From the device that has it."""
        at = i
        for part in sorted(x.addressable_shards, key=lambda p: p.index[0].start or 0):
            if at < len(part.data):
                return part.data[at]
            at -= len(part.data)
        raise IndexError(f"replica {i} of {len(x)}")

    shared = jax.tree.map(lambda x: x.addressable_data(0), (state.step, state.frozen))
    alone = jax.tree.map(own, state.replace(step=None, frozen={}))
    alone = alone.replace(step=shared[0], frozen=shared[1])
    return jax.device_put(alone, jax.devices()[0])


def _keys(seed):
    """(of the first state, of the steps), as in `experiments.training.programs`."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), 0))


def _at_once(one, state, frozen, batches, replicas):
    """Every step of all replicas at once: the cost of small operations is shared."""
    axes = (core.SEEDS, None, None, 0)
    return jax.vmap(one, in_axes=axes, out_axes=(core.SEEDS, 0))(
        state, frozen, batches, replicas
    )


def _in_turn(one, state, frozen, batches, replicas):
    """One replica after another: a CPU gains nothing by convolving several at once."""

    def own(replica):
        state_of_one = replica[0].replace(step=state.step)
        after, found = one(state_of_one, frozen, batches, replica[1])
        return after.replace(step=None), after.step, found

    after, step, found = jax.lax.map(own, (state.replace(step=None), replicas))
    return after.replace(step=step[0]), found
