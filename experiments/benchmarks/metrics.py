"""What the metrics cost, in seconds and memory, against published implementations.

    python -m experiments.benchmarks.metrics [--n=10000] [--rounds=5] [--out=FILE]
        [--features=inception|classifier ...] [--batch_size=16] [--only=NAME ...]

Two tables. Images per second of each extractor: batches of 32x32 uint8 images in
memory, resized as the extractor resizes them, to features in memory. The weights are
random, of ordinary size: the speed does not depend on their values. Then the seconds of
each score of N features against N, made up of a few directions and noise. What the
peers have (extra `peers`) takes turns with ours, each in a process of its own, on all
cores, with the C allocator as it is and with that of `experiments/process.py`, which
ours always have. --only: these extractors and scores.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

from absl import app, flags

from experiments.benchmark import hardware
from experiments.benchmarks.timing import Contestant, Result, Runner, race
from experiments.benchmarks.torch_reference import metrics as peers

HERE = "experiments.benchmarks.metrics"
OURS = "ours"
BATCH = "batch"
SIDE = 32  # pixels
EXTRACTORS = (
    "inception squeezenet classifier lpips_vgg lpips_alex lpips_squeeze"
).split()
# `prdc` is `pr` and `dc`, with the k of `dc`: prdc has them together alone.
SCORES = "fid fid+error fid_infinity kid is pr dc prdc nnfs nearest".split()
WIDTHS = {"inception": (2048, 1008), "classifier": (64, 10)}  # features, classes
REPEATS = 3  # at most, of a score
LEAST = 20  # features, for `fid_infinity` to have subsets of two
PACKAGES = {"numpy": "numpy", "scipy": "scipy", "scikit-learn": "sklearn"}
PACKAGES |= {peer: modules[0] for peer, modules in peers.NEEDS.items()}


def race_extractor(
    name: str,
    *,
    batch_size: int,
    rounds: int,
    turn: float = 1.0,
    tell=lambda line: None,
) -> dict[str, Any]:
    """Races one of EXTRACTORS; returns what `--out` gets of it."""
    field = extractor_contestants(name, batch_size)
    results = race(field, [BATCH], rounds=rounds, turn=turn, tell=tell)
    rows = _rows(results, BATCH)
    for row in rows.values():
        if "seconds" in row:
            row["images_per_s"] = batch_size / row["seconds"]
    found = {"extractor": name, "batch_size": batch_size, "image": [SIDE, SIDE, 3]}
    return found | {"contestants": rows}


def race_score(
    name: str,
    *,
    n: int,
    features: str = "inception",
    rounds: int,
    turn: float = 1.0,
    tell=lambda line: None,
) -> dict[str, Any]:
    """Races one of SCORES; returns what `--out` gets of it.

    n: features on each side, at least LEAST. features: like those of which extractor,
    of WIDTHS.
    """
    field = score_contestants(name, n, features)
    rounds = min(rounds, REPEATS)
    results = race(field, [name], rounds=rounds, turn=turn, tell=tell)
    d, k = WIDTHS[features]
    found = {"score": name, "n": n, "features": features, "d": d, "n_classes": k}
    return found | {"contestants": _rows(results, name)}


def extractor_contestants(name: str, batch_size: int) -> list[Contestant]:
    """Ours, and for Inception the peers' networks in each setting."""
    options = {"name": name, "batch_size": batch_size}
    field = [Contestant(OURS, f"{HERE}:our_extractor", options)]
    if name != "inception":
        return field
    layouts = {"torch-fidelity": (False, True), "pytorch-fid": (False,)}
    for peer in _installed(layouts):
        for channels_last in layouts[peer]:
            options = {"batch_size": batch_size, "channels_last": channels_last}
            label = f"{peer} channels_last" if channels_last else peer
            field += _both_allocators(label, "their_extractor", peer=peer, **options)
    return field


def score_contestants(name: str, n: int, features: str) -> list[Contestant]:
    """Ours, and those peers that have the score."""
    options = {"name": name, "n": n, "features": features}
    field = [Contestant(OURS, f"{HERE}:our_score", options)]
    for peer in _installed(peers.SCORES):
        if name in peers.SCORES[peer]:
            field += _both_allocators(peer, "their_score", peer=peer, **options)
    return field


