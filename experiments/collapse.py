"""A laboratory of mode collapse: a plain GAN, and what is said to cure it.

    python -m experiments.collapse [--data=ring8|grid25|stacked:digits|
        stacked:tfds:mnist] [--arms=all|NAME,...] [--seeds=5] [--steps=N]
        [--out=docs/collapse]

An arm is the base config of `experiments.studies.stabilisers` with one cure. Its seeds
are trained at once, in one compiled program, each on batches of its own: seed s is what
`experiments.run` would make of the arm's config with seed=s, up to rounding. Then
samples of each are judged: modes recovered, share of high quality, and the divergence
of the modes' shares from uniform (see gans/metrics/scores/modes.py). In the plane
the last is of the high-quality samples alone, and says little where these are few.

OUT.json has the values of each seed, and all they depend on, and what the same judge
says of the data; it is written after every arm, and arms found in it are not run again.
OUT_DATA.png shows them, with samples of each arm, kept in OUT_DATA.npz. A seed whose
weights stop being finite has diverged: it is counted as such, and is not in the means.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags, logging
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments import config as configs
from experiments.rundir import manifest
from experiments.sampling import sampler
from experiments.studies import collapse_report, stabilisers
from experiments.studies.collapse_report import Results
from experiments.training.vmapped import Fleet, lane
from gans import core, names
from gans.data import kinds, pipeline
from gans.data.spec import Spec, main_field
from gans.metrics.scores import modes

N_POINTS, N_IMAGES = 10_000, 26_000  # samples judged of each seed
N_SHOWN = {"point": 500, "image": 16}  # of one seed, in the figure


@dataclasses.dataclass(frozen=True, eq=False)
class Laboratory:
    """What all arms of a data set have in common.

    Attributes:
      config: the base, resolved.
      sources: the data, by seed.
      n_samples: of each seed, to be judged.
      judge: samples [n_samples, ...] -> {quantity: value}.
      n_modes: how many there are.
      protocol: what every number depends on beside the cure, as JSON.
    """

    config: ConfigDict
    sources: list[Any]
    n_samples: int
    judge: Callable[[np.ndarray], dict[str, float]]
    n_modes: int
    protocol: dict[str, Any]

    @property
    def kind(self) -> str:
        return "image" if len(self.config.shape) == 3 else "point"


def laboratory(data: str, *, n_seeds: int, steps: int | None = None) -> Laboratory:
    """Returns the laboratory of a data set; trains a classifier if it needs one.

    Raises ValueError for data without a base config, fewer than one seed, and steps
    that do not fill whole calls.
    """
    config = stabilisers.base(data)
    if n_seeds < 1:
        raise ValueError(f"--seeds={n_seeds}: accepted are 1 and more")
    if steps is not None:
        if steps < 1:
            raise ValueError(f"--steps={steps}: accepted are 1 and more")
        config.steps_per_call = min(config.steps_per_call, steps)
        config.steps = steps
    if config.steps % config.steps_per_call:
        raise ValueError(
            f"--steps={config.steps} must be a multiple of {config.steps_per_call}, "
            "the steps of a call"
        )
    sources = []
    for seed in range(n_seeds):
        config.seed = seed
        sources.append(configs.load_data(config))
    config.seed = 0
    config = configs.resolve(config, sources[0])
    protocol = {"config": json.loads(configs.to_json(config)), "n_seeds": n_seeds}
    if len(config.shape) == 1:
        n, n_modes = N_POINTS, len(sources[0].modes)
        judge = functools.partial(
            modes.mixture, modes=sources[0].modes, sigma=sources[0].sigma
        )
    else:
        n, n_modes = N_IMAGES, sources[0].n_classes
        judge, protocol["classifier"] = _judge_of_channels(config)
    protocol["n_samples"] = n
    return Laboratory(config, sources, n, judge, n_modes, protocol)


def _judge_of_channels(config):
    """Returns judge(images uint8 [N, H, W, 3]), by a classifier, and its protocol."""
    from experiments.evaluation import extractors
    from experiments.evaluation.features import extract
    from experiments.evaluation.image_sets import ImageSet

    classifier = extractors.classifier(
        config.data.partition(":")[2],
        resolution=config.resolution,
        channels=1,
        data_dir=config.data_dir,
    )

    def judge(images):
        n, *size, n_channels = images.shape
        channels = np.moveaxis(images, -1, 1).reshape(-1, *size, 1)
        found = extract(
            classifier, ImageSet("channels", len(channels), lambda: iter([channels]))
        )
        likely = np.asarray(jax.nn.softmax(found.logits))
        return modes.stacked(likely.reshape(n, n_channels, -1))

    return judge, classifier.protocol


# --- one arm -------------------------------------------------------------------------


def arm(
    lab: Laboratory, cure: stabilisers.Cure
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Trains and judges all seeds of an arm.

    Returns {"seeds": one record each, "seconds"}, and samples [n, ...] of the first
    seed that has not diverged, if there is any.
    """
    began = time.perf_counter()
    config = configs.override(lab.config, cure)
    gan = configs.build(config)
    state, diverged = train(gan, config, lab.sources)
    records, shown = [], None
    states = [lane(state, seed) for seed in range(len(diverged))]
    samples = draw(gan, lab.sources[0].spec, states, lab.n_samples)
    for seed, step in enumerate(diverged):
        if step is not None:
            records.append({"seed": seed, "diverged_by_step": step})
            continue
        records.append({"seed": seed, **lab.judge(samples[seed])})
        if shown is None:
            shown = samples[seed, : N_SHOWN[lab.kind]]
    seconds = round(time.perf_counter() - began, 1)
    return {"seeds": records, "seconds": seconds}, shown


