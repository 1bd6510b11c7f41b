"""The cost table: who takes part, that all compute the same, and what fails."""

import functools
import importlib
import json
import os
import pathlib
import subprocess
import sys
import time
from importlib import util

import jax
import numpy as np
import pytest

from experiments.benchmarks import metrics
from experiments.benchmarks.timing import Contestant, Runner
from experiments.benchmarks.torch_reference import metrics as peers

ROOT = pathlib.Path(__file__).parents[3]
OURS = metrics.OURS
THEIRS = [(peer, name) for peer, scores in peers.SCORES.items() for name in scores]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """The allocator of the test process stays as it is."""
    monkeypatch.setenv("GANS_PLAIN_PROCESS", "1")


@pytest.fixture
def fresh(monkeypatch):
    """Peers as this command loads them, whatever other tests put in their place."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("torch_fidelity", "pytorch_fid", "prdc"):
            monkeypatch.delitem(sys.modules, name)
    # Threads that wait for each other are slow where other tests run beside them.
    monkeypatch.setattr(peers.os, "cpu_count", lambda: 1)
    torch = importlib.import_module("torch") if util.find_spec("torch") else None
    before = torch and torch.get_num_threads()
    yield
    if torch:
        torch.set_num_threads(before)


def need(*names):
    for name in names:
        if name in peers.missing():
            pytest.skip(f"{name} is not installed (extra peers)")


# --- the command ---------------------------------------------------------------------


def test_tables_and_json(tmp_path):
    out = tmp_path / "costs.json"
    only = [f"--only={name}" for name in ("classifier", "nnfs", "fid_infinity")]
    few = ["--n=40", "--rounds=2", "--batch_size=3", "--features=classifier"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "experiments.benchmarks.metrics",
            *only,
            *few,
            f"--out={out}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "batches of 3 images, 32x32, random weights" in done.stdout
    assert "40 features against 40, of 64, or logits of 10 classes" in done.stdout
    assert done.stdout.count("/ ours") == 2
    report = json.loads(out.read_text())
    assert {"cpu", "cores", "python", "jax", "numpy"} <= set(report["hardware"])
    for peer in peers.NEEDS:
        assert peer in report["hardware"] or peer in report["missing"]
    assert report["threads"] == os.cpu_count()
    (extractor,) = report["extractors"]
    row = extractor["contestants"][OURS]
    assert extractor["image"] == [32, 32, 3]
    assert row["images_per_s"] == pytest.approx(3 / row["seconds"])
    assert row["compile_seconds"] > 0
    # In the order of the table, whatever that of the flags is.
    assert [found["score"] for found in report["scores"]] == ["fid_infinity", "nnfs"]
    for found in [extractor, *report["scores"]]:
        (row,) = found["contestants"].values()
        low, high = row["quartiles"]
        assert min(row["samples"]) <= low <= row["seconds"] <= high
        assert row["peak_memory_bytes"] > 1e7 and row["times_ours"] == 1


def test_importing_it_starts_no_library():
    code = (
        "import sys, experiments.benchmarks.metrics;"
        "print([m for m in ('jax', 'torch', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


# --- who takes part ------------------------------------------------------------------


def names(field):
    return [contestant.name for contestant in field]


def test_peers_take_part_where_they_have_the_score(monkeypatch):
    monkeypatch.setattr(peers, "missing", list)
    scores = functools.partial(metrics.score_contestants, n=40, features="inception")
    assert names(scores("fid")) == [
        OURS,
        "torch-fidelity",
        "torch-fidelity allocator",
        "pytorch-fid",
        "pytorch-fid allocator",
    ]
    assert names(scores("prdc")) == [OURS, "prdc", "prdc allocator"]
    assert names(scores("nnfs")) == [OURS]
    field = metrics.extractor_contestants("inception", 2)
    plain = [c for c in field if "allocator" not in c.name]
    assert [(c.name, c.options.get("channels_last")) for c in plain] == [
        (OURS, None),
        ("torch-fidelity", False),
        ("torch-fidelity channels_last", True),
        ("pytorch-fid", False),
    ]
    assert [c.options["keep_pages"] for c in field[1:]] == 3 * [False, True]
    assert names(metrics.extractor_contestants("lpips_vgg", 2)) == [OURS]


def test_peers_that_are_missing_are_named_and_left_out(monkeypatch):
    found = util.find_spec
    monkeypatch.setattr(
        peers.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    if found("prdc") is None:
        assert "prdc" in peers.missing()
    assert peers.missing()[:2] == ["torch-fidelity", "pytorch-fid"]
    assert names(metrics.score_contestants("fid", 40, "inception")) == [OURS]
    assert names(metrics.extractor_contestants("inception", 2)) == [OURS]
    said = metrics.lacking(metrics.surroundings()["missing"])
    assert "torch-fidelity, pytorch-fid" in said and "EXTRAS=peers" in said


# --- what a failure costs ------------------------------------------------------------


def napping(seconds):
    return Runner({"is": lambda: time.sleep(seconds)}, {"note": "sleeps"})


def failing():
    raise ValueError("Imaginary component 1.5")


@pytest.fixture
def stubs(monkeypatch):
    """The contestants' processes must be able to import this file, by its name."""
    folder, here = os.path.split(os.path.splitext(__file__)[0])
    monkeypatch.setattr(sys, "path", [folder, *sys.path])

    def use(**builds):
        field = [Contestant(n, f"{here}:{b}", o) for n, (b, o) in builds.items()]
        monkeypatch.setattr(metrics, "score_contestants", lambda *_: field)

    return use


