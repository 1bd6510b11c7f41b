"""A GAN as data: some networks, and an ordered tuple of updates.

`make_step` turns that data into one pure function

    step(state, batch, key) -> (state, metrics)

which may be jitted, scanned (several steps per call), vmapped (several seeds: see
`SEEDS`) and sharded (state replicated, batch split) without knowing of any of it.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from gans import names
from gans.ema import follow

Tree = Any
Metrics = dict[str, Array]


@flax.struct.dataclass
class State:
    """Everything that training changes, and so everything that a checkpoint holds.

    Attributes:
      step: [] int32, batches of real data consumed.
      params: trained parameters, by network name (as are `stats`, `opt` and `ema`).
      stats: Flax collections that no gradient trains: batch statistics, spectral u.
      opt: optax states; of the networks that have an optimiser.
      ema: {"params", "stats"} averaged over steps; of the networks that ask for it.
      aux: the variant's own arrays, or trees: an image pool, ADA's p, running means.
      frozen: {"params", "stats"} of networks that are given and never trained (see
        `Net.given`); not in checkpoints, which have their digests instead.
    """

    step: Array
    params: dict[str, Tree]
    stats: dict[str, Tree]
    opt: dict[str, Tree]
    ema: dict[str, Tree]
    aux: dict[str, Tree]
    frozen: dict[str, Tree] = dataclasses.field(default_factory=dict)


# The axes of a state under `vmap` over seeds. The step is not batched: under a batched
# predicate `lax.cond` runs both branches, and lazy updates would be paid in each step.
SEEDS = State(step=None, params=0, stats=0, opt=0, ema=0, aux=0, frozen=None)


@dataclasses.dataclass(frozen=True)
class Net:
    """A network of the game.

    Attributes:
      module: called as `module(*inputs, train=bool)`.
      inputs: one example of its arguments (arrays or `jax.ShapeDtypeStruct`).
      tx: its optimiser; None freezes it.
      ema: decay of the average of its parameters, in [0, 1), or a schedule
        step -> decay; None keeps no average.
      given: {"params": tree, collection: tree ...} to start from, such as a pretrained
        network's; None: the module's own initialisers. A frozen network that is given
        lives in `State.frozen`, outside checkpoints.
      of_step: step [] -> {collection: tree}, variables that follow from the step, such
        as the weight of layers that are faded in, and are in no state.
    """

    module: nn.Module
    inputs: tuple
    tx: optax.GradientTransformation | None = None
    ema: float | Callable[[Array], Array] | None = None
    given: Mapping[str, Tree] | None = None
    of_step: Callable[[Array], dict[str, Tree]] = lambda step: {}

    @property
    def frozen(self) -> bool:
        """Whether its variables are given and stay as they are."""
        return self.given is not None and self.tx is None

    @property
    def rngs(self) -> tuple[str, ...]:
        """The random streams (`make_rng`) that the module's `streams` names."""
        return getattr(self.module, "streams", ("dropout",))


@dataclasses.dataclass(frozen=True)
class Bound:
    """A module closed over its variables: what a loss calls.

    Every call takes the module's own arguments, by position or by keyword, and
      key: feeds the streams `rngs`: the first as it is, the i-th folded with i;
      method: the name of a method of the module; None: `__call__`.
    """

    module: nn.Module
    params: Tree
    stats: Tree
    train: bool
    rngs: tuple[str, ...] = ("dropout",)
    of_step: Mapping[str, Tree] = dataclasses.field(default_factory=dict)

    def __call__(
        self, *args, key: Array | None = None, method: str | None = None, **kwargs
    ) -> Any:
        """Returns the output, and drops what the pass would have changed in `stats`."""
        return self.mutate(*args, key=key, method=method, **kwargs)[0]

    def mutate(
        self, *args, key: Array | None = None, method: str | None = None, **kwargs
    ) -> tuple[Any, Tree]:
        """Returns (output, new stats); outside training the stats stay as they are."""
        mutable = list(self.stats) if self.train else []
        out, changed = self._apply(args, kwargs, key, method, mutable)
        return out, {**self.stats, **changed}

    def features(
        self, *args, key: Array | None = None, method: str | None = None, **kwargs
    ) -> dict[str, Array]:
        """Returns what the module sows in `features`, by layer name."""
        mutable = ["features", *self.stats]
        sown = self._apply(args, kwargs, key, method, mutable)[1]["features"]
        named = flax.traverse_util.flatten_dict(sown, sep="/")
        return {name: value[0] for name, value in named.items()}

    def _apply(self, args, kwargs, key, method, mutable):
        return self.module.apply(
            {"params": self.params, **self.stats, **self.of_step},
            *args,
            train=self.train,
            rngs={} if key is None else streams(key, self.rngs),
            mutable=mutable,
            method=method,
            **kwargs,
        )


def streams(key: Array, names: tuple[str, ...]) -> dict[str, Array]:
    """Returns a key for each random stream: the first has `key` itself."""
    return {
        name: jax.random.fold_in(key, i) if i else key for i, name in enumerate(names)
    }


