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
from experiments.rundir import restore
from experiments.sampling.sampler import BATCH
from gans import core
from gans.data import kinds

# Keys of a protocol that differ between outputs.
OF_OUTPUT = ("n_real", "n_fake", "n_test", "real", "fake")


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

    def find_extractor(self, *, floats: bool = False) -> None:
        """Finds the weights without loading them; missing ones are reported at once.

        Raises ValueError if the extractor cannot see such images, and FileNotFoundError
        if there are no weights. floats: whether it must accept floats, too.
        """
        setting = self.setting
        extractors.check(
            setting.extractor, setting.spec[self.field].shape, floats=floats
        )
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
            "resolution": shape[0] if shape[0] == shape[1] else None,
            "channels": shape[2],
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
            functools.partial(restore.load_test, config, setting.spec),
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
            n_real=self.setting.source.length_of(self.field),
            n_fake=self.setting.n,
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
        n, n_classes = self.setting.n, int((counts >= 2).sum())
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

        "protocol" and "warnings"; with a baseline also "baseline", the scores of test
        images, and, if asked, "equal_n", those of the larger side cut to the size of
        the other.
        What depends on the output is named as its results are: "a_to_b/n_real",
        "a_to_b/equal_n". {} if no features of this state were needed.
        """
        found = self._found.get("fake") if state is self._state else None
        if found is None or isinstance(found, Exception):
            return {}
        name, extractor = self.setting.config.data, self.data.extractor
        fake, real = self.fake(state), self.data.real
        output = "samples" if self.output == "sample" else self.output
        sides, found = {name: real, output: fake}, {}
        protocol = scores.describe(
            extractor, real, fake, real=name, fake=f"{output} of the EMA"
        )
        test = self.data.test if self.setting.baseline and self.wanted else None
        if test is not None:
            sides[f"{name}@test"] = test
            found["baseline"] = self._of_test
            protocol["n_test"] = len(test)
            n, larger, kind = len(test), fake, output
            if len(fake) < len(test):
                n, larger, kind = len(fake), test, "real test images"
            if n < len(larger) and self.setting.equal_n:
                results = self._flat(larger.some(n))
                equal_n = self.setting.named("equal_n", self.output)
                found[equal_n] = {"column": f"{kind}, n={n}", "results": results}
        found["protocol"] = {
            self.setting.named(key, self.output) if key in OF_OUTPUT else key: value
            for key, value in protocol.items()
        }
        found["warnings"] = doubts.of(sides, extractor.name, self.wanted)
        return found

    @functools.cached_property
    def _of_test(self):
        return self._flat(self.data.test)

    def _flat(self, side):
        return {
            self.setting.named(quantity, self.output): value
            for values in self.scores_of(side).values()
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
        setting, encode = self.setting, kinds.of(self.setting.spec[self.field]).encode

        def samples(name):
            found = setting.samples(state, self.output, only=(name,), labels=asked)
            return (x[name] for x in found)

        labels = n_classes = None
        if self.labelled:
            labels = np.concatenate(list(samples(self.label)))
            n_classes = setting.spec[self.label].n_classes
        images = ImageSet(
            "samples" if self.output == "sample" else f"samples of {self.output}",
            setting.n,
            lambda: (encode(x) for x in samples(self.field)),
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
        """Returns the wanted scores of one side against the training images."""
        name, wanted = self.data.extractor.name, wanted or self.wanted
        return scores.by_score(wanted, self.data.real, side, name)

    def some(self, state: core.State, indices: np.ndarray) -> np.ndarray:
        """Returns some of the n samples again: [K, H, W, C] floats in [-1, 1]."""
        sampler, field = self.setting.sampler(self.output), self.field
        labels = self.setting.classes(self.output)
        batches = {
            i: np.asarray(
                sampler(state, *sampler.batch(i, BATCH, labels), (field,))[field]
            )
            for i in {*(indices // BATCH).tolist()}
        }
        return np.stack([batches[i // BATCH][i % BATCH] for i in indices.tolist()])


def _raised(found: Any) -> Any:
    """Returns what `attempt` has returned; raises it if it is an exception."""
    if isinstance(found, Exception):
        raise found
    return found