def test_one_that_fails_is_reported_and_the_rest_goes_on(stubs):
    stubs(
        ours=("napping", {"seconds": 0.02}),
        bad=("failing", {}),
        slow=("napping", {"seconds": 0.06}),
    )
    found = metrics.race_score("is", n=40, rounds=9, turn=0.0)
    rows = found["contestants"]
    assert rows["bad"] == {"error": "ValueError: Imaginary component 1.5"}
    # A turn of no length is one run, and scores get three turns at most.
    assert len(rows["slow"]["samples"]) == len(rows["ours"]["samples"]) == 3
    expected = rows["slow"]["seconds"] / rows["ours"]["seconds"]
    assert rows["slow"]["times_ours"] == pytest.approx(expected) and expected > 1
    text = metrics.lines(found)
    assert "failed: ValueError: Imaginary component 1.5" in text
    assert text.count("sleeps") == 1
    assert "40 features against 40, of 2048" in metrics.heading(found)


def test_without_ours_there_are_no_ratios(stubs):
    stubs(ours=("failing", {}), good=("napping", {"seconds": 0.01}))
    found = metrics.race_score("is", n=40, rounds=1, turn=0.0)
    row = found["contestants"]["good"]
    assert row["seconds"] > 0 and "times_ours" not in row
    assert metrics.lines(found).count("failed") == 1


# --- what is timed -------------------------------------------------------------------


def flat(value):
    """The numbers of a score, of ours without their errors."""
    if isinstance(value, dict):
        value = [x for name, x in value.items() if not name.endswith(("_se", "std"))]
    return np.atleast_1d(value)


