"""How good a model is: while it trains, and afterwards.

    python -m experiments.evaluate --workdir=DIR [--checkpoint=last|best|STEP]
        [--n=10000] [--metrics=fid,kid,pr,classes] [--extractor=classifier]

Samples of the averaged generator are compared with the training images and, to give
the scores a scale, so are the data's own test images, if any. As most scores depend on
the number of images, the larger of both sets is cut to the size of the other, and
compared too. The results, with all that they depend on, are printed and added to
DIR/evaluations.jsonl; the bare values are added to metrics.jsonl.

Metrics are those of `experiments.evaluation.scores`, by an extractor's features;
memorisation,
with a picture of the samples closest to training images; ppl_z, the length of paths
between latents; and files of gans/metrics that see samples as they are: modes (of 2-D
points), agreement.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags, logging

from experiments.files import Lines
from experiments.sampling import sampler
from gans import core, data, names
from gans.data.pipeline import to_uint8

BATCH = 500
OF_SAMPLES = ("modes", "agreement")
Report = dict[str, Any]


def check(metrics: Iterable[str]) -> None:
    """Raises ValueError for a metric that is not known, or not to be had of any run."""
    from experiments.evaluation import scores

    for name in metrics:
        names.check(name, {*scores.SCORES, *scores.OF_RUNS}, "config.metrics")
        if name == "ppl_w":
            raise ValueError(
                "config.metrics: ppl_w needs a mapping network, which no variant has "
                "yet; ppl_z is the length of paths in z"
            )


def make_evaluate(
    gan: core.GAN,
    config,
    source,
    *,
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    baseline: bool = False,
    folder: Path | None = None,
) -> Callable[[core.State], Report]:
    """Returns evaluate(state) -> {"results", "protocol", "warnings"}, or {} of nothing.

    It draws config.n_evaluate samples (by the EMA) from latents that are always the
    same. Features of real images are computed once, and kept in the cache folder. With
    `baseline` there are "baseline", the results of the data's test images, and
    "equal_n": {"column": its name, "results"}, see above. Pictures go to `folder`.

    Raises ValueError for a metric that is unknown, or that such data, model or
    extractor cannot have; FileNotFoundError for weights that are not there.
    """
    check(config.metrics)
    if not config.metrics:
        return lambda state: {}
    return _Evaluation(gan, config, source, resize, weights, baseline, folder)


class _Evaluation:
    def __init__(self, gan, config, source, resize, weights, baseline, folder):
        from experiments.evaluation import scores

        self.gan, self.config, self.source = gan, config, source
        self.baseline, self.folder = baseline, folder
        self.wanted = tuple(config.metrics)
        self.of_features = [name for name in self.wanted if name in scores.SCORES]
        self.of_samples = [name for name in self.wanted if name in OF_SAMPLES]
        self.draw = jax.jit(functools.partial(sampler.sample, gan))
        self.latents = jax.jit(functools.partial(sampler.inputs, gan), static_argnums=1)
        if {*self.wanted} - {*OF_SAMPLES}:
            # What is wrong is said before anything takes long.
            inputs = jax.eval_shape(
                lambda x: sampler.inputs(gan, x, 2), jax.random.key(0)
            )
            self._check(scores, inputs)
            self.data = self._find(resize, weights)

    def _check(self, scores, inputs):
        config, place = self.config, "config.metrics"
        if len(self.source.shape) != 3:
            raise ValueError(f"{place}: {', '.join(self.wanted)} are for images")
        scores.check(self.of_features, extractor=config.extractor, place=place)
        self._check_images = functools.partial(
            scores.check_images,
            self.of_features,
            n_real=len(self.source),
            n_fake=config.n_evaluate,
            n_classes=self.source.n_classes,
            labelled="label" in inputs,
            place=place,
        )
        self._check_images(n_logits=None)
        if "ppl_z" in self.wanted:
            is_flat = "z" in inputs and inputs["z"].ndim == 2
            if not is_flat or config.dtype != "float32":
                raise ValueError(
                    f"{place}: ppl_z needs latents z [n, L] and config.dtype=float32, "
                    f"to see steps so small; {config.variant} has {', '.join(inputs)} "
                    f"and {config.dtype}"
                )

    def _find(self, resize, weights):
        """Finds the weights; they are loaded when they are needed."""
        from experiments.evaluation import extractors, features

        config, shape = self.config, self.source.shape
        known = {
            "name": config.data,
            "resolution": shape[0] if shape[0] == shape[1] else None,
            "channels": shape[2],
            "data_dir": config.data_dir,
        }
        extractors.check(config.extractor, shape, floats="ppl_z" in self.wanted)
        find = extractors.find(
            config.extractor, resize=resize, weights=weights, trained_on=known
        )

        def load():
            extractor = find()
            if {"is", "classes"} & {*self.wanted}:
                self._check_images(n_logits=features.n_logits(extractor, shape))
            return extractor

        load_test = functools.partial(data.load, **known)
        test = functools.partial(extractors.test_split, load_test)
        return features.Data(config.data, self.source, load, test)

    def __call__(self, state):
        report = {"results": {}, "protocol": {}, "warnings": []}
        parts = []  # some of the metrics, and their results
        if self.of_features or "memorisation" in self.wanted:
            self._by_features(state, report, parts)
        if "ppl_z" in self.wanted:
            parts.append((["ppl_z"], self._path_length(state, report)))
        if self.of_samples:
            parts.append((self.of_samples, self._by_samples(state)))
        # The first result chooses the best checkpoint: that of the first metric.
        for _, results in sorted(parts, key=lambda part: self.wanted[0] not in part[0]):
            report["results"] |= results
        return report

    def samples(self, state, **options):
        n = self.config.n_evaluate
        return drawn(self.draw, self.latents, state, n=n, **options)

    def _by_samples(self, state):
        arrays, found = collect(self.samples(state)), {}
        for name in self.of_samples:
            module = names.module(name, "gans.metrics", "config.metrics")
            for quantity, value in module.measure(arrays, self.source).items():
                better = "lower" if quantity == "kl" else "higher"
                found[f"{name}/{quantity}"] = {"value": value, "better": better}
        return found

    def _by_features(self, state, report, parts):
        from experiments.evaluation import scores
        from experiments.evaluation.features import extract
        from experiments.evaluation.image_sets import ImageSet

        name, extractor, real = self.config.data, self.data.extractor, self.data.real
        labels = [x["label"] for x in self.samples(state, only_labels=True) if x]
        images = ImageSet(
            "samples",
            self.config.n_evaluate,
            lambda: (to_uint8(x["image"]) for x in self.samples(state)),
            np.concatenate(labels) if labels else None,
            self.config.n_classes if labels else None,
        )
        fake = extract(extractor, images)
        sides = {name: real, "samples": fake}

        def compute(side):
            return scores.compute(self.of_features, real, side, extractor.name)

        parts.append((self.of_features, compute(fake)))
        report["protocol"] = scores.describe(
            extractor, real, fake, real=name, fake="samples of the EMA"
        )
        test = self.data.test if self.baseline and self.of_features else None
        if test is not None:
            sides[f"{name}@test"] = test
            report["baseline"] = compute(test)
            report["protocol"]["n_test"] = len(test)
            n, larger, kind = len(test), fake, "samples"
            if len(fake) < len(test):
                n, larger, kind = len(fake), test, "real test images"
            if n < len(larger):
                results = compute(larger.some(n))
                report["equal_n"] = {"column": f"{kind}, n={n}", "results": results}
        if "memorisation" in self.wanted:
            parts.append((["memorisation"], self._memorisation(state, fake)))
        report["warnings"] = [
            doubt
            for name, side in sides.items()
            for doubt in scores.doubts(name, side, extractor.name)
        ]

    def _memorisation(self, state, fake):
        from experiments.evaluation import memorisation

        results, *pairs = memorisation.measure(self.data, fake)
        if self.folder is not None:
            path = self.folder / f"memorisation_{int(state.step):08d}.png"
            samples = functools.partial(self._again, state)
            memorisation.draw(path, *pairs, samples, self.data.images)
            next(iter(results.values()))["picture"] = str(path)
        return results

    def _again(self, state, indices):
        """Those of the samples [K, H, W, C]."""
        batches = {
            i: np.asarray(self.draw(state, self.latents(jax.random.key(i), BATCH)))
            for i in {*(indices // BATCH).tolist()}
        }
        return np.stack([batches[i // BATCH][i % BATCH] for i in indices.tolist()])

    def _path_length(self, state, report):
        from experiments.evaluation import extractors, scores

        def generate(z, key):
            return self.draw(state, self.latents(key, len(z)) | {"z": z})

        n = self.config.n_evaluate
        ends = (self.latents(jax.random.key(i), n)["z"] for i in (0, 1))
        known = scores.describe(self.data.extractor, images="float32")
        report["protocol"] = known | report["protocol"]
        return extractors.ppl_z(self.data.extractor, generate, *ends)


def drawn(
    draw, latents, state, *, n: int, only_labels: bool = False
) -> Iterator[dict[str, np.ndarray]]:
    """Yields {"image" or "point": [b, ...], and "label": [b] of classes}, n in all.

    With `only_labels` nothing is generated.
    """
    for i, start in enumerate(range(0, n, BATCH)):
        inputs = latents(jax.random.key(i), BATCH)
        keep = min(BATCH, n - start)
        samples = {}
        if not only_labels:
            made = np.asarray(draw(state, inputs))[:keep]
            samples["image" if made.ndim == 4 else "point"] = made
        if "label" in inputs:
            samples["label"] = np.asarray(inputs["label"])[:keep]
        yield samples


def collect(samples: Iterator[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns all samples of `drawn` as one."""
    parts = list(samples)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def values(report: Report) -> dict[str, float]:
    """Returns {"eval/NAME": value}, as metrics.jsonl has them."""
    return {f"eval/{name}": x["value"] for name, x in report["results"].items()}


