"""How good a model is: while it trains, and afterwards.

    python -m experiments.evaluate --workdir=DIR [--checkpoint=last|best|STEP]
        [--n=10000] [--metrics=fid,kid,pr,classes] [--extractor=classifier]

Samples of the averaged generator are compared with the training images and, to give
the scores a scale, so are the data's own test images where there are any. The results,
with all that they depend on, are printed and added to DIR/evaluations.jsonl; the bare
values are added to metrics.jsonl too.

Metrics are those of `experiments.scores`, from an extractor's features, and the files
of gans/metrics that measure samples as they are: modes (2-D points), agreement.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags, logging

from experiments.log import Lines
from gans import core, data, names
from gans.data.pipeline import to_uint8

BATCH = 500
N_REAL = 50_000  # at most, of the training images
OF_SAMPLES = ("modes", "agreement")
Report = dict[str, Any]


def make_evaluate(
    gan: core.GAN,
    config,
    source,
    *,
    resize: str = "tf",
    weights: dict[str, str | None] | None = None,
    baseline: bool = False,
) -> Callable[[core.State], Report]:
    """Returns evaluate(state) -> {"results", "protocol", "warnings"}, or {} of nothing.

    It draws config.n_evaluate samples (by the EMA) from latents that are always the
    same. Features of real images are computed once, and kept in the cache folder. With
    `baseline` there is a "baseline" too: the results of the data's test images.

    Raises ValueError for an unknown metric, FileNotFoundError for weights that are not
    there.
    """
    from experiments import scores

    known = {*scores.SCORES, *OF_SAMPLES}
    wanted = [names.check(name, known, "config.metrics") for name in config.metrics]
    of_features = [name for name in wanted if name in scores.SCORES]
    of_samples = {
        name: names.module(name, "gans.metrics", "config.metrics")
        for name in wanted
        if name in OF_SAMPLES
    }
    draw = jax.jit(functools.partial(core.sample, gan))
    latents = jax.jit(gan.latents, static_argnums=1)
    samples = functools.partial(drawn, draw, latents, n=config.n_evaluate)
    compare = _comparison(config, source, of_features, resize, weights, baseline)

    def evaluate(state):
        report = {"results": {}, "protocol": {}, "warnings": []}
        if of_features:
            report = compare(functools.partial(samples, state))
        if of_samples:
            arrays, found = collect(samples(state)), {}
            for name, module in of_samples.items():
                for quantity, value in module.measure(arrays, source).items():
                    value = {"value": value, "better": "higher"}
                    found[f"{name}/{quantity}"] = value
            parts = [report["results"], found]
            if wanted[0] in of_samples:  # the first result chooses the best checkpoint
                parts.reverse()
            report["results"] = parts[0] | parts[1]
        return report

    return evaluate if wanted else lambda state: {}


def _comparison(config, source, wanted, resize, weights, baseline):
    """Returns compare(samples) -> report; finds the weights now, loads them then."""
    if not wanted:
        return None
    from experiments import extractors, scores
    from experiments.feature_pass import extract, extract_once
    from experiments.image_sets import ImageSet, of_source

    if len(source.shape) != 3:
        raise ValueError(f"config.metrics: {', '.join(wanted)} are for images")
    square = source.shape[0] == source.shape[1]
    load = {
        "name": config.data,
        "resolution": source.shape[0] if square else None,
        "channels": source.shape[2],
        "data_dir": config.data_dir,
    }
    find = extractors.find(
        config.extractor, resize=resize, weights=weights, trained_on=load
    )

    @functools.cache
    def prepare():
        extractor = find()
        n = N_REAL if len(source) > N_REAL else None
        real = extract_once(extractor, of_source(source, config.data, n=n))
        test = None
        if baseline:
            test = extractors.test_split(
                functools.partial(
                    data.load, load["name"], **{k: load[k] for k in list(load)[1:]}
                )
            )
        if test is not None:
            test = extract_once(extractor, of_source(test, f"{config.data}@test"))
        return extractor, real, test

    def compare(samples):
        extractor, real, test = prepare()
        labels = [x["label"] for x in samples(only_labels=True) if "label" in x]
        fake = extract(
            extractor,
            ImageSet(
                "samples",
                config.n_evaluate,
                lambda: (to_uint8(x["image"]) for x in samples()),
                np.concatenate(labels) if labels else None,
                config.n_classes if labels else None,
            ),
        )
        report = {
            "results": scores.compute(wanted, real, fake, extractor.name),
            "protocol": scores.describe(
                extractor, real, fake, real=config.data, fake="samples of the EMA"
            ),
            "warnings": scores.doubts(config.data, real, extractor.name)
            + scores.doubts("samples", fake, extractor.name),
        }
        if test is not None:
            report["baseline"] = scores.compute(wanted, real, test, extractor.name)
            report["protocol"]["n_test"] = len(test)
        return report

    return compare


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
) -> Report:
    """Evaluates a checkpoint of a run; returns the report, and adds it to the run's.

    Arguments are those of the command; None means what the run's config says. Raises
    FileNotFoundError without a run, checkpoint or weights; ValueError for the rest.
    """
    from experiments import config as configs
    from experiments import facts, sample

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
    if checkpoint == "best":
        best = facts.read(folder).get("best")
        if best is None:
            raise ValueError(
                f"--checkpoint=best: {folder} was not evaluated while it was trained"
            )
        step = best["step"]
    elif checkpoint == "last" or checkpoint.isdigit():
        step = int(checkpoint) if checkpoint != "last" else None
    else:
        raise ValueError(f"--checkpoint={checkpoint}: wanted last, best or a step")
    gan = configs.build(config)
    source = configs.load_data(config)
    evaluate = make_evaluate(
        gan, config, source, resize=resize, weights=weights, baseline=True
    )
    state = sample.restore(gan, folder, step)
    report = evaluate(state)
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
        report = evaluate_run(
            given.workdir,
            checkpoint=given.checkpoint,
            n=given.n,
            metrics=tuple(given.metrics) if given.metrics else None,
            extractor=given.extractor,
            resize=given.preset,
            weights=metrics.named_weights(),
        )
        if given.out:
            metrics.write(given.out, report)
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    columns = {"samples": report["results"]}
    if "baseline" in report:
        columns["real test images"] = report["baseline"]
    metrics.show(columns, report["warnings"])


if __name__ == "__main__":
    from experiments import metrics as command

    command.define_flags()
    flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_string("checkpoint", "last", "last, best, or a step.")
    app.run(main)