@pytest.mark.parametrize("peer, name", THEIRS)
def test_peers_compute_the_same(fresh, capsys, peer, name):
    need(peer)
    n = 150  # more than 64, so that covariances are regular
    ours = metrics.our_score(name, n, "classifier").cases[name]
    theirs = metrics.their_score(peer, name, n, "classifier", keep_pages=False)
    expected = flat(ours())
    # Their kernel distance is in float32.
    np.testing.assert_allclose(flat(theirs.cases[name]()), expected, rtol=5e-4)
    assert not capsys.readouterr().out
    real, fake, logits = metrics.sides(n, 64, 10)
    swapped = fake, (real if name in ("pr", "prdc") else fake), logits[: n // 2]
    other = flat(peers.score(peer, name, *swapped)())
    assert not np.allclose(other, expected, rtol=5e-3)


@pytest.mark.parametrize("name", metrics.SCORES)
def test_every_score_of_ours_is_computed(name):
    case = metrics.our_score(name, metrics.LEAST, "classifier").cases[name]
    value = case()
    parts = value.values() if isinstance(value, dict) else np.atleast_1d(value)
    assert all(np.isfinite(x).all() for x in parts)


def test_features_are_mostly_of_few_directions():
    real, fake, logits = metrics.sides(500, 64, 10)
    assert real.shape == fake.shape == (500, 64) and logits.shape == (500, 10)
    assert {x.dtype for x in (real, fake, logits)} == {np.dtype("float32")}
    values = np.linalg.eigvalsh(np.cov(real, rowvar=False))
    # A sixteenth of 64 are large. The noise has the variance 0.01, whose eigenvalues
    # spread over 0.01 (1 +- (64 / 500)^(1/2))^2, about [0.004, 0.018]: none is 0.
    assert values[-4:].sum() > 0.95 * values.sum()
    assert 0.003 < values[0] < values[-5] < 0.02 and values[-4] > 0.2


@pytest.mark.parametrize(
    "name, d",
    [
        ("inception", 2048),
        ("squeezenet", 512),
        ("classifier", 64),
        # 64 channels of 32x32 pixels, 128 of 16x16, 256 of 8x8, 512 of 4x4 and of 2x2
        ("lpips_vgg", 124_928),
        # 64 channels of 7x7, 192 of 3x3, then 384, 256 and 256 of 1x1
        ("lpips_alex", 5760),
        # 64 channels of 15x15, 128 of 7x7, 256 of 3x3, and 384, 384, 512, 512 of 1x1
        ("lpips_squeeze", 24_768),
    ],
)
def test_every_extractor_sees_the_batch(name, d):
    images = metrics.example(2)
    assert images.shape == (2, 32, 32, 3) and images.dtype == np.uint8

    def features():
        extractor = metrics.with_random_weights(name)
        return extractor.apply(extractor.variables, images)["features"]

    assert jax.eval_shape(features).shape == (2, d)


def test_their_extractor_is_built_as_asked(monkeypatch):
    asked, seen = [], []

    def inception(peer, *, channels_last):
        asked.append((peer, channels_last))
        return seen.append

    monkeypatch.setattr(peers, "inception", inception)
    monkeypatch.setattr(peers, "stands_in", lambda: True)
    build = functools.partial(metrics.their_extractor, batch_size=2)
    runner = build("torch-fidelity", channels_last=True, keep_pages=False)
    runner.cases[metrics.BATCH]()
    assert asked == [("torch-fidelity", True)] and not runner.facts
    # Once beforehand, to wake it, and once when it is timed.
    assert [images.shape for images in seen] == 2 * [(2, 32, 32, 3)]
    runner = build("pytorch-fid", channels_last=False, keep_pages=False)
    assert "torch-fidelity's" in runner.facts["note"]


def test_their_networks_are_inception(fresh):
    """Of the same weights both give the same, so the layers that stand in do too."""
    need("torch-fidelity", "pytorch-fid")
    torch = pytest.importorskip("torch", reason="extra `peers`")
    extract = [
        peers.inception("torch-fidelity", channels_last=True),
        peers.inception("pytorch-fid", channels_last=False),
    ]
    for call in extract:
        features = call(metrics.example(1))
        assert features.shape == (1, 2048) and features.std() > 1e-3
    a, b = (call.args[0] for call in extract)
    weights = list(b.state_dict().values())
    own = [w for name, w in a.state_dict().items() if not name.startswith("fc.")]
    assert len(weights) == len(own)
    for x, y in zip(weights, own, strict=True):
        x.copy_(y)
    # At 299 pixels neither resizes, and x / 256 is scaled to (x - 128) / 128.
    images = torch.randint(0, 256, (1, 3, 299, 299), dtype=torch.uint8)
    with torch.no_grad():
        expected = a(images)[0]
        found = b(images / 256)[0].flatten(1)
        wrong = b(images / 255)[0].flatten(1)
    scale = abs(expected).max()
    assert abs(found - expected).max() < 1e-5 * scale
    assert abs(wrong - expected).max() > 1e-4 * scale
