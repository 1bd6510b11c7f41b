"""What the evaluators of a run share: samples, features and scores of a state."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.evaluation import extractors, scores
from experiments.evaluation.images import Images
from experiments.evaluation.pairs import Pairs
from experiments.sampling.classes import counts, in_shares
from experiments.sampling.sampler import BATCH, Arrays, Sampler
from experiments.sampling.samplers import Samplers
from gans import core
from gans.data import kinds

VALUES = 2**21  # of a batch of examples, all fields together
SEEN = ("image", "video", "voxels")  # kinds that extractors see
KEPT = 2**28  # bytes of outputs made of examples, at most


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Which samples of an output are measured.

    Attributes:
      n: how many.
      size: of a batch.
      rows: [n], the examples that they are made of, each once; None: of none.
      noted: what the protocol says of it.
      rows_said: which rows they are, in words.
    """

    n: int
    size: int = BATCH
    rows: np.ndarray | None = None
    noted: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rows_said: str = ""


class Setting:
    """One run's model, data and config, and how to evaluate it.

    Args:
      gan, source: the model, and its training set.
      config: of the run: `data`, `extractor`, `n_evaluate`, `dtype` and others.
      resize: how Inception's input is resized.
      weights: files of weights, by name.
      baseline: whether scores of test images are computed, too.
      equal_n: whether a baseline comes with scores of equally many images.
      folder: of pictures; None: there are none.
      place: what an error calls the metrics.
      samplers: of the outputs; by default those of the model.

    An output that is made of examples is measured on the test rows, each at most once,
    and against the test side; on the training set where there is no test set.
    """

    def __init__(
        self,
        gan: core.GAN,
        source: Any,
        config: Any,
        *,
        resize: str = "tf",
        weights: dict[str, str | None] | None = None,
        baseline: bool = False,
        equal_n: bool = True,
        folder: Path | None = None,
        place: str = "config.metrics",
        samplers: Any = None,
    ):
        self.gan, self.source, self.config = gan, source, config
        self.spec, self.n, self.place = source.spec, config.n_evaluate, place
        self.resize, self.weights = resize, weights
        self.baseline, self.equal_n, self.folder = baseline, equal_n, folder
        self.images: dict[str, Images] = {}  # by output
        self.pairs: dict[str, Pairs] = {}
        self.samplers = samplers or Samplers(gan, config, source.spec, lambda: source)
        self._plans: dict[str, Plan] = {}
        self._state, self._encoded = None, {}
        self._counts: dict[str, np.ndarray] = {}  # of classes, by label
        self.noted: dict[str, Any] = {}
        self._chosen: dict[str, str] = {}  # why the extractor, if it was chosen

    @functools.cached_property
    def extractor(self) -> str:
        """The name of the extractor that the config says, or that "auto" stands for."""
        name = self.config.extractor
        if name != "auto":
            return name
        images = [x for x, field in self.spec.items() if field.kind in SEEN]
        labels = [x for x, field in self.spec.items() if field.kind == "label"]
        if not images:  # no score can ask for features
            return name
        learnt = len(images) == len(labels) == 1
        name, why = extractors.choose(
            self.spec[images[0]].shape,
            kind=self.spec[images[0]].kind,
            n=self.source.length_of(images[0]),
            n_classes=self.spec[labels[0]].n_classes if learnt else None,
            weights=self.weights,
            photographs=not any(map(scores.beyond_inception, self.config.metrics)),
        )
        self._chosen = {"extractor_chosen": why}
        extractors.say_chosen(name, why)
        return name

    def begin(self) -> None:
        """Begins a new report."""
        self.noted = dict(self._chosen)

    def end(self) -> None:
        """Ends a report: outputs are kept no longer."""
        self._state, self._encoded = None, {}

    def sampler(self, output: str, metric: str = "") -> Sampler:
        """Returns the sampler of an output; `metric` is named in errors."""
        try:
            return self.samplers(output)
        except ValueError as error:
            raise ValueError(f"{self.place}: {metric}: {error}") from None

    def plan(self, output: str) -> Plan:
        """Returns which samples of an output are measured."""
        if output not in self._plans:
            self._plans[output] = self._plan(output)
        return self._plans[output]

    def _plan(self, output):
        sampler, source = self.sampler(output), self.samplers.conditions
        length = sampler.n_examples
        if length is None:
            return Plan(self.n)
        n, rows = min(self.n, length), np.arange(length)
        side = "training" if self.samplers.test is None else "test"
        if n < length:
            rows = np.sort(np.random.default_rng(0).permutation(length)[:n])
            chosen = f"{n} of the {length} {side} rows, chosen at random once"
        else:
            chosen = f"all {length} {side} rows, each once"
        if self.samplers.test is None:
            chosen += "; there is no test set"
        largest = sum(math.prod(x.shape) for x in source.spec.values())
        size = min(n, BATCH, max(1, VALUES // largest))
        noted = {"made_of": ", ".join(sampler.depends_on), "rows": chosen}
        if sampler.finishes:
            noted["kept"] = "what is known of the input, as translate keeps it"
        noted = {self.named(key, output): x for key, x in noted.items()}
        return Plan(n, size, rows, noted, chosen)

    def samples(
        self, state: core.State, output: str = "sample", **options: Any
    ) -> Iterator[Arrays]:
        """Yields n samples, {field: [b, ...]}; always from the same latents.

        Labels that the model was asked for are among them: as in the data, unless the
        options have others.
        """
        plan = self.plan(output)
        if "labels" not in options:
            options["labels"] = self.classes(output)
        options = {"size": plan.size, "rows": plan.rows, **options}
        self.note(plan.noted)
        return self.sampler(output).batches(state, plan.n, **options)

    def encoded(
        self, state: core.State, output: str, field: str, **options: Any
    ) -> Iterator[np.ndarray]:
        """Yields a field of `samples` as the data store it: images as uint8.

        What is made of examples is kept for other metrics of the same state, unless it
        is large or asked for `whole` (see `Sampler.examples`). Raises ValueError for
        samples that are not finite.
        """
        if state is not self._state:
            self._state, self._encoded = state, {}
        whole = options.get("whole", False)
        if not whole and (output, field) in self._encoded:
            self.note(self.plan(output).noted)
            yield from self._encoded[output, field]
            return
        encode, kept, n_bytes = kinds.of(self.spec[field]).encode, [], 0
        for made in self.samples(state, output, only=(field,), **options):
            if not np.isfinite(made[field]).all():
                raise ValueError(f"samples of {output!r} are not finite")
            yield (batch := encode(made[field]))
            n_bytes += batch.nbytes
            kept = [*kept, batch] if n_bytes <= KEPT else []
        made_of = self.plan(output).rows is not None
        if made_of and not whole and n_bytes <= KEPT:
            self._encoded[output, field] = kept

    def counts(self, label: str) -> np.ndarray:
        """Returns how often each class of a label is in the data [K]."""
        if label not in self._counts:
            self._counts[label] = counts(self.source, label)
        return self._counts[label]

    def classes(
        self, output: str, n: int | None = None, *, equal: bool = False
    ) -> dict[str, np.ndarray]:
        """Returns the classes that n samples are asked for: {label: [n]}.

        They are as frequent as in the data; with `equal` all classes that the data
        have at least twice are. {} of a model that is asked for none.
        """
        found = {}
        for name in self.sampler(output).label_inputs:
            weights = self.counts(name)
            if equal and (weights >= 2).any():
                weights = weights >= 2
            found[name] = in_shares(weights, n or self.plan(output).n)
        if found and not equal:
            self.note({"classes": "as in the data"})
        return found

    def collect(self, state: core.State, output: str = "sample") -> Arrays:
        """Returns all n samples as one, {field: [n, ...]}."""
        parts = list(self.samples(state, output))
        return {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}

    def field(self, metric: str, output: str, *kinds: str) -> str:
        """Returns the output's only field of a kind, or of one of several.

        Raises ValueError, with the reason, if there is none in the data, or several.
        """
        made = self.sampler(output, metric).fields
        found = [x for x in made if x in self.spec and self.spec[x].kind in kinds]
        if len(found) != 1:
            has = [f"{x} ({self.spec[x].kind})" if x in self.spec else x for x in made]
            raise ValueError(
                f"{self.place}: {metric} is for data of kind {' or '.join(kinds)}; "
                f"output {output!r} has {', '.join(has)}"
            )
        return found[0]

    def of_images(
        self,
        metric: str,
        output: str = "sample",
        *,
        floats: bool = False,
        clips: bool = False,
    ) -> Images:
        """Returns an output's images, and the real ones; they are shared by metrics.

        floats: whether the extractor must accept them as floats, too. clips: whether
        they may be clips.

        Raises ValueError if the output has no images, or the extractor cannot see them;
        FileNotFoundError if there are no weights.
        """
        field = self.field(metric, output, *(SEEN if clips else ("image",)))
        if output not in self.images:
            self.images[output] = Images(self, output, field)
        self.images[output].find_extractor(floats=floats)
        return self.images[output]

    def of_pairs(
        self, metric: str, output: str = "sample", kind: str = "image"
    ) -> Pairs:
        """Returns an output's examples, and the real ones of the same rows; shared too.

        Raises ValueError if the output has no field of this kind, is not made of
        examples, or if these do not correspond with real ones.
        """
        field = self.field(metric, output, kind)
        if output not in self.pairs:
            self.pairs[output] = Pairs(self, output, field)
        self.pairs[output].check(metric)
        return self.pairs[output]

    def named(self, name: str, output: str) -> str:
        """Returns what a result is called in the report: "fid", "a_to_b/fid"."""
        return name if output == "sample" else f"{output}/{name}"

    def note(self, protocol: Mapping[str, Any]) -> None:
        """Adds to the protocol of the report that is being made."""
        self.noted = {**protocol, **self.noted}
