"""The compiled programs of a stage, and the devices their arrays live on."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import grain  # noqa: F401 -- before `start_compiling`, which says why
import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from experiments.training import finite
from gans import core, diagnostics


class Programs:
    """What a stage compiles, over a mesh of all devices: state replicated, batch split.

    Variables of frozen networks are placed once. They are part of every state here, but
    no program returns or donates them.

    Args:
      gan: what is trained.
      seed: of everything random.
      batch: one step's batch of this process as the host has it, {name: [B, ...]}; an
        example.
      prepare: turns it, on the device, into the batch that the losses see (see
        `gans.data.pipeline.prepare`).
      per_call: steps in one call.
      draw: pure function of the state: what a run draws again and again.
      build: {name: [] float32} -> the GAN with these numbers, traced. None: `gan`.
      values: {name: number} for `build`. They are inputs of the programs that
        initialise and train, which are the same for other numbers.
    """

    def __init__(
        self,
        gan,
        *,
        seed: int,
        batch,
        prepare,
        per_call: int,
        draw=None,
        build: Callable[[Mapping[str, Array]], core.GAN] | None = None,
        values: Mapping[str, float] | None = None,
    ):
        size = len(next(iter(batch.values()))) * jax.process_count()
        self._mesh = Mesh(np.array(jax.devices()), ("batch",))
        self._whole = NamedSharding(self._mesh, P())
        self._split = NamedSharding(self._mesh, P(*[None] * (per_call > 1), "batch"))
        stacked = (per_call,) if per_call > 1 else ()
        self._batch = {
            name: jax.ShapeDtypeStruct(
                (*stacked, size, *x.shape[1:]), x.dtype, sharding=self._split
            )
            for name, x in batch.items()
        }
        self._gan, self._per_call, self._prepare = gan, per_call, prepare
        self._build = build or (lambda values: gan)
        numbers = {name: np.float32(x) for name, x in (values or {}).items()}
        self._values = jax.device_put(numbers, self._whole)

        def keys(stream):
            key = jax.random.fold_in(jax.random.key(seed), stream)
            return tuple(jax.random.split(key))

        def init(key, values):
            return core.init(self._build(values), key).replace(frozen={})

        def singular_values(state):
            return _singular_values(gan, state)

        replicated = functools.partial(jax.jit, out_shardings=self._whole)
        once = replicated
        if jax.default_backend() == "cpu":
            # Random numbers in many shapes take LLVM 13 s at its usual level, 3 s here.
            quick = {"xla_backend_optimization_level": "1"}
            once = functools.partial(replicated, compiler_options=quick)
        self._keys, init = replicated(keys), once(init)
        self._key = self._placed(jax.eval_shape(keys, 0)[0])
        self._init = _Program(init, self._key, self._values)
        self._bare = self._placed(init.eval_shape(self._key, self._values))
        self.draw = _Program(replicated(draw or (lambda state: {})), self.template)
        self.singular_values = _Program(once(singular_values), self.template)
        self._finite = _Program(once(finite.parts), self._bare)

    def _placed(self, shapes):
        """The shapes, on every device."""
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._whole),
            shapes,
        )

    @property
    def template(self) -> core.State:
        """The state's shapes, types and sharding."""
        return self._bare.replace(frozen=self._placed(core.frozen_variables(self._gan)))

    @functools.cached_property
    def frozen(self) -> dict:
        """The variables of frozen networks, on every device."""
        return jax.device_put(core.frozen_variables(self._gan), self._whole)

    def key(self, stream: int) -> Array:
        """The run's key, of a stream of random numbers."""
        return self._keys(stream)[1]

    def init(self, stream: int) -> core.State:
        """The first state of a stream of random numbers."""
        bare = self._init(self._keys(stream)[0], self._values)
        return bare.replace(frozen=self.frozen)

    def put_state(self, state: core.State) -> core.State:
        """A state of numpy arrays, as a checkpoint has it, on every device."""
        state = jax.device_put(state.replace(frozen={}), self._whole)
        return state.replace(frozen=self.frozen)

    def put_batch(self, batch: dict[str, np.ndarray]) -> dict[str, Array]:
        """This process's part of a batch, [B, ...] or [k, B, ...], on its devices."""
        if jax.process_count() == 1:
            return jax.device_put(batch, self._split)
        put = functools.partial(jax.make_array_from_process_local_data, self._split)
        return {name: put(x) for name, x in batch.items()}

    def not_finite(self, state: core.State) -> list[str]:
        """Names the parts of the state, as "params/g", with a NaN or an infinity."""
        found = jax.device_get(self._finite(state.replace(frozen={})))
        return sorted(name for name, ok in found.items() if not ok)

    def compile(self):
        """Returns (call, seconds of compilation).

        call(state, batch, key) -> (state, metrics [k] or []) donates the state.
        """
        began = time.perf_counter()
        compiled = self.lower().compile()

        def attached(state, batch, key):
            frozen = state.frozen
            bare = state.replace(frozen={})
            state, metrics = compiled(bare, frozen, batch, key, self._values)
            return state.replace(frozen=frozen), metrics

        return attached, time.perf_counter() - began

    def lower(self) -> jax.stages.Lowered:
        """Returns the program of `compile`, not compiled yet."""

        def call(state, frozen, batch, key, values):
            one_call = make_call(self._build(values), self._per_call, self._prepare)
            state, metrics = one_call(state.replace(frozen=frozen), batch, key)
            return state.replace(frozen={}), metrics

        jitted = jax.jit(call, donate_argnums=0, out_shardings=self._whole)
        with jax.set_mesh(self._mesh):  # for gans.sharding
            shapes = self._bare, self.template.frozen, self._batch, self._key
            return jitted.lower(*shapes, self._values)

    def start_compiling(self, pool: Executor | None = None) -> Future:
        """Starts `compile` in the background, in a thread of its own or of `pool`.

        Some libraries, among them grain, defer their own imports by replacing
        `builtins.__import__` for a while. Imports that JAX makes in this thread fail
        meanwhile, so such a library must be imported before.
        """
        if pool is not None:
            return pool.submit(self.compile)
        pool = ThreadPoolExecutor(1)
        future = pool.submit(self.compile)
        pool.shutdown(wait=False)
        return future

    def compile_others(self) -> None:
        """Compiles what a stage needs beside the call, so that nothing waits for it."""
        self.key(0)
        for program in (self._init, self.draw, self._finite):
            program.compile()