def better(report: Report, step: int, best: dict | None) -> dict | None:
    """Returns {"step", "metric", "value"} if the first result beats `best`."""
    metric, result = next(iter(report["results"].items()))
    value = result["value"]
    if result["better"] is None or not np.isfinite(value):
        return None
    if best is not None and best["metric"] == metric:
        sign = 1 if result["better"] == "higher" else -1
        if not sign * value > sign * best["value"]:
            return None
    return {"step": step, "metric": metric, "value": value}


def write(workdir: Path, step: int, report: Report) -> None:
    """Adds a line to WORKDIR/evaluations.jsonl: the step, the time and the report.

    Raises OSError if the disk refuses; the lines before it stay as they are.
    """
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    with contextlib.closing(Lines(workdir / "evaluations.jsonl")) as lines:
        lines.append({"step": step, "time": now, **report})


def evaluate_run(
    workdir: str | os.PathLike,
    *,
    checkpoint: str = "last",
    n: int | None = None,
    metrics: tuple[str, ...] | None = None,
    extractor: str | None = None,
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    recalibrate: bool = False,
) -> Report:
    """Evaluates a checkpoint of a run; returns the report, and adds it to the run's.

    Arguments are those of the command; None means what the run's config says. Raises
    FileNotFoundError without a run, checkpoint or weights; ValueError for the rest.
    """
    from experiments import config as configs
    from experiments import sample

    folder = Path(workdir)
    config = sample.config_of(folder)
    if n is not None:
        config.n_evaluate = n
    if metrics is not None:
        config.metrics = metrics
    if extractor is not None:
        config.extractor = extractor
    if not config.metrics:
        raise ValueError(
            "no metrics: the run's config has none; name some by --metrics"
        )
    check(config.metrics)
    step = sample.step_of(folder, checkpoint)
    gan = configs.build(config)
    state = sample.restore(gan, folder, step, recalibrate=recalibrate)
    evaluate = make_evaluate(
        gan,
        config,
        configs.load_data(config),
        resize=resize,
        weights=weights,
        baseline=True,
        folder=folder,
    )
    report = evaluate(state)
    report["protocol"]["recalibrated"] = recalibrate
    step = int(state.step)
    write(folder, step, report)
    with contextlib.closing(Lines(folder / "metrics.jsonl")) as lines:
        lines.append({"step": step, **values(report)})
    return report


def main(_):
    from experiments import metrics, process

    logging.set_verbosity(logging.WARNING)
    process.configure()
    process.compilation_cache()
    given = flags.FLAGS
    try:
        if given.out:
            metrics.check_file("--out", given.out)
        report = evaluate_run(
            given.workdir,
            checkpoint=given.checkpoint,
            n=given.n,
            metrics=tuple(given.metrics) if given.metrics else None,
            extractor=given.extractor,
            resize=given.preset,
            weights=metrics.named_weights(),
            recalibrate=given.recalibrate,
        )
        if given.out:
            metrics.write(given.out, report)
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    columns = {"samples": report["results"]}
    if "equal_n" in report:
        columns[report["equal_n"]["column"]] = report["equal_n"]["results"]
    if "baseline" in report:
        columns["real test images"] = report["baseline"]
    metrics.show(columns, report["warnings"])


if __name__ == "__main__":
    from experiments import metrics as command

    command.define_flags()
    flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_string("checkpoint", "last", "last, best, or a step.")
    flags.DEFINE_boolean("recalibrate", False, "See experiments.sample.")
    app.run(main)
