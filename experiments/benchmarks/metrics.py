"""What metrics cost, in seconds and memory, against their reference implementations.

Two tables. Images per second of each extractor: batches of 32x32 uint8 images in
memory, resized as the extractor resizes them, to features in memory. The weights are
random, of ordinary size: the speed does not depend on their values. Then the seconds of
each score of N features against N, whose variance lies mostly in a few directions.
Reference implementations (extra `reference`) run on all cores too, with glibc's default
allocator and with the settings of `experiments.process`, which ours always has.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from experiments import process
from experiments.benchmarks import timing, workload
from experiments.benchmarks.timing import Candidate, Result, Runner
from experiments.benchmarks.torch_reference import metrics as reference
from experiments.rundir import manifest
from gans import names
from gans.metrics.classifiers import small as classifier
from gans.metrics.features import inception, lpips, squeezenet
from gans.metrics.scores import frechet, inception_score, kernel, neighbours
from gans.metrics.scores.moments import Moments

OURS = "ours"
BATCH = reference.BATCH
EXTRACTORS = (
    "inception squeezenet classifier lpips_vgg lpips_alex lpips_squeeze"
).split()
# `prdc` is `pr` and `dc` with the k of `dc`: the package prdc computes them together.
SCORES = "fid fid+error fid_infinity kid is pr dc prdc nnfs nearest".split()
WIDTHS = reference.WIDTHS
MAX_ROUNDS = 4  # of a score; if one run fills a round, three of the four are samples


def entries(
    *,
    n: int = 10_000,
    batch_size: int = 16,
    features: Sequence[str] = ("inception",),
    only: Sequence[str] = (),
    rounds: int = 5,
    seconds: float = 1.0,
    progress: timing.Progress = timing.silent,
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yields (section, what `--out` gets, text) for each extractor and each score.

    Args:
      n: features on each side, of the scores; at least 20, for subsets of two.
      batch_size: images at a time.
      features: as wide as those of these extractors, of WIDTHS.
      only: these extractors and scores instead of all.
      rounds, seconds, progress: see `timing.time_in_rounds`; at most MAX_ROUNDS of a
        score.

    Raises ValueError for an unknown name; after the last table, RuntimeError if one of
    ours failed.
    """
    for name in features:
        names.check(name, WIDTHS, "--features")
    for name in only:
        names.check(name, [*EXTRACTORS, *SCORES], "--only")
    jobs = [("extractors", x, {"batch_size": batch_size}) for x in EXTRACTORS]
    for width in dict.fromkeys(features):
        jobs += [("scores", x, {"n": n, "features": width}) for x in SCORES]
    above, failed = None, []
    for section, name, options in jobs:
        if only and name not in only:
            continue
        measure = measure_extractor if section == "extractors" else measure_score
        found = measure(
            name,
            rounds=rounds,
            seconds=seconds,
            progress=lambda line, name=name: progress(f"{name}: {line}"),
            **options,
        )
        head = heading(found)
        text = [missing()] if above is None else []
        text += [head] if head != above else []
        above = head
        yield section, found, "\n".join([*filter(None, text), table(found)])
        if "error" in found["candidates"][OURS]:
            failed.append(name)
    if failed:
        raise RuntimeError(f"ours failed: {', '.join(failed)}; the tables say why")


def measure_extractor(
    name: str,
    *,
    batch_size: int,
    rounds: int,
    seconds: float = 1.0,
    progress: timing.Progress = timing.silent,
) -> dict[str, Any]:
    """Times one of EXTRACTORS; returns what `--out` gets of it."""
    results = timing.time_in_rounds(
        extractor_candidates(name, batch_size),
        [BATCH],
        rounds=rounds,
        seconds=seconds,
        progress=progress,
    )
    rows = _rows(results, BATCH)
    for row in rows.values():
        if "seconds" in row:
            row["images_per_s"] = batch_size / row["seconds"]
    shape = [workload.SIDE, workload.SIDE, 3]
    found = {"extractor": name, "batch_size": batch_size, "image": shape}
    return found | {"candidates": rows}


def measure_score(
    name: str,
    *,
    n: int,
    features: str = "inception",
    rounds: int,
    seconds: float = 1.0,
    progress: timing.Progress = timing.silent,
) -> dict[str, Any]:
    """Times one of SCORES; returns what `--out` gets of it.

    n: features on each side. features: as wide as those of this extractor, of WIDTHS.
    """
    results = timing.time_in_rounds(
        score_candidates(name, n, features),
        [name],
        rounds=min(rounds, MAX_ROUNDS),
        seconds=seconds,
        progress=progress,
    )
    d, k = WIDTHS[features]
    found = {"score": name, "n": n, "features": features, "d": d, "n_classes": k}
    return found | {"candidates": _rows(results, name)}


def extractor_candidates(name: str, batch_size: int) -> list[Candidate]:
    """Ours, and of Inception the reference implementations in each setting."""
    options = {"name": name, "batch_size": batch_size}
    found = [_ours("extractor", options)]
    if name != "inception":
        return found
    layouts = {"torch-fidelity": (False, True), "pytorch-fid": (False,)}
    for library in _installed(layouts):
        for channels_last in layouts[library]:
            options = {"batch_size": batch_size, "channels_last": channels_last}
            label = f"{library} channels_last" if channels_last else library
            found += _theirs(label, "extractor", library=library, **options)
    return found


def score_candidates(name: str, n: int, features: str) -> list[Candidate]:
    """Ours, and the reference implementations that have the score."""
    options = {"name": name, "n": n, "features": features}
    found = [_ours("score", options)]
    for library in _installed(reference.SCORES):
        if name in reference.SCORES[library]:
            found += _theirs(library, "score", library=library, **options)
    return found


def _installed(some):
    absent = reference.missing()
    return [library for library in some if library not in absent]