def _installed(some):
    absent = peers.missing()
    return [peer for peer in some if peer not in absent]


def _both_allocators(label, build, **options):
    return [
        Contestant(
            f"{label} allocator" if keep_pages else label,
            f"{HERE}:{build}",
            options | {"keep_pages": keep_pages},
        )
        for keep_pages in (False, True)
    ]


def our_extractor(name: str, batch_size: int) -> Runner:
    """An extractor of ours, in this process."""
    from experiments import process

    process.configure()
    import time

    import jax

    from experiments.rundir import manifest

    extractor, images = with_random_weights(name), example(batch_size)
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
    import jax
    import jax.numpy as jnp

    from gans.metrics.classifiers import small as classifier
    from gans.metrics.features import inception, lpips, squeezenet

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
        return classifier.make(init(module, SIDE), protocol={"weights": "random"})
    net = name.removeprefix("lpips_")
    spec = lpips.NETS[net]
    trunk = init(lpips.Trunk(spec), SIDE)["params"]
    variables = {"trunk": trunk, "heads": [jnp.ones(c) for c in spec.channels]}
    return lpips.make(net, variables, sha256={"trunk": "random", "heads": "random"})


def their_extractor(
    peer: str, batch_size: int, channels_last: bool, keep_pages: bool
) -> Runner:
    """Inception of a peer, in this process."""
    if keep_pages:
        from experiments import process

        process.keep_pages()
    extract = peers.inception(peer, channels_last=channels_last)
    images = example(batch_size)

    def run():
        return extract(images)

    run()
    notes = {}
    if peer == "pytorch-fid" and peers.stands_in():
        notes = {"note": "pytorch-fid: torchvision's layers are torch-fidelity's here"}
    return Runner({BATCH: run}, notes)


def our_score(name: str, n: int, features: str) -> Runner:
    """A score of ours, in this process."""
    from experiments import process

    process.configure()
    from gans.metrics.scores import frechet, inception_score, kernel, neighbours
    from gans.metrics.scores.moments import Moments

    real, fake, logits = sides(n, *WIDTHS[features])
    size = min(peers.SUBSET, n)

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
        "kid": lambda: kernel.distance(real, fake, peers.N_SUBSETS, size),
        "is": lambda: inception_score.score(logits),
        "pr": lambda: neighbours.precision_recall(real, fake),
        "dc": lambda: neighbours.density_coverage(real, fake),
        "prdc": prdc,
        "nnfs": lambda: neighbours.nnfs(real, fake),
        "nearest": lambda: neighbours.nearest(fake, real),
    }
    return Runner({name: cases[name]})


def their_score(
    peer: str, name: str, n: int, features: str, keep_pages: bool
) -> Runner:
    """A score of a peer, in this process."""
    if keep_pages:
        from experiments import process

        process.keep_pages()
    return Runner({name: peers.score(peer, name, *sides(n, *WIDTHS[features]))})