@flax.struct.dataclass
class Out:
    """What a loss returns beside its scalar.

    Attributes:
      metrics: scalars for the log, by name.
      stats: new stats, by network name; one update per network may write them.
      aux: new values of `state.aux`, by name.
    """

    metrics: Metrics = dataclasses.field(default_factory=dict)
    stats: dict[str, Tree] = dataclasses.field(default_factory=dict)
    aux: dict[str, Array] = dataclasses.field(default_factory=dict)


Loss = Callable[[dict[str, Bound], dict[str, Array], Array, State], tuple[Array, Out]]


@dataclasses.dataclass(frozen=True)
class Update:
    """Gradient descent of the networks `trains` on `loss(nets, batch, key, state)`.

    `when(step) -> bool` says whether it is due (None: always), `unless(state) -> bool`
    whether it is held back all the same (None: never; else "updated/NAME" is a metric).
    Where it is not due it costs nothing (with `unless` and `vmap` over seeds as much as
    ever), changes nothing, and its metrics are NaN.
    """

    name: str
    trains: tuple[str, ...]
    loss: Loss
    when: Callable[[Array], Array] | None = None
    unless: Callable[[State], Array] | None = None


Output = Callable[[dict[str, Bound], dict[str, Array], Array], dict[str, Array]]


@dataclasses.dataclass(frozen=True)
class GAN:
    """A variant.

    Attributes:
      nets: the networks, by name.
      updates: the updates, in the order in which a step makes them.
      inputs: (key, batch) -> inputs of the outputs, a dict of arrays [n, ...]. `batch`
        holds n examples, decoded; an unconditional GAN uses only their number.
      outputs: what a trained model can do, by name: pure functions (nets, inputs, key)
        -> {field: [n, ...]}. A field has the name of the data's field that it is like
        (images in [-1, 1]), or one of its own ("score"). Most have "sample".
      conditioned_on: the fields of `batch` that `inputs` reads.
      paired: fields that losses compare: data where they are apart are rejected.
      aux: first values of `state.aux`: arrays, or functions of the first parameters
        {network: tree} to arrays or trees of them.
      after: (state, metrics) -> state; runs at the end of each step (a controller).
    """

    nets: Mapping[str, Net]
    updates: tuple[Update, ...]
    inputs: Callable[[Array, dict[str, Array]], dict[str, Array]]
    outputs: Mapping[str, Output]
    conditioned_on: tuple[str, ...] = ()
    paired: tuple[str, ...] = ()
    aux: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    after: Callable[[State, Metrics], State] | None = None

    def __post_init__(self):
        names = [update.name for update in self.updates]
        if len(set(names)) < len(names):
            raise ValueError(f"GAN.updates: names must differ, got {names}")
        for update in self.updates:
            for name in update.trains:
                said = f"Update {update.name!r} trains {name!r}, which is"
                if name not in self.nets:
                    known = sorted(self.nets)
                    raise ValueError(f"{said} not a network of this GAN: {known}")
                if self.nets[name].tx is None:
                    raise ValueError(f"{said} frozen: its Net has tx=None")


def init(gan: GAN, key: Array) -> State:
    """Returns the first state; pure, so jit it."""
    params, stats, opt, ema = {}, {}, {}, {}
    for i, (name, net) in enumerate(gan.nets.items()):
        if net.frozen:
            continue
        variables = _first_variables(net, jax.random.fold_in(key, i))
        params[name] = variables.pop("params")
        stats[name] = variables
        if net.tx is not None:
            opt[name] = net.tx.init(params[name])
        if net.ema is not None:
            # Copies: a donated state must not hold one buffer twice.
            kept = {"params": params[name], "stats": stats[name]}
            ema[name] = jax.tree.map(jnp.copy, kept)
    aux = {k: f(params) if callable(f) else f for k, f in gan.aux.items()}
    return State(jnp.int32(0), params, stats, opt, ema, aux, frozen_variables(gan))


def frozen_variables(gan: GAN) -> dict[str, dict[str, Tree]]:
    """Returns `State.frozen`: {"params", "stats"} as given, by network name."""
    given = {name: {**net.given} for name, net in gan.nets.items() if net.frozen}
    return {k: {"params": x.pop("params"), "stats": x} for k, x in given.items()}


def _first_variables(net, key):
    """{"params": tree, collection: tree ...}: given, or by the initialisers."""
    if net.given is not None:
        return dict(jax.tree.map(jnp.array, dict(net.given)))
    key_params, key_rngs = jax.random.split(key)
    inputs = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), net.inputs)
    rngs = {"params": key_params, **streams(key_rngs, net.rngs)}
    variables = dict(net.module.init(rngs, *inputs, train=True))
    for name in ("features", *net.of_step(jnp.int32(0))):
        variables.pop(name, None)
    return {"params": {}, **variables}