def train(
    gan: core.GAN, config: ConfigDict, sources: list[Any]
) -> tuple[core.State, list[int | None]]:
    """Trains one state per source, at once.

    Returns the states, stacked but for the step (see `gans.core.SEEDS`), and for each
    the number of steps after which it was first seen not to be finite, or None.
    """
    k, finite = config.steps_per_call, []
    fleet = Fleet(
        lambda values: gan,
        values={},
        seeds=range(len(sources)),
        batches={
            seed: pipeline.batches(
                source, config.batch_size, seed=seed, flip=config.flip
            )
            for seed, source in enumerate(sources)
        },
        per_call=k,
    )
    state = fleet.init()
    with tqdm(total=config.steps, unit=" steps", disable=None, leave=False) as bar:
        for start in range(0, config.steps, k):
            state, _, ok = fleet.call(state, start)
            finite.append(ok)
            if len(finite) > 1:  # the host is one call ahead of the device, not more
                finite[-2].block_until_ready()
            bar.update(k)
    finite = np.stack(finite)[:, : len(sources)]  # [calls, seeds]
    first = np.where(finite.all(0), -1, (~finite).argmax(0))
    return state, [None if i < 0 else int(i + 1) * k for i in first]


def draw(gan: core.GAN, spec: Spec, states: list[core.State], n: int) -> np.ndarray:
    """Returns n samples of each of S states [S, n, ...], as the data store them.

    The latents are the same for each state, and those of `experiments.evaluate`.
    """
    field, sample = main_field(spec), sampler.Sampler(gan, spec)
    encode, made = kinds.of(spec[field]).encode, []
    for state in states:
        batches = sample.batches(state, n, only=(field,))
        made.append(np.concatenate([encode(np.nan_to_num(x[field])) for x in batches]))
    return np.stack(made)


# --- all arms ------------------------------------------------------------------------


def run(
    data: str,
    wanted: list[str] | None = None,
    *,
    n_seeds: int,
    out: Path,
    steps: int | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Runs the arms that OUT.json lacks; writes it, the samples and the figure.

    wanted: names of arms; None: all. Returns the report's part about `data`. Raises
    ValueError for an unknown arm, for a value that cannot be run, and if the file holds
    arms of another protocol.
    """
    lab = laboratory(data, n_seeds=n_seeds, steps=steps)
    known = stabilisers.table(lab.config)
    for name in wanted or ():
        names.check(name, known, "--arms")
    wanted = wanted or list(known)
    # As JSON has them: tuples are lists there.
    chosen = json.loads(json.dumps({name: known[name] for name in wanted}))
    results = Results(out, data, lab.protocol, lab.n_modes)
    for name in chosen:  # a word that cannot be run is said before any arm is
        try:
            configs.build(configs.override(lab.config, known[name]))
        except ValueError as error:
            raise ValueError(f"arm {name}: {error}") from None
    begun = manifest.begin(command)
    here = {key: begun[key] for key in ("command", "start", "hardware", "versions")}
    arms = results.report["arms"]
    if "real" not in results.report:
        real = lab.sources[0].take(np.arange(lab.n_samples))
        results.report["real"] = lab.judge(real[lab.kind])
        results.write(list(known))
    missing = [x for x, c in chosen.items() if x not in arms or arms[x]["cure"] != c]
    with tqdm(missing, unit=" arms", disable=None) as bar:
        for name in bar:
            bar.set_description(name)
            result, samples = arm(lab, known[name])
            results.add(name, {"cure": chosen[name], **result}, samples, here)
            results.write(list(known))
    centres = getattr(lab.sources[0], "modes", None)
    collapse_report.draw(results.png, results.report, results.samples, centres)
    return results.report


def main(_):
    from experiments import process

    logging.set_verbosity(logging.WARNING)
    process.configure(cores_apart=True)
    process.compilation_cache()
    given = flags.FLAGS
    try:
        report = run(
            given.data,
            None if given.arms == ["all"] else given.arms,
            n_seeds=given.seeds,
            steps=given.steps,
            out=Path(given.out),
            command=shlex.join(["python", "-m", "experiments.collapse", *sys.argv[1:]]),
        )
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    print(collapse_report.table(report))


if __name__ == "__main__":
    flags.DEFINE_enum(
        "data", "ring8", [*stabilisers.POINTS, *stabilisers.STACKED], "What to learn."
    )
    flags.DEFINE_list(
        "arms", "all", "Names of experiments/studies/stabilisers.py, or all."
    )
    flags.DEFINE_integer("seeds", 5, "Runs of each arm.")
    flags.DEFINE_integer(
        "steps", None, "Real batches of each run; by default the base's."
    )
    flags.DEFINE_string(
        "out", "docs/collapse", "Files are OUT.json, OUT_DATA.png, .npz."
    )
    app.run(main)