def example(batch_size: int):
    """A batch of noise, uint8 [B, 32, 32, 3]."""
    import numpy as np

    shape = (batch_size, SIDE, SIDE, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def sides(n: int, d: int, n_classes: int):
    """Returns real and generated features, [N, D] each, and logits [N, K]: float32.

    As in a network's features, a sixteenth of the directions hold most of the variance.
    """
    import numpy as np

    random = np.random.default_rng(0)

    def draw(*shape):
        return random.standard_normal(shape, np.float32)

    rank = d // 16
    mixing = draw(rank, d) / rank**0.5
    real = draw(n, rank) @ mixing + 0.1 * draw(n, d)
    fake = (0.9 * draw(n, rank) + 0.1) @ mixing + 0.1 * draw(n, d)
    return real, fake, 3 * draw(n, n_classes)


def _rows(results: dict[str, Result], case: str) -> dict[str, dict]:
    rows = {}
    for name, result in results.items():
        if result.error:
            rows[name] = {"error": result.error}
            continue
        seconds = result.seconds[case]
        median = statistics.median(seconds)
        quartiles = [median] * 3
        if len(seconds) > 1:
            quartiles = statistics.quantiles(seconds, n=4, method="inclusive")
        rows[name] = {
            "seconds": median,
            "quartiles": [quartiles[0], quartiles[2]],
            **result.facts,
            "samples": seconds,
        }
    ours = rows[OURS].get("seconds")
    for row in rows.values():
        if ours and "seconds" in row:
            row["times_ours"] = row["seconds"] / ours
    return rows


def surroundings() -> dict[str, Any]:
    """What the figures were measured on, and which peers are not there."""
    versions = {
        name: metadata.version(name)
        for name, module in PACKAGES.items()
        if util.find_spec(module)
    }
    return {
        "hardware": hardware() | versions,
        "threads": os.cpu_count(),
        "missing": peers.missing(),
    }


def heading(found: dict) -> str:
    """The lines above the first race of a table."""
    if "extractor" in found:
        rate, size = f"{'images/s':>10}", found["batch_size"]
        what = f"extractors: batches of {size} images, {SIDE}x{SIDE}, random weights"
    else:
        rate, (n, d, k) = "", (found[x] for x in ("n", "d", "n_classes"))
        what = f"scores: {n} features against {n}, of {d}, or logits of {k} classes"
    columns = f"{rate}{'seconds':>10}{'quartiles':>23}{'memory':>10}{'/ ours':>9}"
    return f"{what}\n  {'':54}{columns}"


def lines(found: dict) -> str:
    """The rows of a race as text."""
    name, text, notes = found.get("extractor") or found.get("score"), [], []
    for contestant, row in found["contestants"].items():
        start = f"  {'' if text else name:15}{contestant:39}"
        if "error" in row:
            text.append(f"{start}  failed: {row['error'][:80]}")
            continue
        rate = f"{row['images_per_s']:10.4g}" if "images_per_s" in row else ""
        low, high = row["quartiles"]
        times = f"{row['times_ours']:9.2f}" if "times_ours" in row else f"{'-':>9}"
        text.append(
            f"{start}{rate}{row['seconds']:10.3g}{f'{low:.3g} .. {high:.3g}':>23}"
            f"{row['peak_memory_bytes'] / 2**20:7.0f} MB{times}"
        )
        if "note" in row:
            notes.append(f"  {'':15}{row['note']}")
    return "\n".join(text + list(dict.fromkeys(notes)))


def lacking(missing: list[str]) -> str:
    """What to install for the peers that are not there."""
    return (
        f"not installed: {', '.join(missing)}; `make setup EXTRAS=peers` installs them "
        "(extra `peers`)"
    )


def main(argv):
    """Prints tables, writes JSON; returns the exit code."""
    del argv
    values = flags.FLAGS
    report = surroundings() | {"extractors": [], "scores": []}
    options = {"batch_size": values.batch_size}
    races = [("extractors", race_extractor, name, options) for name in EXTRACTORS]
    for features in dict.fromkeys(values.features):
        options = {"n": values.n, "features": features}
        races += [("scores", race_score, name, options) for name in SCORES]
    show = _tell if sys.stderr.isatty() else (lambda line: None)
    above = None
    for table, run, name, options in races:
        if values.only and name not in values.only:
            continue
        tell = functools.partial(lambda name, line: show(f"{name}: {line}"), name)
        found = run(name, rounds=values.rounds, tell=tell, **options)
        show("")
        if heading(found) != above:
            above = heading(found)
            print(above)
        print(lines(found), flush=True)
        report[table].append(found)
        if values.out:
            Path(values.out).write_text(json.dumps(report, indent=1) + "\n")
    if report["missing"]:
        print(lacking(report["missing"]))
    every = report["extractors"] + report["scores"]
    return int(any("error" in found["contestants"][OURS] for found in every))


def _tell(line):
    print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    flags.DEFINE_integer("n", 10_000, "Features on each side.", lower_bound=LEAST)
    flags.DEFINE_integer("rounds", 5, "Turns; of a score 3 at most.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 16, "Images at a time.", lower_bound=1)
    flags.DEFINE_multi_enum("features", ["inception"], [*WIDTHS], "Of whose width.")
    flags.DEFINE_multi_enum("only", [], [*EXTRACTORS, *SCORES], "Instead of all.")
    flags.DEFINE_string("out", None, "A JSON file with every sample.")
    app.run(main)