def bind(gan: GAN, state: State, *, train: bool, ema: bool = False) -> dict[str, Bound]:
    """Returns the networks closed over the state's variables.

    With `ema`, those that keep an average are closed over it: parameters and statistics
    alike, averaged over the same steps. Frozen networks never train.
    """
    bound = {}
    for name, net in gan.nets.items():
        if net.frozen:
            kept = state.frozen[name]
        elif ema and name in state.ema:
            kept = state.ema[name]
        else:
            kept = {"params": state.params[name], "stats": state.stats[name]}
        kept = kept["params"], kept["stats"], train and not net.frozen
        bound[name] = Bound(net.module, *kept, net.rngs, net.of_step(state.step))
    return bound


def sample(
    gan: GAN, state: State, inputs: dict[str, Array], key: Array, output: str = "sample"
) -> dict[str, Array]:
    """Returns an output of the model, {field: [n, ...]}, by the EMA.

    Args:
      inputs: see `GAN.inputs`.
      key: of what the output itself draws (dropout, noise).
      output: a name of `gan.outputs`.
    """
    call = gan.outputs[names.check(output, gan.outputs, "output")]
    return call(bind(gan, state, train=False, ema=True), inputs, key)


def length(batch: Mapping[str, Array]) -> int:
    """Returns the number of examples in a batch {field: [n, ...]}."""
    return len(next(iter(batch.values())))


def play(
    gan: GAN, update: Update, state: State, batch: dict[str, Array], key: Array
) -> tuple[dict[str, dict[str, Tree]], Metrics]:
    """Makes one update.

    Returns ({field of the state: {name: new value}}, {"update/quantity": [] float32}).
    """

    def objective(trained):
        current = state.replace(params={**state.params, **trained})
        return update.loss(bind(gan, current, train=True), batch, key, current)

    trained = {name: state.params[name] for name in update.trains}
    (loss, out), grads = jax.value_and_grad(objective, has_aux=True)(trained)

    params, opt = {}, {}
    for name in update.trains:
        delta, opt[name] = gan.nets[name].tx.update(
            grads[name], state.opt[name], state.params[name]
        )
        params[name] = optax.apply_updates(state.params[name], delta)
    changes = {"params": params, "opt": opt, "stats": out.stats, "aux": out.aux}
    found = {"loss": loss, "grad_norm": optax.tree.norm(grads), **out.metrics}
    return changes, {
        f"{update.name}/{name}": jnp.asarray(value, jnp.float32)
        for name, value in found.items()
    }


def make_step(gan: GAN) -> Callable[..., tuple[State, Metrics]]:
    """Returns the pure function step(state, batch, key) -> (state, metrics).

    `batch` holds arrays [B, ...] of real data; `key` is the run's one key, the same
    at each step: the step folds its number into it. Metrics are [] float32.

    Raises ValueError (when traced) if two updates write the stats of one network.
    """

    def step(state, batch, key):
        key = jax.random.fold_in(key, state.step)
        metrics, updated, writers = {}, {}, {}
        for i, update in enumerate(gan.updates):
            key_update = jax.random.fold_in(key, i)
            make = functools.partial(play, gan, update)
            due = update.when is None or update.when(state.step)
            if update.unless is not None:
                due = due & ~update.unless(state)
                metrics[f"updated/{update.name}"] = jnp.asarray(due, jnp.float32)
            if due is not True:
                make = functools.partial(_play_if, due, make)
            changes, found = make(state, batch, key_update)
            for name in changes["stats"]:
                if name in writers:
                    raise ValueError(
                        f"Updates {writers[name]!r} and {update.name!r} both write "
                        f"the stats of {name!r}: one must drop them"
                    )
                writers[name] = update.name
            for name in update.trains:
                updated[name] = updated.get(name, False) | due
            state = state.replace(
                **{f: getattr(state, f) | values for f, values in changes.items()}
            )
            metrics |= found
        state = state.replace(step=state.step + 1, ema=_average(gan, state, updated))
        if gan.after is not None:
            state = gan.after(state, metrics)
        return state, metrics

    return step


def _play_if(due, make, state, batch, key):
    """`make` under `lax.cond`; only what it can change passes through the branches."""
    make = jax.jit(make, inline=True)  # traced once, for its shapes and for the branch
    changes, metrics = jax.eval_shape(make, state, batch, key)
    unchanged = {
        field: {name: getattr(state, field)[name] for name in names}
        for field, names in changes.items()
    }
    nans = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), metrics)
    return jax.lax.cond(due, lambda: make(state, batch, key), lambda: (unchanged, nans))


def _average(gan, state, updated):
    """The EMA after a step: it changes in the steps in which its network is updated."""
    averages = {}
    for name, old in state.ema.items():
        new = {"params": state.params[name], "stats": state.stats[name]}
        decay, due = gan.nets[name].ema, updated.get(name, False)
        averages[name] = follow(old, new, decay, state.step, due)
    return averages
