"""The compiled programs of a run, and the devices their arrays live on."""

from __future__ import annotations

import functools
import time
from concurrent.futures import Future, ThreadPoolExecutor

import grain  # noqa: F401 -- before `start_compiling`, which says why
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gans import core, diagnostics


class Programs:
    """What a run compiles, over a mesh of all devices: state replicated, batch split.

    Args:
      gan: the game.
      seed: of everything random.
      batch: one step's batch of this process as the host has it, {name: [B, ...]}; an
        example.
      prepare: what makes of it, on the device, the batch that losses see (see
        `gans.data.pipeline.prepare`).
      per_call: steps in one call.
      draw: pure function of the state: what a run draws again and again.
    """

    def __init__(self, gan, *, seed: int, batch, prepare, per_call: int, draw=None):
        size = len(next(iter(batch.values()))) * jax.process_count()
        mesh = self._mesh = Mesh(np.array(jax.devices()), ("batch",))
        self._whole = NamedSharding(mesh, P())
        self._split = NamedSharding(mesh, P(*[None] * (per_call > 1), "batch"))
        stacked = (per_call,) if per_call > 1 else ()
        self._batch = {
            name: jax.ShapeDtypeStruct(
                (*stacked, size, *x.shape[1:]), x.dtype, sharding=self._split
            )
            for name, x in batch.items()
        }
        replicated = functools.partial(jax.jit, out_shardings=self._whole)
        once = replicated
        if jax.default_backend() == "cpu":
            # Random numbers in many shapes take LLVM 13 s at its usual level, 3 s here.
            quick = {"xla_backend_optimization_level": "1"}
            once = functools.partial(replicated, compiler_options=quick)
        self._gan, self._per_call, self._prepare = gan, per_call, prepare

        def keys(stream):
            key = jax.random.fold_in(jax.random.key(seed), stream)
            return tuple(jax.random.split(key))

        self._keys = replicated(keys)
        self._init = once(functools.partial(core.init, gan)).lower(
            jax.eval_shape(keys, 0)[0]
        )
        self._finite = once(_finite)
        self.draw = replicated(draw or (lambda state: {}))
        self.singular_values = once(functools.partial(_singular_values, gan))

    @property
    def template(self) -> core.State:
        """The state's shapes, types and sharding."""
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._whole),
            self._init.out_info,
        )

    def key(self, stream: int) -> Array:
        """The run's key, of a stream of random numbers."""
        return self._keys(stream)[1]

    def init(self, stream: int) -> core.State:
        """The first state of a stream of random numbers."""
        return self._init.compile()(self._keys(stream)[0])

    def put_state(self, state: core.State) -> core.State:
        """A state of numpy arrays, on every device."""
        return jax.device_put(state, self._whole)

    def put_batch(self, batch: dict[str, np.ndarray]) -> dict[str, Array]:
        """This process's part of a batch, [B, ...] or [k, B, ...], on its devices."""
        if jax.process_count() == 1:
            return jax.device_put(batch, self._split)
        put = functools.partial(jax.make_array_from_process_local_data, self._split)
        return {name: put(x) for name, x in batch.items()}

    def not_finite(self, state: core.State) -> list[str]:
        """Names the parts of the state, as "params/g", with a NaN or an infinity."""
        return sorted(
            n for n, ok in jax.device_get(self._finite(state)).items() if not ok
        )

    def start_compiling(self) -> Future:
        """Compiles the training call in the background.

        Its result is (call, seconds); call(state, batch, key) -> (state, metrics [k] or
        []) donates the state.

        Importing a library that defers its own imports by putting another `__import__`
        in builtins' place, as grain does, breaks those of JAX in this thread: such a
        library must be imported before.
        """

        def compile_call():
            began = time.perf_counter()
            call = jax.jit(
                make_call(self._gan, self._per_call, self._prepare),
                donate_argnums=0,
                out_shardings=self._whole,
            )
            key = jax.eval_shape(self._keys, 0)[1]
            key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=self._whole)
            with jax.set_mesh(self._mesh):  # what a step draws is split over it
                lowered = call.lower(self.template, self._batch, key)
            compiled = lowered.compile()
            return compiled, time.perf_counter() - began

        pool = ThreadPoolExecutor(1)
        future = pool.submit(compile_call)
        pool.shutdown(wait=False)
        return future


def make_call(gan: core.GAN, per_call: int, prepare):
    """Returns call(state, batch, key) -> (state, metrics): one step, or several.

    Each step first prepares its batch. For `per_call` k > 1 the batch is k batches
    stacked, [k, B, ...]; metrics are [k].
    """
    step = core.make_step(gan)

    def one(state, batch, key):
        return step(state, prepare(batch), key)

    if per_call == 1:
        return one

    def call(state, batches, key):
        return jax.lax.scan(lambda s, batch: one(s, batch, key), state, batches)

    return call


def _singular_values(gan, state):
    """{"sigma/d/conv0": [] largest one, ...} of the networks that are trained."""
    return {
        f"sigma/{name}/{layer}": value
        for name, net in gan.nets.items()
        if net.tx is not None
        for layer, value in diagnostics.singular_values(state.params[name]).items()
    }


def _finite(state):
    """{"params/g": [] bool, ...}: is every number of it finite?"""
    found = {}
    for field in ("params", "stats", "opt", "ema", "aux"):
        for name, tree in getattr(state, field).items():
            floats = [
                x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)
            ]
            checks = [jnp.isfinite(x).all() for x in floats]
            found[f"{field}/{name}"] = jnp.array(checks, bool).all()
    return found