def _ours(what, options):
    return Candidate(OURS, f"{__name__}:our_{what}", options, process.configure)


def _theirs(label, what, **options):
    build = f"{reference.__name__}:{what}_runner"
    return [
        Candidate(label, build, options),
        Candidate(f"{label} allocator", build, options, process.keep_pages),
    ]


def our_extractor(name: str, batch_size: int) -> Runner:
    """An extractor of ours, in this process."""
    extractor, images = with_random_weights(name), workload.images(batch_size)
    began = time.perf_counter()
    apply = jax.jit(extractor.apply).lower(extractor.variables, images).compile()
    seconds = time.perf_counter() - began

    def run():
        return jax.device_get(apply(extractor.variables, images))

    run()
    known = {"compile_seconds": seconds, "device": jax.devices()[0].device_kind}
    return Runner({BATCH: run}, known, manifest.peak_memory)


def with_random_weights(name: str):
    """Returns one of EXTRACTORS with Flax's first weights."""

    def init(module, side):
        x = jnp.zeros((1, side, side, 3))
        return jax.jit(module.init)(jax.random.key(0), x)

    if name == "inception":
        variables = init(inception.Inception(), inception.SIZE)
        return inception.make(variables, sha256="random")
    if name == "squeezenet":
        variables = init(squeezenet.SqueezeNet(head=True), squeezenet.SIZE)
        return squeezenet.make(variables, sha256="random")
    if name == "classifier":
        module = classifier.Classifier(WIDTHS[name][1])
        return classifier.make(
            init(module, workload.SIDE), protocol={"weights": "random"}
        )
    net = name.removeprefix("lpips_")
    spec = lpips.NETS[net]
    trunk = init(lpips.Trunk(spec), workload.SIDE)["params"]
    variables = {"trunk": trunk, "heads": [jnp.ones(c) for c in spec.channels]}
    return lpips.make(net, variables, sha256={"trunk": "random", "heads": "random"})


def our_score(name: str, n: int, features: str) -> Runner:
    """A score of ours, in this process."""
    real, fake, logits = workload.features(n, *WIDTHS[features])
    size = min(reference.SUBSET, n)

    def with_error():
        distance = frechet.distance_of_features(real, fake)
        return distance, frechet.standard_error(fake, Moments.of(real))

    def prdc():
        wanted = dict.fromkeys(("precision_recall", "density_coverage"), {"k": 5})
        found = neighbours.together(real, fake, **wanted)
        return found["precision_recall"] | found["density_coverage"]

    cases = {
        "fid": lambda: frechet.distance_of_features(real, fake),
        "fid+error": with_error,
        "fid_infinity": lambda: frechet.infinity(fake, Moments.of(real)),
        "kid": lambda: kernel.distance(real, fake, reference.N_SUBSETS, size),
        "is": lambda: inception_score.score(logits),
        "pr": lambda: neighbours.precision_recall(real, fake),
        "dc": lambda: neighbours.density_coverage(real, fake),
        "prdc": prdc,
        "nnfs": lambda: neighbours.nnfs(real, fake),
        "nearest": lambda: neighbours.nearest(fake, real),
    }
    return Runner({name: cases[name]})


def _rows(results: dict[str, Result], case: str) -> dict[str, dict]:
    rows = {}
    for name, result in results.items():
        if result.error:
            rows[name] = {"error": result.error}
            continue
        seconds = result.seconds[case]
        low, median, high = timing.quartiles(seconds)
        rows[name] = {
            "seconds": median,
            "quartiles": [low, high],
            **result.details,
            "cold": bool(result.cold),
            "samples": seconds,
        }
    ours = rows[OURS].get("seconds")
    for row in rows.values():
        if ours and "seconds" in row:
            row["times_ours"] = row["seconds"] / ours
    return rows


def heading(found: dict) -> str:
    """The lines above the first rows of a table."""
    if "extractor" in found:
        rate, size, side = f"{'images/s':>10}", found["batch_size"], workload.SIDE
        what = f"extractors: batches of {size} images, {side}x{side}, random weights"
    else:
        rate, (n, d, k) = "", (found[x] for x in ("n", "d", "n_classes"))
        what = f"scores: {n} features against {n}, of {d}, or logits of {k} classes"
    columns = f"{rate}{'seconds':>10} {'quartiles':>23}{'memory':>10}{'/ ours':>9}"
    return f"{what}\n  {'':54}{columns}"


def table(found: dict) -> str:
    """The rows of an extractor or a score as text."""
    name, text, notes = found.get("extractor") or found.get("score"), [], []
    for candidate, row in found["candidates"].items():
        start = f"  {'' if text else name:15}{candidate:39}"
        if "error" in row:
            text.append(f"{start}  failed: {row['error'][:80]}")
            continue
        rate = f"{row['images_per_s']:10.4g}" if "images_per_s" in row else ""
        low, high = row["quartiles"]
        times = f"{row['times_ours']:9.2f}" if "times_ours" in row else f"{'-':>9}"
        text.append(
            f"{start}{rate}{row['seconds']:10.3g}{'*' if row['cold'] else ' '}"
            f"{f'{low:.3g} .. {high:.3g}':>23}"
            f"{row['peak_memory_bytes'] / 2**20:7.0f} MB{times}"
        )
        notes += [row["note"]] if "note" in row else []
        notes += [timing.COLD_NOTE] if row["cold"] else []
    return "\n".join(text + [f"  {'':15}{note}" for note in dict.fromkeys(notes)])


def missing() -> str:
    """Which reference implementations are not installed, and how to; "" if none."""
    absent = reference.missing()
    if not absent:
        return ""
    return (
        f"not installed: {', '.join(absent)}; `make setup EXTRAS=reference` installs "
        "them"
    )
