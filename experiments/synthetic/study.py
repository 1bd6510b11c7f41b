"""Samples as training data: what `experiments.augmentation` does.

Classification accuracy score: Ravuri and Vinyals, arXiv 1905.10887. The reverse, a
classifier of real images on samples: GAN-test of Shmelkov et al., arXiv 1807.09499.
Deviation: the classifier is the small one of `gans.metrics.classifiers`, not a ResNet.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.ablations.significance import summarise
from experiments.evaluation import labelled
from experiments.pages import evidence, findings
from experiments.sampling.model import Model
from experiments.synthetic import paired
from gans.data.kinds.image import encode
from gans.data.spec import main_field
from gans.metrics.classifiers import small

K, N, SEEDS, STEPS = (5, 20), (1000,), 5, 1000
_SAMPLES = 1  # the seed of all samples: those of `experiments.sample` have 0
SCORES = {
    "real_to_real": "learnt from real, tested on real",
    "samples_to_real": "learnt from samples, tested on real (CAS)",
    "real_to_samples": "learnt from real, tested on samples",
}


def study(
    workdir: str | os.PathLike,
    *,
    out: str | os.PathLike | None = None,
    checkpoint: str | int | None = None,
    k: Sequence[int] = K,
    n: Sequence[int] = N,
    seeds: int = SEEDS,
    steps: int = STEPS,
    most: int | None = None,
) -> str:
    """Trains classifiers on samples, on real images, and on both; says what it found.

    Args:
      out: a folder; by default WORKDIR/augmentation.
      k: numbers of real images of each class.
      n: numbers of samples, of all classes, that are added to them.
      seeds: of classifiers; each also draws its own k images of each class.
      steps: of a classifier's training, the same for all.
      most: real images to train on, and samples, in the scores without k; None: all.

    Returns the table and verdicts, to be printed.

    Raises ValueError or OSError for what is wrong in them, and ValueError for a model
    that is not asked for classes.
    """
    numbers = [*k, *n, seeds, steps]
    if not k or not n or min(numbers) < 1 or (most is not None and most < 1):
        raise ValueError(
            f"--k={_joined(k)} --n={_joined(n)} --seeds={seeds} --steps={steps} "
            f"--most={most}: wanted at least 1 of each"
        )
    folder = findings.folder(out or Path(workdir) / "augmentation", "gain")
    model = Model.load(workdir, checkpoint or "last")
    config, field = model.config, main_field(model.spec)
    if model.spec[field].kind != "image" or not model.sampler().label_inputs:
        raise ValueError(
            f"{config.variant} on {config.data}: wanted a model of images that is "
            "asked for a class, such as cgan's: samples need labels to be learnt from"
        )
    known = labelled.load(
        config.data,
        model.spec[field].shape,
        data_dir=config.data_dir,
        n=most,
        place="config.data",
    )
    for each in k:
        known.few(each, 0)  # an error before the work
    count = max(len(known.labels), *n)
    classes = [*range(known.n_classes)]
    made = model.sample(count, seed=_SAMPLES, label=classes)
    samples = encode(made[field]), (np.arange(count) % len(classes)).astype(np.int32)
    n_trainings = seeds * (2 + len(k) * (1 + len(n)))
    with tqdm(total=n_trainings, unit=" classifiers", disable=None) as bar:
        trainer = _Trainer(known, steps, bar)
        scores = _scores(trainer, known, samples, seeds)
        gains = _gains(trainer, known, samples, k, n, seeds)
    seen = evidence.n_images(model.run)
    notes = _notes(gains, seen, known)
    step = int(model.state.step)
    results = {
        "scores": scores,
        "gain": [dataclasses.asdict(x) for x in gains],
        "notes": notes,
        "protocol": known.protocol()
        | {
            "step": step,
            "trained_on": seen,
            "classifier": "gans.metrics.classifiers.small",
            "steps": steps,
            "batch": small.BATCH,
            "seeds": seeds,
            "interval": "95 %: bootstrap-t of accuracies, Student's t of paired gains",
            "test": "paired t, by Holm's method over all rows",
            "seed_of_samples": _SAMPLES,
        },
    }
    table = findings.write(
        folder,
        title=f"Samples of {config.variant} as training data",
        said=" ".join(notes),
        heading="Accuracy of a small classifier, in per cent",
        rows=_rows(scores, gains),
        results=results,
    )
    return "\n".join([table, "", *notes, str(folder / "index.html")])


class _Trainer:
    """Trains classifiers on real images and samples."""

    def __init__(self, known: labelled.Labelled, steps: int, bar: Any):
        self.known, self.steps, self.bar = known, steps, bar

    def __call__(self, images: np.ndarray, labels: np.ndarray, seed: int) -> Any:
        """Returns the variables of a classifier, see `small.train`."""
        options = {"seed": seed, "steps": self.steps}
        found = small.train(images, labels, self.known.n_classes, **options)
        self.bar.update()
        return found

    def tested(self, images: np.ndarray, labels: np.ndarray, seed: int) -> float:
        """Returns the accuracy on real test images of one that has learnt these."""
        return self.on_real(self(images, labels, seed))

    def on_real(self, variables: Any) -> float:
        """Returns the accuracy on real test images."""
        return small.accuracy(variables, self.known.test_images, self.known.test_labels)


def _scores(train, known, samples, seeds):
    """{score: its values and their summary}, of all real images and as many samples."""
    n = len(known.labels)
    images, labels = samples[0][:n], samples[1][:n]
    found: dict[str, list[float]] = {name: [] for name in SCORES}
    for seed in range(seeds):
        of_real = train(known.images, known.labels, seed)
        found["real_to_real"].append(train.on_real(of_real))
        found["real_to_samples"].append(small.accuracy(of_real, images, labels))
        found["samples_to_real"].append(train.tested(images, labels, seed))
    return {
        name: {"values": x, **dataclasses.asdict(summarise(x))}
        for name, x in found.items()
    }


@dataclasses.dataclass(frozen=True)
class Row:
    """What n samples add to k real images of each class."""

    k: int
    n: int
    before: list[float]
    after: list[float]
    gain: paired.Gain


def _gains(train, known, samples, k, n, seeds):
    rows = []
    for each in k:
        real = [known.few(each, seed) for seed in range(seeds)]
        before = [
            train.tested(known.images[own], known.labels[own], seed)
            for seed, own in enumerate(real)
        ]
        for more in n:
            after = [
                train.tested(
                    np.concatenate([known.images[own], samples[0][:more]]),
                    np.concatenate([known.labels[own], samples[1][:more]]),
                    seed,
                )
                for seed, own in enumerate(real)
            ]
            rows.append(Row(each, more, before, after, paired.gain(before, after)))
    gains = paired.judged([row.gain for row in rows])
    return [dataclasses.replace(x, gain=y) for x, y in zip(rows, gains, strict=True)]


def _notes(rows, seen, known):
    """Sentences: whether samples help, and what that is worth."""
    by = {
        verdict: [f"k={x.k} n={x.n:,}" for x in rows if x.gain.verdict == verdict]
        for verdict in (paired.HELPS, paired.HARMS, paired.NEITHER)
    }
    notes = [
        f"Adding samples {verdict}: {', '.join(which)}"
        + (
            " (no difference beyond that of seeds)."
            if verdict == paired.NEITHER
            else "."
        )
        for verdict, which in by.items()
        if which
    ]
    if rows and rows[0].gain.p is None:
        notes.append("One seed tests nothing: --seeds=5 does.")
    fewest = min(x.k for x in rows) * known.n_classes
    if seen and seen > fewest:
        notes.append(
            f"The run was trained on {seen:,} images, so this is what its samples pass "
            f"on of them; what {fewest:,} images alone give needs a run of these."
        )
    return notes


def _rows(scores, gains):
    rows = [["learnt from", "accuracy", "gain of the samples", "p (Holm)", ""]]
    for name, title in SCORES.items():
        x = scores[name]
        rows.append([title, _share(x["mean"], x["interval"]), "", "", ""])
    for row in gains:
        base, after = (100 * float(np.mean(x)) for x in (row.before, row.after))
        p = "" if row.gain.p_holm is None else f"{row.gain.p_holm:.2g}"
        rows.append(
            [
                f"{row.k} real images a class, and {row.n:,} samples",
                f"{base:.1f} → {after:.1f}",
                _share(row.gain.mean, row.gain.interval, "+"),
                p,
                row.gain.verdict,
            ]
        )
    return rows


def _share(mean, interval, sign=""):
    shown = f"{100 * mean:{sign}.1f}"
    if interval is None:
        return shown
    low, high = (f"{100 * x:{sign}.1f}" for x in interval)
    return f"{shown} [{low}, {high}]"


def _joined(values):
    return ",".join(map(str, values))
