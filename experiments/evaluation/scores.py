"""Scores by features: what they need, and everything that a value depends on."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import Any

from tqdm import tqdm

from experiments.evaluation import evaluators, statistics
from experiments.evaluation.failures import attempt
from experiments.evaluation.features import Features
from experiments.evaluation.result import without_rounding
from experiments.evaluation.statistics import Statistics
from gans import names
from gans.metrics.features.extractor import Extractor
from gans.metrics.scores import neighbours
from gans.metrics.scores.moments import Moments

Values = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """A score of images by features: what a file of `evaluators` calls SCORE.

    Attributes:
      name: of the file.
      measure: (real, fake, seed, **options) -> {quantity: {"value", ...}}, of two
        `Features`; with `distances` (found, options) -> the same, of what the figure
        gives.
      better: {quantity: "lower" or "higher"}; a quantity that is absent has neither.
      least: (real, generated) images that it needs at least, or options -> these.
      options: what `measure` accepts, with the defaults: shares, in (0, 1], or whole
        numbers, at least 1, those that are subsets at least 2.
      distances: a figure of `gans.metrics.scores.neighbours`: all of these are computed
        in one pass, with the options as arguments.
      frechet: whether it is a Frechet distance.
      statistics: whether mean and covariance are enough.
      unbiased: whether it does not depend on the numbers of images.
      logits: whether the extractor must classify; "own": the classes of the data.
      labels: the sides that need labels, of "real" and "generated".
      equal_classes: whether a model is asked for equally many of each class, and not as
        many as the data have.
    """

    name: str
    measure: Callable[..., Values]
    better: Mapping[str, str] = dataclasses.field(default_factory=dict)
    least: tuple[int, int] | Callable[[Mapping[str, Any]], tuple[int, int]] = (1, 1)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    distances: str | None = None
    frechet: bool = False
    statistics: bool = False
    unbiased: bool = False
    logits: bool | str = False
    labels: tuple[str, ...] = ()
    equal_classes: bool = False

    def make(self, gan, spec, source, *, setting, output: str = "sample", **options):
        """Returns the evaluator of a run; see `experiments.evaluation.evaluators`."""
        add(self, setting.place)
        options = self.with_options(options, setting.place)
        check([self.name], extractor=setting.extractor, place=setting.place)
        images = setting.of_images(self.name, output, clips=True)
        images.want(self.name, options)
        return lambda state: images.results(state, self.name)

    def with_options(self, given: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Returns all options; raises ValueError for one that is not accepted."""
        place = f"{place}: {self.name}"
        names.options(self.options, given, place)
        for name, value in given.items():
            if isinstance(self.options[name], float):
                inside = f"{place}: {name}"
                names.number(value, lambda x: (0 < x) & (x <= 1), inside, "in (0, 1]")
                continue
            least = 2 if name == "subset" else 1
            if type(value) is not int or value < least:
                raise ValueError(
                    f"{place}: {name}={value!r} must be a whole number of at least "
                    f"{least}"
                )
        return {**self.options, **given}


@functools.cache
def known() -> dict[str, Score]:
    """Returns the scores by features: files of `evaluators` that have a SCORE."""
    modules = {name: evaluators.module(name) for name in evaluators.names()}
    return {n: m.SCORE for n, m in modules.items() if hasattr(m, "SCORE")}


def add(score: Score, place: str) -> str:
    """Makes a score of the user's known; returns its name.

    Raises ValueError if it is called like one of ours.
    """
    if score.name not in evaluators.names():
        known()[score.name] = score
    elif evaluators.module(score.name).SCORE is not score:
        raise ValueError(
            f"{place}: {score.name!r} is a score of ours; give yours another name: "
            "Score(NAME, ...)"
        )
    return score.name


def of_path(path: str, place: str) -> str:
    """Returns the name of the SCORE of a user's module, which is known from now on.

    Raises ValueError if there is none.
    """
    found = names.imported(path, place)
    found = getattr(found, "SCORE", found)
    return add(names.wanted(found, Score, place, path, "a module with a SCORE"), place)


def beyond_inception(metric: str | Mapping[str, Any]) -> bool:
    """Says whether a metric needs what Inception does not have.

    That is logits of the data's own classes, or an eye for small fractions of a level.
    """
    name = metric if isinstance(metric, str) else metric["name"]
    score = known().get(name)
    return name.startswith("ppl_") or (score is not None and score.logits == "own")


