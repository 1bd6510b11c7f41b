"""A few steps of a config, from which all promises are read."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from ml_collections import ConfigDict

from experiments import own_code
from gans import core
from gans.data import kinds
from gans.data import spec as specs
from gans.data.spec import Spec

KEY = jax.random.key(11)
Batch = dict[str, Array]
# Little effort goes into compiling what runs a few times.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """What was trained, and all that came of it.

    Attributes:
      config: resolved; of the stage.
      gan: what is trained.
      spec: of the data.
      batch: step -> the batch that the losses see, {field: [B, ...]}.
      evaluate: see `experiments.evaluation.reports.make_evaluate`; None: nothing is.
      states: before the first step, and after each.
      metrics: of each step, {name: []}.
      compilations: how many times the step was compiled.
    """

    config: ConfigDict
    gan: core.GAN
    spec: Spec
    batch: Callable[[int], Batch]
    evaluate: Callable[[core.State], dict[str, Any]] | None
    states: list[core.State]
    metrics: list[dict[str, Array]]
    compilations: int

    def made(self, update: core.Update, step: int) -> bool:
        """Whether an update was due in a step, and not held back."""
        if update.unless is None:
            return due_at(update, step)
        return bool(self.metrics[step][f"updated/{update.name}"])

    @functools.cached_property
    def not_finite(self) -> str:
        """What is not finite, and in which step; "" if all is."""
        for step, found in enumerate(self.metrics):
            updates = [x for x in self.gan.updates if self.made(x, step)]
            starts = tuple(f"{update.name}/" for update in updates)
            bad = [
                name
                for name, value in found.items()
                if name.startswith(starts) and not np.isfinite(value)
            ]
            if bad:
                shown = ", ".join(bad[:3]) + ", ..." * (len(bad) > 3)
                verb = "is" if len(bad) == 1 else "are"
                first = next(x for x in updates if bad[0].startswith(f"{x.name}/"))
                what = f"{verb} {found[bad[0]]} in step {step}"
                return f"{shown} {what}{self._where(first, step)}"
        named, _ = jax.tree.flatten_with_path(self.states[-1])
        bad = [path for path, leaf in named if not np.isfinite(leaf).all()]
        if not bad:
            return ""
        others = f" and {len(bad) - 1} other arrays" if bad[1:] else ""
        where = jax.tree_util.keystr(bad[0])
        return f"{where}{others} after {len(self.metrics)} steps: not finite"

    def _where(self, update, step):
        """The user's line that an update's first NaN or infinity is from, if any."""
        if not own_code.named(self.config):
            return ""
        play = functools.partial(core.play, self.gan, update)
        try:
            with jax.disable_jit(), jax.debug_nans(True), jax.debug_infs(True):
                play(self.states[step], self.batch(step), KEY)
        except Exception as error:
            found = own_code.explain(error, self.config)
            return f": {found}" if found else ""
        return ""


def begin(
    config: ConfigDict,
    gan: core.GAN,
    batch: Callable[[int], Batch],
    evaluate: Callable[[core.State], dict[str, Any]] | None = None,
) -> Trial:
    """Returns the trial: steps until every update was due once, and one more.

    The arguments are the attributes of `Trial`.
    """
    step = quick(core.make_step(gan))
    states, metrics = [quick(functools.partial(core.init, gan))(KEY)], []
    for i in range(enough(gan)):
        state, found = step(states[-1], batch(i), KEY)
        states.append(state)
        metrics.append(found)
    spec = specs.from_json(config.spec.to_dict())
    n = step._cache_size()
    return Trial(config, gan, spec, batch, evaluate, states, metrics, n)


def enough(gan: core.GAN, most: int = 100) -> int:
    """Returns a number of steps in which each update is due, if `most` are enough."""
    last = 0
    for update in gan.updates:
        due = (i for i in range(most) if due_at(update, i))
        last = max(last, next(due, 0))
    return last + 2


def due_at(update: core.Update, step: int) -> bool:
    """Whether an update is due in a step, by the number of the step."""
    return update.when is None or bool(update.when(jnp.int32(step)))


def random_batch(spec: Spec, n: int, key: Array = KEY) -> Batch:
    """Returns n random examples of any data, {field: [n, ...]}, decoded."""
    batch = {}
    for i, (name, x) in enumerate(specs.blank(spec, n).items()):
        key_x = jax.random.fold_in(key, i)
        if kinds.of(spec[name]).CLASSES:
            batch[name] = jax.random.randint(key_x, x.shape, 0, spec[name].n_classes)
        else:
            batch[name] = jnp.tanh(jax.random.normal(key_x, x.shape))
    return batch


def equal(a: Any, b: Any) -> bool:
    """Whether two trees of arrays are the same, bit for bit."""
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)