class _Program:
    """A jitted function of known arguments.

    It is compiled once, at the latest when it is first called.

    Several threads may ask for it.
    """

    def __init__(self, jitted, *shapes):
        self._jitted, self._shapes = jitted, shapes
        self._lock, self._compiled = threading.Lock(), None

    def compile(self):
        with self._lock:
            if self._compiled is None:
                self._compiled = self._jitted.lower(*self._shapes).compile()
        return self._compiled

    def __call__(self, *args):
        return self.compile()(*args)


def make_call(gan: core.GAN, per_call: int, prepare):
    """Returns call(state, batch, key) -> (state, metrics): one step, or several.

    Each step first prepares its batch. For `per_call` k > 1 the batch is k batches
    stacked, [k, B, ...]; metrics are [k].
    """
    step = core.make_step(gan)
    if per_call == 1:
        return lambda state, batch, key: step(state, prepare(batch), key)

    def call(state, batches, key):
        frozen = state.frozen  # a constant of the loop, not carried through it

        def one(state, batch):
            state, metrics = step(state.replace(frozen=frozen), prepare(batch), key)
            return state.replace(frozen={}), metrics

        state, metrics = jax.lax.scan(one, state.replace(frozen={}), batches)
        return state.replace(frozen=frozen), metrics

    return call


def _singular_values(gan, state):
    """{"sigma/d/conv0": [] largest one, ...} of the networks that are trained."""
    return {
        f"sigma/{name}/{layer}": value
        for name, net in gan.nets.items()
        if net.tx is not None
        for layer, value in diagnostics.singular_values(state.params[name]).items()
    }
