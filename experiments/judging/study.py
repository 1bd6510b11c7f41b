"""A study from pictures to a page, and from answers to figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.files import check_json, replacing
from experiments.judging import answers, page, results, sources
from experiments.judging import design as designs
from gans.names import check


def make(
    real: str,
    fakes: Sequence[str],
    out: str,
    *,
    task: str = designs.CHOICE,
    seconds: float | None = None,
    trials: int | None = None,
    catches: int = 5,
    seed: int = 0,
    resolution: int | None = None,
    checkpoint: str | None = None,
    consent: str | None = None,
) -> list[str]:
    """Writes a page and its key; returns lines that say what they hold.

    Arguments are the flags of `experiments.human_study`. Raises ValueError and OSError
    for what the user can correct.
    """
    check(task, designs.TASKS, "--task")
    if not fakes:
        raise ValueError("--fake is missing: a folder, a data set or a run, or several")
    if task == designs.STAIRCASE and seconds is not None:
        raise ValueError(f"--seconds={seconds:g}: a staircase sets its times itself")
    path, models = Path(out), sources.named(fakes)
    page.check(path)
    key = answers.key_of(path)
    check_json("--out", key, "design")
    usual = designs.TASKS[task]
    trials = usual[0] if trials is None else trials
    seconds = usual[1] if seconds is None else seconds
    options = {"trials": trials, "catches": catches, "seed": seed}
    design = designs.make(task, models, seconds=seconds, **options)
    needed = designs.counts(task, len(models), trials, catches)
    given = {"seed": seed, "resolution": resolution}
    pictures = {designs.REAL: sources.load("--real", real, needed["real"], **given)}
    for model, spec in zip(models, fakes, strict=True):
        pictures[model] = sources.load(
            "--fake", spec, needed["fake"], checkpoint=checkpoint, **given
        )
    sources.check_alike(pictures)
    originals = np.resize(
        pictures[designs.REAL], (needed["catch"], *pictures[designs.REAL].shape[1:])
    )
    pictures[designs.CATCH] = sources.noise(originals, seed)
    left = {source: iter(x) for source, x in pictures.items()}
    encoded = [
        sources.encoded(next(left[source]))
        for source in tqdm(design.pictures, desc="pictures", disable=None, leave=False)
    ]
    study = designs.name(design, encoded)
    _check_key(key, study)
    size = pictures[designs.REAL].shape[1:3]
    page.write(path, design, encoded, size, consent=consent or page.CONSENT)
    made_of = {"real": real, "fake": [*fakes], "models": models, "trials": trials}
    made_of |= {"catches": catches, "seed": seed, "size": [*size]}
    found = {"study": study, "design": design.as_json(), "made_of": made_of}
    with replacing(key) as temporary:
        Path(temporary).write_text(json.dumps(found), "utf-8")
    return [
        f"study {study}: {design.n_trials} trials, {len(encoded)} pictures, "
        f"{path.stat().st_size / 1e6:.1f} MB",
        f"{path}: for participants",
        f"{key}: which pictures are real; keep it to yourself",
    ]


def _check_key(key, study):
    """Refuses to replace the key of another study, whose answers it alone explains."""
    if key.exists() and answers.read_key(key).study != study:
        raise FileExistsError(
            f"--out: {key} is the key of another study, without which its answers "
            "cannot be read; choose another name, or remove it"
        )


def analyse(named: Sequence[str], key: str, out: str | None = None) -> list[str]:
    """Returns the table of what answers say, in lines; `out` gets all of it as JSON.

    Raises ValueError and OSError for files that are not answers to that study.
    """
    if out:
        check_json("--out", out, "results")
    known = answers.read_key(key)
    participants = answers.read(answers.files(named), known)
    report = results.of(known, participants)
    if out:
        with replacing(out) as temporary:
            Path(temporary).write_text(json.dumps(report, indent=1), "utf-8")
    return results.table(report)