def check(
    wanted: Iterable[str], *sides: Any, extractor: str = "", place: str = "metrics"
) -> None:
    """Raises ValueError for a score that is unknown or impossible for these sides.

    extractor: its name. Those of LPIPS give distances; nothing else of their features
      means anything.
    """
    of_statistics = [name for name, score in known().items() if score.statistics]
    by_distances = [name for name, score in known().items() if score.distances]
    for name in wanted:
        if name in evaluators.names() and name not in known():
            raise ValueError(
                f"{place}: {name} needs a model, not only images: see `python -m "
                "experiments.evaluate --workdir=DIR`"
            )
        names.check(name, known(), place)
        if extractor.startswith("lpips_") and name not in by_distances:
            raise ValueError(
                f"{place}: {extractor} gives only distances, and {name} is not a score "
                f"by distances; those are {', '.join(by_distances)}"
            )
        if name in of_statistics:
            continue
        if any(isinstance(side, Statistics) for side in sides):
            raise ValueError(
                f"{place}: {name} needs images; mean and covariance are enough only "
                f"for {', '.join(of_statistics)}"
            )


def check_images(
    wanted: Iterable[str],
    *,
    n_real: int,
    n_fake: int,
    n_classes: int | None,
    labelled: bool,
    n_logits: int | None,
    place: str = "metrics",
) -> None:
    """Raises ValueError for a score that cannot be computed from these images.

    Args:
      wanted: names of `known()`, or {name: options}.
      n_real, n_fake: the numbers of images.
      n_classes: of the real ones; None: they have no labels.
      labelled: whether the generated ones have labels.
      n_logits: of the extractor; 0: it does not classify; None: not known yet.
    """
    for name in wanted:
        score = known()[name]
        own = wanted[name] if isinstance(wanted, Mapping) else {}
        if score.logits and n_logits == 0:
            raise ValueError(f"{place}: {name} needs an extractor that classifies")
        other = n_logits is not None and n_logits != n_classes
        if score.logits == "own" and (n_classes is None or other):
            raise ValueError(
                f"{place}: {name} needs labelled real images, and the extractor "
                "`classifier` of their classes"
            )
        if "generated" in score.labels and (n_classes is None or not labelled):
            raise ValueError(f"{place}: {name} needs labels of both sides")
        needed = score.least
        if callable(needed):
            needed = needed({**score.options, **own})
        for kind, n, least in zip(
            ("real", "generated"), (n_real, n_fake), needed, strict=True
        ):
            if n < least:
                raise ValueError(
                    f"{place}: {name} of {n} {kind} images, fewer than {least}"
                )


def compute(
    wanted: Iterable[str],
    real: Features | Statistics,
    fake: Features | Statistics,
    extractor: str,
    *,
    seed: int = 0,
) -> Values:
    """Returns {name: {"value", what belongs to it, "better", "seconds"}}.

    "better" is "lower", "higher", or None where neither is. Scores by distances are
    computed together: "seconds" are those of all. A progress bar names the score.

    Args:
      wanted: names of `known()`, or {name: options}.
      real, fake: of the reference and of what is measured.
      extractor: its name, which becomes part of the scores': "fd_classifier"; only
        those of Inception's own weights have the plain ones, "fid".
      seed: draws subsets and bootstrap replicates.

    Raises ValueError for an unknown score, and for one that cannot be computed from
    these images.
    """
    found = by_score(wanted, real, fake, extractor, seed=seed)
    for values in found.values():
        if isinstance(values, Exception):
            raise values
    return {name: x for values in found.values() for name, x in values.items()}


def by_score(
    wanted: Iterable[str],
    real: Features | Statistics,
    fake: Features | Statistics,
    extractor: str,
    *,
    seed: int = 0,
) -> dict[str, Values | Exception]:
    """Returns {score: what `compute` returns of it}, in the order of `wanted`.

    In place of a score that failed there is its exception.
    """
    given = wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted, {})
    check(given, real, fake, extractor=extractor)
    options = {
        name: known()[name].with_options(given[name], "metrics") for name in given
    }
    found = {}
    for name in given:
        problem = attempt(functools.partial(_check_sides, name, options, real, fake))
        if problem is not None:
            found[name] = problem, 0.0
    by_distance = [x for x in given if known()[x].distances and x not in found]
    # disable=None: at a terminal only
    with tqdm(total=len(given), unit=" scores", disable=None, leave=False) as bar:
        for name in given:
            if name in found:
                continue
            together = by_distance if name in by_distance else [name]
            bar.set_description(f"{', '.join(together)} by {extractor}")
            began = time.perf_counter()
            if name in by_distance:
                values = _by_distance({x: options[x] for x in together}, real, fake)
            else:
                measure = functools.partial(known()[name].measure, real, fake, seed)
                values = {name: attempt(functools.partial(measure, **options[name]))}
            seconds = time.perf_counter() - began
            found |= {x: (value, seconds) for x, value in values.items()}
            bar.update(len(together))
    return {name: _described(name, *found[name], extractor) for name in given}


