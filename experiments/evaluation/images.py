"""Images of a model and of its data, as a feature extractor sees them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.evaluation import doubts, extractors, features, scores
from experiments.evaluation.failures import attempt
from experiments.evaluation.image_sets import ImageSet
from experiments.evaluation.result import Result
from gans import core

# Keys of a protocol that differ between outputs.
OF_OUTPUT = ("n_real", "n_fake", "n_training", "n_test", "real", "fake", "baseline")


class Images:
    """Images of an output and of the data, as the extractor sees them.

    Args:
      setting: the `experiments.evaluation.setting.Setting` that these images belong to.
      output: of the model.
      field: see below.

    Attributes:
      field: of the data and of the output.
      wanted: scores by features that are asked for: {name: options}.
    """

    def __init__(self, setting: Any, output: str, field: str):
        self.setting, self.output, self.field = setting, output, field
        self.wanted: dict[str, dict[str, Any]] = {}
        self._state, self._found = None, {}

    @functools.cached_property
    def on_test(self) -> bool:
        """Whether samples are measured against the test side, as they are made of it.

        Otherwise it is the training side.
        """
        made_of = self.setting.sampler(self.output).depends_on
        return bool(made_of) and self.setting.samplers.test is not None

    @property
    def _reference_source(self):
        return self.setting.samplers.test if self.on_test else self.setting.source

    @property
    def reference(self) -> features.Features:
        """The features of the real images that samples are compared with."""
        return self.data.test if self.on_test else self.data.real

    def find_extractor(self, *, floats: bool = False) -> None:
        """Finds the weights without loading them; missing ones are reported at once.

        Raises ValueError if the extractor cannot see such images, and FileNotFoundError
        if there are no weights. floats: whether it must accept floats, too.
        """
        setting = self.setting
        field = setting.spec[self.field]
        extractors.check(setting.extractor, field.shape, kind=field.kind, floats=floats)
        if setting.extractor == "classifier":
            extractors.check_labelled(setting.source, setting.config.data)
        self.data  # noqa: B018 -- makes it

    @property
    def label(self) -> str | None:
        """The name of the images' labels in the data, if they have any."""
        return self.setting.source.label_of(self.field)

    @functools.cached_property
    def labelled(self) -> bool:
        """Whether the output has the requested classes of its samples."""
        return self.label in self.setting.sampler(self.output).fields

    @functools.cached_property
    def data(self) -> features.Data:
        """The real images; the extractor is loaded when it is needed."""
        setting, config = self.setting, self.setting.config
        shape = setting.spec[self.field].shape
        known = {
            "name": config.data,
            "resolution": shape[-3] if shape[-3] == shape[-2] else None,
            "channels": shape[-1],
            "frames": config.get("frames", 16),
            "stride": config.get("stride", 1),
            "data_dir": config.data_dir,
            "skip_corrupt": config.get("skip_corrupt", False),
            "data_seed": config.get("seed", 0),
        }
        find = extractors.find(
            setting.extractor,
            resize=setting.resize,
            weights=setting.weights,
            trained_on=known,
        )

        def load():
            extractor = find()
            if any(scores.known()[name].logits for name in self.wanted):
                self.check(n_logits=features.n_logits(extractor, shape))
            return extractor

        return features.Data(
            config.data,
            setting.source,
            load,
            lambda: setting.samplers.test,
            field=self.field,
        )

    def want(self, score: str, options: Mapping[str, Any]) -> None:
        """Has a score by features computed together with all others.

        Raises ValueError for one that cannot be computed from these images.
        """
        place = self.setting.place
        if score in self.wanted:
            raise ValueError(f"{place}: {score} of {self.output!r} is there twice")
        self.wanted[score] = dict(options)
        self.check(n_logits=extractors.N_LOGITS.get(self.setting.extractor))

    def check(self, n_logits: int | None) -> None:
        """Raises ValueError for a score that cannot be computed from these images."""
        label = self.label
        scores.check_images(
            self.wanted,
            n_real=self._reference_source.length_of(self.field),
            n_fake=self.setting.plan(self.output).n,
            n_classes=None if label is None else self.setting.spec[label].n_classes,
            labelled=self.labelled,
            n_logits=n_logits,
            place=self.setting.place,
        )
        for name in self.wanted:
            if scores.known()[name].equal_classes:
                self._check_classes(name, self.setting.counts(label))

    def _check_classes(self, name, counts):
        """Raises ValueError unless there are two images of a class, and samples."""
        n, n_classes = self.setting.plan(self.output).n, int((counts >= 2).sum())
        if not n_classes:
            raise ValueError(
                f"{self.setting.place}: {name} needs two real images of a class"
            )
        if n < 2 * n_classes:
            raise ValueError(
                f"{self.setting.place}: {name} of {n} samples for {n_classes} classes; "
                f"two of each are needed, {2 * n_classes} in all"
            )

    def summary(self, state: core.State) -> dict[str, Any]:
        """Returns what belongs in the report beside the results.

        "protocol" and "warnings"; with a baseline also "baseline", the scores of the
        real images of the other side, and, if asked, "equal_n", those of the larger set
        cut to the size of the other.
        What depends on the output is named as its results are: "a_to_b/n_real",
        "a_to_b/equal_n". {} if no features of this state were needed.
        """
        found = self._found.get("fake") if state is self._state else None
        if found is None or isinstance(found, Exception):
            return {}
        fake, real, extractor = self.fake(state), self.reference, self.data.extractor
        output = "samples" if self.output == "sample" else self.output
        (name, kind), (others, other_kind) = self._sides
        sides, found = {name: real, output: fake}, {}
        protocol = scores.describe(
            extractor, real, fake, real=name, fake=f"{output} of the EMA"
        )
        other, baseline = None, self.setting.baseline and bool(self.wanted)
        if baseline and self._other is None:
            found["baseline"] = self._of_halves
            protocol["baseline"] = self._said_of_halves
        elif baseline:
            other = self._other
            sides[others] = other
            found["baseline"] = self._of_other
            protocol["n_training" if self.on_test else "n_test"] = len(other)
            protocol["baseline"] = f"real {other_kind} images against {kind} images"
            n, larger, column = len(other), fake, output
            if len(fake) < len(other):
                n, larger, column = len(fake), other, f"real {other_kind} images"
            if n < len(larger) and self.setting.equal_n:
                results = self._flat(larger.some(n))
                equal_n = self.setting.named("equal_n", self.output)
                found[equal_n] = {"column": f"{column}, n={n}", "results": results}
        found["protocol"] = {
            self.setting.named(key, self.output) if key in OF_OUTPUT else key: value
            for key, value in protocol.items()
        }
        found["warnings"] = doubts.of(sides, protocol, self.wanted)
        return found

    @property
    def _sides(self):
        """(name, which images) of the reference, and of the other real images."""
        name = self.setting.config.data
        both = (name, "training"), (f"{name}@test", "test")
        return both[::-1] if self.on_test else both

    @property
    def _other(self):
        """The features of the real images of the other side; None if there are none."""
        return self.data.real if self.on_test else self.data.test

    @functools.cached_property
    def _of_other(self):
        return self._flat(self._other)

    @property
    def _unbiased(self):
        """The wanted scores that do not depend on the number of images."""
        known, half = scores.known(), len(self.data.real) // 2
        return {x: o for x, o in self.wanted.items() if known[x].unbiased and half > 1}

    @functools.cached_property
    def _of_halves(self):
        """Of one half of the training images against the other."""
        rows = np.random.default_rng(0).permutation(len(self.data.real))
        parts = [self.data.real.rows(np.sort(x)) for x in np.array_split(rows, 2)]
        return self._named(
            scores.by_score(self._unbiased, *parts, self.data.extractor.name)
        )

    @property
    def _said_of_halves(self):
        none = "there are no test images"
        if not self._unbiased:
            return f"{none}, so the scores of real images are not known"
        known = f"{', '.join(self._unbiased)} of one random half of the training images"
        return f"{none}: {known} against the other; other scores would be biased"

    def _flat(self, side):
        return self._named(self.scores_of(side))

    def _named(self, by_score):
        return {
            self.setting.named(quantity, self.output): value
            for values in by_score.values()
            if not isinstance(values, Exception)
            for quantity, value in values.items()
        }

    def _of_state(self, state, name, compute):
        """`compute()`, or its exception, once for each state."""
        if state is not self._state:
            self._state, self._found = state, {}
        if name not in self._found:
            self._found[name] = attempt(compute)
        return _raised(self._found[name])

    def fake(self, state: core.State) -> features.Features:
        """Returns the features of n samples; computed once for each state."""
        labels = self.setting.classes(self.output)
        extract = functools.partial(self._extract, state, labels)
        return self._of_state(state, "fake", extract)

    def _equally(self, state):
        """As `fake`, of equally many samples of each class: the same if those are."""
        setting = self.setting
        labels = setting.classes(self.output, equal=True)
        plain = setting.classes(self.output)
        if all(np.array_equal(x, plain[name]) for name, x in labels.items()):
            return self.fake(state)
        return self._extract(state, labels)

    def _extract(self, state, asked):
        setting = self.setting
        labels = n_classes = None
        if self.labelled:
            given = setting.samples(
                state, self.output, only=(self.label,), labels=asked
            )
            labels = np.concatenate([x[self.label] for x in given])
            n_classes = setting.spec[self.label].n_classes
        images = ImageSet(
            "samples" if self.output == "sample" else f"samples of {self.output}",
            setting.plan(self.output).n,
            lambda: setting.encoded(state, self.output, self.field, labels=asked),
            labels,
            n_classes,
        )
        return features.extract(self.data.extractor, images)

    def scores(self, state: core.State) -> dict[str, scores.Values | Exception]:
        """Returns all wanted scores by features; see `scores.by_score`."""
        return self._of_state(state, "scores", functools.partial(self._scores, state))

    def _scores(self, state):
        found = {}
        for equally in (False, True):
            wanted = {
                name: options
                for name, options in self.wanted.items()
                if scores.known()[name].equal_classes == equally
            }
            if wanted:
                side = self._equally(state) if equally else self.fake(state)
                found |= self.scores_of(side, wanted)
        return found

    def results(self, state: core.State, score: str) -> dict[str, Result]:
        """Returns the results of one of the wanted scores."""
        values = _raised(self.scores(state)[score])
        return {name: Result.from_json(value) for name, value in values.items()}

    def scores_of(
        self, side: features.Features, wanted: dict[str, dict[str, Any]] | None = None
    ) -> dict[str, scores.Values | Exception]:
        """Returns the wanted scores of one side against the reference."""
        name, wanted = self.data.extractor.name, wanted or self.wanted
        return scores.by_score(wanted, self.reference, side, name)

    def some(self, state: core.State, indices: np.ndarray) -> np.ndarray:
        """Returns some of the n samples again: [K, H, W, C] floats in [-1, 1]."""
        sampler, plan = (
            self.setting.sampler(self.output),
            self.setting.plan(self.output),
        )
        labels, only = self.setting.classes(self.output), (self.field,)
        batches = {
            i: np.asarray(
                sampler(state, *sampler.batch(i, plan.size, labels, plan.rows), only)[
                    self.field
                ]
            )
            for i in {*(indices // plan.size).tolist()}
        }
        places = [divmod(i, plan.size) for i in indices.tolist()]
        return np.stack([batches[batch][place] for batch, place in places])


def _raised(found: Any) -> Any:
    """Returns what `attempt` has returned; raises it if it is an exception."""
    if isinstance(found, Exception):
        raise found
    return found
