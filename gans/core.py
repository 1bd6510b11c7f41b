"""A GAN as data: some networks, and an ordered tuple of updates, the players' moves.

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

Tree = Any
Metrics = dict[str, Array]


@flax.struct.dataclass
class State:
    """All that training changes, hence all that a checkpoint holds.

    Attributes:
      step: [] int32, batches of real data consumed.
      params: trained parameters, by network name (as are `stats`, `opt` and `ema`).
      stats: Flax collections that no gradient trains: batch statistics, spectral u.
      opt: optax states; of the networks that have an optimiser.
      ema: {"params", "stats"} averaged over steps; of the networks that ask for it.
      aux: the variant's own arrays, or trees: an image pool, ADA's p, running means.
    """

    step: Array
    params: dict[str, Tree]
    stats: dict[str, Tree]
    opt: dict[str, Tree]
    ema: dict[str, Tree]
    aux: dict[str, Tree]


# The axes of a state under `vmap` over seeds. The step is not batched: under a batched
# predicate `lax.cond` runs both branches, so every lazy update would be paid each step.
SEEDS = State(step=None, params=0, stats=0, opt=0, ema=0, aux=0)


@dataclasses.dataclass(frozen=True)
class Net:
    """A network of the game.

    Attributes:
      module: called as `module(*inputs, train=bool)`.
      inputs: one example of its arguments (arrays or `jax.ShapeDtypeStruct`).
      tx: its optimiser; None freezes it.
      ema: decay of the average of its parameters, in [0, 1), or a schedule
        step -> decay; None keeps no average.
    """

    module: nn.Module
    inputs: tuple
    tx: optax.GradientTransformation | None = None
    ema: float | Callable[[Array], Array] | None = None


@dataclasses.dataclass(frozen=True)
class Bound:
    """A module closed over its variables: what a loss calls."""

    module: nn.Module
    params: Tree
    stats: Tree
    train: bool

    def __call__(self, *args, key: Array | None = None) -> Any:
        """Returns the output; what the pass would have changed in `stats` is dropped.

        `key` feeds the stochastic layers (dropout), where the module has any.
        """
        return self.mutate(*args, key=key)[0]

    def mutate(self, *args, key: Array | None = None) -> tuple[Any, Tree]:
        """Returns (output, new stats); outside training the stats stay as they are."""
        out, changed = self._apply(args, key, list(self.stats) if self.train else [])
        return out, {**self.stats, **changed}

    def features(self, *args, key: Array | None = None) -> dict[str, Array]:
        """Returns what the module sows in `features`, by layer name."""
        sown = self._apply(args, key, ["features", *self.stats])[1]["features"]
        return {
            "/".join(path): value[0]
            for path, value in flax.traverse_util.flatten_dict(sown).items()
        }

    def _apply(self, args, key, mutable):
        rngs = {} if key is None else {"dropout": key}
        variables = {"params": self.params, **self.stats}
        return self.module.apply(
            variables, *args, train=self.train, rngs=rngs, mutable=mutable
        )


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
    """One move: gradient descent of `trains` on `loss(nets, batch, key, state)`.

    `when(step) -> bool` says whether it is due (None: always). Where it is not due it
    costs nothing, changes nothing, and its metrics are NaN.
    """

    name: str
    trains: tuple[str, ...]
    loss: Loss
    when: Callable[[Array], Array] | None = None


@dataclasses.dataclass(frozen=True)
class GAN:
    """A variant.

    Attributes:
      nets: the networks, by name.
      updates: the moves, in the order in which a step plays them.
      latents: (key, n) -> inputs of `sample`, a dict of arrays [n, ...].
      sample: (nets, inputs) -> generated data [n, ...], images in [-1, 1].
      aux: first values of `state.aux`: arrays, or functions of the first parameters
        {network: tree} to arrays or trees of them.
      after: (state, metrics) -> state; runs at the end of each step (a controller).
    """

    nets: Mapping[str, Net]
    updates: tuple[Update, ...]
    latents: Callable[[Array, int], dict[str, Array]]
    sample: Callable[[dict[str, Bound], dict[str, Array]], Array]
    aux: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    after: Callable[[State, Metrics], State] | None = None

    def __post_init__(self):
        names = [update.name for update in self.updates]
        if len(set(names)) < len(names):
            raise ValueError(f"GAN.updates: names must differ, got {names}")
        for update in self.updates:
            for name in update.trains:
                if name not in self.nets:
                    raise ValueError(
                        f"Update {update.name!r} trains {name!r}, which is not a "
                        f"network of this GAN: {sorted(self.nets)}"
                    )
                if self.nets[name].tx is None:
                    raise ValueError(
                        f"Update {update.name!r} trains {name!r}, which is frozen: "
                        "its Net has tx=None"
                    )


def init(gan: GAN, key: Array) -> State:
    """Returns the first state; pure, so jit it."""
    params, stats, opt, ema = {}, {}, {}, {}
    for i, (name, net) in enumerate(gan.nets.items()):
        key_params, key_dropout = jax.random.split(jax.random.fold_in(key, i))
        inputs = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), net.inputs)
        variables = dict(
            net.module.init(
                {"params": key_params, "dropout": key_dropout}, *inputs, train=True
            )
        )
        variables.pop("features", None)
        params[name] = variables.pop("params")
        stats[name] = variables
        if net.tx is not None:
            opt[name] = net.tx.init(params[name])
        if net.ema is not None:
            # Copies: a donated state must not hold one buffer twice.
            ema[name] = jax.tree.map(
                jnp.copy, {"params": params[name], "stats": stats[name]}
            )
    aux = {
        name: first(params) if callable(first) else first
        for name, first in gan.aux.items()
    }
    return State(jnp.int32(0), params, stats, opt, ema, aux)


def bind(gan: GAN, state: State, *, train: bool, ema: bool = False) -> dict[str, Bound]:
    """Returns the networks closed over the state's variables.

    With `ema`, those that keep an average are closed over it: parameters and
    statistics alike, so that batch normalisation sees statistics averaged over the
    same steps as the weights.
    """
    bound = {}
    for name, net in gan.nets.items():
        params, stats = state.params[name], state.stats[name]
        if ema and name in state.ema:
            params, stats = state.ema[name]["params"], state.ema[name]["stats"]
        bound[name] = Bound(net.module, params, stats, train)
    return bound


def sample(gan: GAN, state: State, inputs: dict[str, Array]) -> Array:
    """Returns generated data [n, ...] for `inputs` (see `GAN.latents`), by the EMA."""
    return gan.sample(bind(gan, state, train=False, ema=True), inputs)


def recalibrate(gan: GAN, state: State, key: Array, n: int, batch: int) -> State:
    """The EMA with statistics of its own: those that its own parameters give.

    Averages of parameters and of batch statistics fit each other but roughly. Here the
    averaged networks make `n` passes over `batch` latents each, in training mode; what
    their running statistics then are takes the place of the average of the others'.
    """

    def one_pass(averages, key):
        here = state.replace(ema=averages)
        changed = {name: {} for name in averages}
        nets = {
            name: _Recorder(net.module, net.params, net.stats, True, changed[name])
            if name in averages
            else dataclasses.replace(net, train=False)
            for name, net in bind(gan, here, train=True, ema=True).items()
        }
        gan.sample(nets, gan.latents(key, batch))
        new = {
            name: {**average, "stats": {**average["stats"], **changed[name]}}
            for name, average in averages.items()
        }
        return new, None

    averages, _ = jax.lax.scan(one_pass, state.ema, jax.random.split(key, n))
    return state.replace(ema=averages)


@dataclasses.dataclass(frozen=True)
class _Recorder(Bound):
    """Puts what a pass changes in the stats into `changed`."""

    changed: dict[str, Tree]

    def mutate(self, *args, key=None):
        out, stats = super().mutate(*args, key=key)
        self.changed.update(stats)
        return out, stats


def play(
    gan: GAN, update: Update, state: State, batch: dict[str, Array], key: Array
) -> tuple[dict[str, dict[str, Tree]], Metrics]:
    """Makes one move.

    Returns ({field of the state: {name: new value}}, {"update/quantity": [] float32}).
    """

    def objective(trained):
        moving = state.replace(params={**state.params, **trained})
        return update.loss(bind(gan, moving, train=True), batch, key, moving)

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
    metrics = {
        f"{update.name}/{name}": jnp.asarray(value, jnp.float32)
        for name, value in found.items()
    }
    return changes, metrics


def make_step(gan: GAN) -> Callable[..., tuple[State, Metrics]]:
    """Returns the pure function step(state, batch, key) -> (state, metrics).

    `batch` holds arrays [B, ...] of real data; `key` is the run's one key, the same
    at each step: the step folds its number into it. Metrics are [] float32.

    Raises ValueError (when traced) if two updates write the stats of one network.
    """

    def step(state, batch, key):
        key = jax.random.fold_in(key, state.step)
        metrics, moved, writers = {}, {}, {}
        for i, update in enumerate(gan.updates):
            key_update = jax.random.fold_in(key, i)
            move = functools.partial(play, gan, update)
            if update.when is None:
                due = True
                changes, found = move(state, batch, key_update)
            else:
                due = update.when(state.step)
                changes, found = _play_if(due, move, state, batch, key_update)
            for name in changes["stats"]:
                if name in writers:
                    raise ValueError(
                        f"Updates {writers[name]!r} and {update.name!r} both write "
                        f"the stats of {name!r}: one must drop them"
                    )
                writers[name] = update.name
            for name in update.trains:
                moved[name] = moved.get(name, False) | due
            state = _merge(state, changes)
            metrics |= found
        state = state.replace(step=state.step + 1, ema=_average(gan, state, moved))
        if gan.after is not None:
            state = gan.after(state, metrics)
        return state, metrics

    return step


def _play_if(due, move, state, batch, key):
    """`move` under `lax.cond`; only what it can change passes through the branches."""
    changes, metrics = jax.eval_shape(move, state, batch, key)
    unchanged = {
        field: {name: getattr(state, field)[name] for name in names}
        for field, names in changes.items()
    }
    nans = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), metrics)
    return jax.lax.cond(due, lambda: move(state, batch, key), lambda: (unchanged, nans))


def _merge(state, changes):
    merged = {f: {**getattr(state, f), **values} for f, values in changes.items()}
    return state.replace(**merged)


def _average(gan, state, moved):
    """The EMA after a step: it moves in the steps in which its network moved."""
    averages = dict(state.ema)
    for name, old in state.ema.items():
        due = moved.get(name, False)
        if due is False:
            continue
        decay = gan.nets[name].ema
        decay = decay(state.step) if callable(decay) else decay
        new = {"params": state.params[name], "stats": state.stats[name]}

        def blend(old=old, new=new, decay=decay):
            return jax.tree.map(lambda a, b: a + (1 - decay) * (b - a), old, new)

        if due is True:
            averages[name] = blend()
        else:
            averages[name] = jax.lax.cond(due, blend, lambda old=old: old)
    return averages