def _check_sides(name, options, real, fake):
    """Raises ValueError if one score cannot be computed of these features."""
    if isinstance(real, Features) and isinstance(fake, Features):
        check_images(
            {name: options[name]},
            n_real=len(real),
            n_fake=len(fake),
            n_classes=None if real.labels is None else real.n_classes,
            labelled=fake.labels is not None,
            n_logits=0 if fake.logits is None else fake.logits.shape[1],
        )


def _described(name, values, seconds, extractor):
    """What `compute` returns of one score; its exception as it is."""
    if isinstance(values, Exception):
        return values
    better = known()[name].better
    return {
        named(quantity, extractor): value
        | {"better": better.get(quantity), "seconds": seconds}
        for quantity, value in values.items()
    }


def _by_distance(wanted, real, fake):
    """{score: {quantity: {"value", ...}}, or exception} of {score: options}."""
    figures = {known()[name].distances: given for name, given in wanted.items()}
    sides = real.features, fake.features
    results = attempt(functools.partial(neighbours.together, *sides, **figures))
    if isinstance(results, Exception):
        if len(wanted) == 1:
            return {name: results for name in wanted}
        found = [_by_distance({x: given}, real, fake) for x, given in wanted.items()]
        return {name: values for one in found for name, values in one.items()}
    found = {}
    for name, given in wanted.items():
        score = known()[name]
        measure = functools.partial(score.measure, results[score.distances])
        found[name] = attempt(functools.partial(measure, dict(given)))
    return found


def with_errors(found: Mapping[str, float], options: Mapping[str, Any]) -> Values:
    """Returns the values of {quantity, quantity_se}, each with the options."""
    return {
        name: {"value": value, "standard_error": found[f"{name}_se"], **options}
        for name, value in found.items()
        if not name.endswith("_se")
    }


def gaussian(side: Features | Statistics) -> Any:
    """Returns mean and covariance of one side."""
    if isinstance(side, Statistics):
        return side.mean, side.cov
    return Moments.of(side.features)


def named(quantity: str, extractor: str) -> str:
    """Returns "fid" for Inception's own, else "fd_squeezenet" and the like."""
    if extractor == "inception":
        return quantity
    words = ("fd" if word == "fid" else word for word in quantity.split("_"))
    return f"{'_'.join(words)}_{extractor}"


def describe(
    extractor: Extractor | dict[str, Any], *sides: Features | Statistics, **more: Any
) -> dict[str, Any]:
    """Returns the protocol of a comparison, as JSON.

    extractor: or its description in a file of statistics. sides: real and fake, if both
    are compared. more: whatever else counts.
    """
    known = extractor
    if isinstance(extractor, Extractor):
        known = statistics.protocol(extractor)
    versions = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return {
        **known,
        **{f"n_{x}": _count(y) for x, y in zip(("real", "fake"), sides, strict=False)},
        "ddof": 1,
        "images": "uint8",
        **more,
        "versions": versions,
    }


def table(columns: dict[str, Values]) -> str:
    """Returns the values as text, one column for each comparison."""
    rows = list(dict.fromkeys(name for values in columns.values() for name in values))
    lines = [["", *columns]]
    for row in rows:
        lines.append([row, *(shown(values.get(row)) for values in columns.values())])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def shown(value: Mapping[str, Any] | None) -> str:
    """Returns a result as text: its value, with the error if it is known."""
    if value is None:
        return "-"
    error = value.get("standard_error")
    number = f"{value['value']:.4g}"
    if error is None:
        return number
    return f"{number} ± {without_rounding(error, value['value']):.2g}"


def _count(images):
    return images.n if isinstance(images, Statistics) else len(images)
