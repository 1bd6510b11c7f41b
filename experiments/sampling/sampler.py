"""The one sampler: outputs of a trained model, batch by batch.

Every command that draws from a model does so here: `run`, `sample`, `evaluate`,
ablations, and `experiments.load`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gans import core, names
from gans.data import kinds
from gans.data.spec import Spec, decoded

BATCH = 500  # of an evaluation: its latents depend on it
_GIVEN, _MADE = "a", "b"  # of sets that keep what was given, see `gans.data.finished`
Arrays = dict[str, np.ndarray]


class Sampler:
    """An output of a GAN.

    Args:
      gan: whose output it is.
      spec: of the data.
      source: of the examples that a conditional model is given (`gan.conditioned_on`),
        or () -> that source, called when one is needed; row i goes with sample i, and
        the rows repeat. Others need none.
      output: a name of `gan.outputs`.
      finish: what keeps what was given in an output, see `gans.data.finished`.

    Raises ValueError for an unknown output, and for a model that is conditioned on
    examples if there is no source.
    """

    def __init__(
        self,
        gan: core.GAN,
        spec: Spec,
        source: Any = None,
        output: str = "sample",
        finish: Callable[[Any, Any], Any] | None = None,
    ):
        names.check(output, gan.outputs, "output")
        for name in gan.conditioned_on:
            if name not in spec:
                raise ValueError(
                    f"GAN.conditioned_on: {name!r} is not a field of the data: "
                    f"{', '.join(spec)}"
                )
        if gan.conditioned_on and source is None:
            raise ValueError(
                f"output {output!r} needs examples of "
                f"{', '.join(gan.conditioned_on)}, but no source of data was given"
            )
        self.gan, self.spec, self.output = gan, spec, output
        self._given = source if gan.conditioned_on else None
        self._finish = finish
        self._inputs = jax.jit(self.traced_inputs, static_argnums=1)
        self._outputs = jax.jit(self.traced_outputs, static_argnums=3)
        self._each = jax.jit(self.traced_each)

    @functools.cached_property
    def _source(self):
        return self._given() if callable(self._given) else self._given

    @functools.cached_property
    def _blank(self) -> Arrays:
        """Two examples, of zeros: what is traced needs no data."""
        fields = {name: self.spec[name] for name in self.gan.conditioned_on}
        return {k: np.zeros((2, *x.shape), x.dtype) for k, x in fields.items()}

    def examples(
        self,
        n: int,
        first: int = 0,
        rows: np.ndarray | None = None,
        whole: bool = False,
    ) -> Arrays:
        """Returns n examples of the fields that the model is given, {field: [n, ...]}.

        They are as the source stores them; {} of a model that is given none.

        first: the number of the first one. rows: [K], their rows in the source, which
        take turns; by default all of them do. whole: as large as it is, where the
        source has that; of n = 1.
        """
        return self.examples_at(np.arange(first, first + n), rows, whole)

    def examples_at(
        self, places: np.ndarray, rows: np.ndarray | None = None, whole: bool = False
    ) -> Arrays:
        """Returns the examples of numbers `places` [n]; see `examples`."""
        return self._take(self.gan.conditioned_on, places, rows, whole)

    def _take(self, fields, places, rows, whole=False):
        if not fields:
            return {}
        places = places if rows is None else rows[places % len(rows)]
        take = self._source.whole if whole else self._source.take
        taken = take(*(places % n for n in self._source.lengths))
        return {name: taken[name] for name in fields}

    def inputs(
        self,
        key: Array,
        n: int,
        first: int = 0,
        rows: np.ndarray | None = None,
        whole: bool = False,
    ) -> dict[str, Array]:
        """Returns n inputs of the output, {name: [n, ...]}.

        key: draws latents. first, rows, whole: of the examples, see `examples`.
        """
        return self._inputs(key, n, self.examples(n, first, rows, whole))

    def __call__(
        self,
        state: core.State,
        inputs: Mapping[str, Array],
        key: Array | None = None,
        only: tuple[str, ...] | None = None,
    ) -> dict[str, Array]:
        """Returns the output of the averaged networks, {field: [n, ...]}, decoded.

        Labels among the inputs, the classes that were asked for, are in it, too.

        key: of what the output itself draws, such as dropout. only: the fields that
        are wanted; nothing else is computed.
        """
        key = jax.random.key(0) if key is None else key
        return self._outputs(state, dict(inputs), key, only)

    def each(
        self, state: core.State, inputs: Mapping[str, Array], keys: Array
    ) -> dict[str, Array]:
        """Returns what a call does, where sample i draws from keys[i] alone.

        So it does not depend on the samples beside it. keys: [n].
        """
        return self._each(state, dict(inputs), keys)

    def traced_each(self, state, inputs, keys):
        """Returns what `each` does; to be traced."""
        if not self.draws:  # all at once is faster
            return self.traced_outputs(state, inputs, keys[0])

        def one(inputs, key):
            alone = {name: x[None] for name, x in inputs.items()}
            made = self.traced_outputs(state, alone, key)
            return {name: x[0] for name, x in made.items()}

        return jax.vmap(one)(inputs, keys)

    @functools.cached_property
    def draws(self) -> bool:
        """Whether the output itself draws numbers, such as dropout or noise."""
        traced = jax.make_jaxpr(lambda key, *args: self.traced_outputs(*args, key))
        key = jax.eval_shape(lambda: jax.random.key(0))
        return used(traced(key, self._state(), self.input_shapes()).jaxpr)[0]

    @functools.cached_property
    def random(self) -> bool:
        """Whether its samples depend on a seed: by its inputs, or by what it draws."""

        def inputs(key, examples):
            made = self.traced_inputs(key, 2, examples)
            return {name: made[name] for name in self.used_inputs}

        key = jax.eval_shape(lambda: jax.random.key(0))
        return self.draws or used(jax.make_jaxpr(inputs)(key, self._blank).jaxpr)[0]

    def batches(
        self,
        state: core.State,
        n: int,
        *,
        only: tuple[str, ...] | None = None,
        size: int = BATCH,
        labels: Mapping[str, np.ndarray] | None = None,
        rows: np.ndarray | None = None,
        whole: bool = False,
    ) -> Iterator[Arrays]:
        """Yields n samples, {field: numpy [b, ...]}; batch i is drawn from key(i).

        So they are the same ones each time. The last batch may be smaller.

        labels: {label: [n]}, the classes to ask for; by default the model chooses.
        rows, whole: see `examples`.
        """
        for i, start in enumerate(range(0, n, size)):
            made = self(state, *self.batch(i, size, labels, rows, whole), only)
            keep = min(size, n - start)
            yield {name: np.asarray(x)[:keep] for name, x in made.items()}

    def batch(
        self,
        i: int,
        size: int = BATCH,
        labels: Mapping[str, np.ndarray] | None = None,
        rows: np.ndarray | None = None,
        whole: bool = False,
    ) -> tuple[dict[str, Array], Array]:
        """Returns inputs and key of batch i of `batches`."""
        key = jax.random.key(i)
        inputs = self.inputs(key, size, i * size, rows, whole)
        for name, asked in (labels or {}).items():
            places = np.minimum(np.arange(i * size, (i + 1) * size), len(asked) - 1)
            inputs[name] = jnp.asarray(asked[places], inputs[name].dtype)
        return inputs, jax.random.fold_in(key, 1)

    @functools.cached_property
    def label_inputs(self) -> tuple[str, ...]:
        """The inputs that are classes which can be asked for."""
        return tuple(
            name
            for name, x in self.input_shapes().items()
            if name in self.spec and self.spec[name].kind == "label" and x.ndim == 1
            if name not in self.gan.conditioned_on
        )

    @functools.cached_property
    def fields(self) -> dict[str, jax.ShapeDtypeStruct]:
        """{field: shape and type} of two samples [2, ...]; nothing is computed."""
        key = jax.eval_shape(lambda: jax.random.key(0))
        return jax.eval_shape(
            lambda state, key, examples: self.traced_outputs(
                state, self.traced_inputs(key, 2, examples), key
            ),
            self._state(),
            key,
            self._blank,
        )

    @functools.cached_property
    def used_inputs(self) -> tuple[str, ...]:
        """The inputs on which the output depends."""
        shapes = self.input_shapes()
        key = jax.eval_shape(lambda: jax.random.key(0))
        traced = jax.make_jaxpr(
            lambda x, *args: self.traced_outputs(args[0], x, args[1])
        )
        found = used(traced(shapes, self._state(), key).jaxpr)
        return tuple(
            x for x, is_used in zip(sorted(shapes), found, strict=False) if is_used
        )

    def input_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns {name: shape and type} of two inputs [2, ...]; computes nothing."""
        key = jax.eval_shape(lambda: jax.random.key(0))
        return jax.eval_shape(
            lambda key, examples: self.traced_inputs(key, 2, examples),
            key,
            self._blank,
        )

    def given(self, examples: Arrays) -> Arrays:
        """Returns those of the `examples` on which the output depends, decoded."""
        return self._decoded({x: examples[x] for x in self.depends_on})

    @functools.cached_property
    def depends_on(self) -> tuple[str, ...]:
        """The fields of its examples on which the output depends."""
        examples = self._blank
        if not examples:
            return ()
        state = self._state()
        key = jax.eval_shape(lambda: jax.random.key(0))
        jaxpr = jax.make_jaxpr(
            lambda examples, state, key: core.sample(
                self.gan, state, self.traced_inputs(key, 2, examples), key, self.output
            )
        )(examples, state, key).jaxpr
        # Dicts are flattened in the order of their keys; the examples come first.
        found = zip(sorted(examples), used(jaxpr), strict=False)
        return tuple(name for name, is_used in found if is_used)

    def targets(self, n: int, rows: np.ndarray | None = None) -> Arrays:
        """Returns what the output should be for n examples, {field: [n, ...]}, decoded.

        That are the real fields of their rows; {} if the source has none that belong to
        what the output is made of. rows: see `examples`.
        """
        made_of = {*self.depends_on}
        groups = self._source.groups if made_of else ()
        group = next((x for x in groups if made_of <= {*x}), ())
        wanted = [x for x in self.fields if x in group and x not in made_of]
        return self._decoded(self._take(wanted, np.arange(n), rows))

    def _decoded(self, stored):
        decode = {name: kinds.of(self.spec[name]).decode for name in stored}
        return {name: np.asarray(decode[name](x)) for name, x in stored.items()}

    @property
    def n_examples(self) -> int | None:
        """How many examples there are to make the output of; None if it needs none."""
        of = [self._source.length_of(name) for name in self.depends_on]
        return min(of, default=None)

    def _state(self):
        key = jax.eval_shape(lambda: jax.random.key(0))
        return jax.eval_shape(functools.partial(core.init, self.gan), key)

    def traced_inputs(self, key: Array, n: int, examples: Arrays) -> dict[str, Array]:
        """Returns what `inputs` does, of `examples`; to be traced."""
        batch = {
            name: kinds.of(self.spec[name]).decode(x) for name, x in examples.items()
        }
        if not batch:  # only the length is used: nothing is allocated
            batch = {
                name: jnp.zeros((n, *x.shape), x.dtype)
                for name, x in decoded(self.spec).items()
            }
        return self.gan.inputs(key, batch)

    def traced_outputs(self, state, inputs, key, only=None) -> dict[str, Array]:
        """Returns what a call does; to be traced."""
        made = core.sample(self.gan, state, inputs, key, self.output)
        made = self.finished(inputs, made)
        asked = {
            name: x
            for name, x in inputs.items()
            if name in self.spec and self.spec[name].kind == "label"
        }
        made = {**asked, **made}
        return made if only is None else {name: made[name] for name in only}

    @functools.cached_property
    def finishes(self) -> bool:
        """Whether what was given is kept in what is made, as `translate` does it."""
        return self._finish is not None and self.depends_on == (_GIVEN,)

    def finished(self, given: Mapping[str, Any], made: Mapping[str, Any]):
        """Returns what was made, with what was given kept in it; may be traced.

        given, made: {field: [n, ...]}, decoded.
        """
        if not self.finishes or _MADE not in made:
            return made
        return {**made, _MADE: self._finish(given[_GIVEN], made[_MADE])}


def used(jaxpr: Any) -> list[bool]:
    """Returns whether the outputs depend on each input of a jaxpr."""
    needed = {id(x) for x in jaxpr.outvars}
    for equation in reversed(jaxpr.eqns):
        if any(id(x) in needed for x in equation.outvars):
            needed |= {id(x) for x in equation.invars}
    return [id(x) in needed for x in jaxpr.invars]
