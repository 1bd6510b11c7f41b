"""The cost of metrics: the candidates, that all compute the same, and failures."""

import functools
import importlib
import json
import pathlib
import subprocess
import sys
from importlib import util

import jax
import numpy as np
import pytest

from experiments import process
from experiments.benchmarks import metrics, timing, workload
from experiments.benchmarks.timing import Result
from experiments.benchmarks.torch_reference import metrics as reference

ROOT = pathlib.Path(__file__).parents[3]
OURS = metrics.OURS
THEIRS = [
    (library, name) for library, scores in reference.SCORES.items() for name in scores
]


@pytest.fixture
def fresh(monkeypatch):
    """The reference implementations as the benchmark loads them, whatever other tests
    put in their place."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("torch_fidelity", "pytorch_fid", "prdc"):
            monkeypatch.delitem(sys.modules, name)
    # Threads that wait for each other are slow where other tests run beside them.
    monkeypatch.setattr(reference.os, "cpu_count", lambda: 1)
    torch = importlib.import_module("torch") if util.find_spec("torch") else None
    before = torch and torch.get_num_threads()
    yield
    if torch:
        torch.set_num_threads(before)


def need(*names):
    for name in names:
        if name in reference.missing():
            pytest.skip(f"{name} is not installed (extra reference)")


# --- the command ---------------------------------------------------------------------


@pytest.mark.slow
def test_tables_and_json(tmp_path):
    out = tmp_path / "costs.json"
    only = [f"--only={name}" for name in ("classifier", "nnfs", "fid_infinity")]
    few = ["--n=40", "--rounds=2", "--batch_size=3", "--features=classifier"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "experiments.benchmark",
            "--metrics",
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
    for library in reference.NEEDS:
        missing = "not installed" in done.stdout and library in done.stdout
        assert library in report["hardware"] or missing
    (extractor,) = report["extractors"]
    row = extractor["candidates"][OURS]
    assert extractor["image"] == [32, 32, 3]
    assert row["images_per_s"] == pytest.approx(3 / row["seconds"])
    assert row["compile_seconds"] > 0
    # In the order of the table, whatever that of the flags is.
    assert [found["score"] for found in report["scores"]] == ["fid_infinity", "nnfs"]
    for found in [extractor, *report["scores"]]:
        (row,) = found["candidates"].values()
        low, high = row["quartiles"]
        assert min(row["samples"]) <= low <= row["seconds"] <= high
        assert row["peak_memory_bytes"] > 1e7 and row["times_ours"] == 1


# --- the candidates -------------------------------------------------------------------


def names(field):
    return [candidate.name for candidate in field]


def test_reference_implementations_are_timed_where_they_have_the_score(monkeypatch):
    monkeypatch.setattr(reference, "missing", list)
    scores = functools.partial(metrics.score_candidates, n=40, features="inception")
    assert names(scores("fid")) == [
        OURS,
        "torch-fidelity",
        "torch-fidelity allocator",
        "pytorch-fid",
        "pytorch-fid allocator",
    ]
    assert names(scores("prdc")) == [OURS, "prdc", "prdc allocator"]
    assert names(scores("nnfs")) == [OURS]
    field = metrics.extractor_candidates("inception", 2)
    plain = [c for c in field if "allocator" not in c.name]
    assert [(c.name, c.options.get("channels_last")) for c in plain] == [
        (OURS, None),
        ("torch-fidelity", False),
        ("torch-fidelity channels_last", True),
        ("pytorch-fid", False),
    ]
    assert [c.setup for c in field] == [process.configure] + 3 * [
        None,
        process.keep_pages,
    ]
    assert names(metrics.extractor_candidates("lpips_vgg", 2)) == [OURS]


def test_missing_reference_implementations_are_named_and_left_out(monkeypatch):
    found = util.find_spec
    monkeypatch.setattr(
        reference.util,
        "find_spec",
        lambda name: None if name == "torch" else found(name),
    )
    if found("prdc") is None:
        assert "prdc" in reference.missing()
    assert reference.missing()[:2] == ["torch-fidelity", "pytorch-fid"]
    assert names(metrics.score_candidates("fid", 40, "inception")) == [OURS]
    assert names(metrics.extractor_candidates("inception", 2)) == [OURS]
    message = metrics.missing()
    assert "torch-fidelity, pytorch-fid" in message and "EXTRAS=reference" in message
    monkeypatch.setattr(reference, "missing", list)
    assert metrics.missing() == ""


# --- figures and failures ------------------------------------------------------------


@pytest.fixture
def measured(monkeypatch):
    """measured(**results): what the rounds give; the arguments are in `.asked`."""

    def use(**results):
        def time_in_rounds(candidates, cases, **options):
            use.asked = options
            return results

        monkeypatch.setattr(timing, "time_in_rounds", time_in_rounds)

    return use


def result(*seconds, cold=(), **details):
    details |= {"peak_memory_bytes": 2**20}
    return Result({"is": [*seconds]}, [*cold], details)


def test_a_failure_is_reported_beside_the_others(measured):
    measured(
        ours=result(0.02, 0.04),
        bad=Result(error="ValueError: Imaginary component 1.5"),
        slow=result(0.06, note="two threads"),
    )
    found = metrics.measure_score("is", n=40, rounds=9)
    assert measured.asked["rounds"] == metrics.MAX_ROUNDS < 9
    rows = found["candidates"]
    assert rows["bad"] == {"error": "ValueError: Imaginary component 1.5"}
    # The median of 20 and 40 ms is 30; quartiles lie a quarter of the way in.
    assert rows["ours"]["seconds"] == pytest.approx(0.03)
    assert rows["ours"]["quartiles"] == pytest.approx([0.025, 0.035])
    assert rows["slow"]["times_ours"] == pytest.approx(2)
    text = metrics.table(found)
    assert "failed: ValueError: Imaginary component 1.5" in text
    assert text.count("two threads") == 1 and timing.COLD_NOTE not in text
    assert "40 features against 40, of 2048" in metrics.heading(found)


def test_a_single_cold_run_is_marked(measured):
    measured(ours=result(60.0, cold=["is"]), other=result(1.0))
    text = metrics.table(metrics.measure_score("is", n=40, rounds=1))
    ours, other, note = text.splitlines()
    assert "60*" in ours and "*" not in other and timing.COLD_NOTE in note


def test_without_ours_there_are_no_ratios_and_an_error(measured):
    measured(ours=Result(error="ValueError: no"), good=result(0.01))
    found = metrics.measure_score("is", n=40, rounds=1)
    row = found["candidates"]["good"]
    assert row["seconds"] > 0 and "times_ours" not in row
    assert metrics.table(found).count("failed") == 1
    entries = metrics.entries(only=["is"])
    assert next(entries)[0] == "scores"
    with pytest.raises(RuntimeError, match="ours failed: is"):
        next(entries)


def test_unknown_names_are_errors():
    for options in ({"only": ["fidd"]}, {"features": ["inceptoin"]}):
        with pytest.raises(ValueError, match="did you mean"):
            next(metrics.entries(**options))


# --- what is timed -------------------------------------------------------------------


def flat(value):
    """The numbers of a score, of ours without their errors."""
    if isinstance(value, dict):
        value = [x for name, x in value.items() if not name.endswith(("_se", "std"))]
    return np.atleast_1d(value)


@pytest.mark.parametrize("library, name", THEIRS)
def test_reference_implementations_compute_the_same(fresh, capsys, library, name):
    need(library)
    n = 150  # more than 64, so that covariances are regular
    ours = metrics.our_score(name, n, "classifier").cases[name]
    theirs = reference.score_runner(library, name, n, "classifier")
    expected = flat(ours())
    # Their kernel distance is in float32.
    np.testing.assert_allclose(flat(theirs.cases[name]()), expected, rtol=5e-4)
    assert not capsys.readouterr().out
    real, fake, logits = workload.features(n, 64, 10)
    swapped = fake, (real if name in ("pr", "prdc") else fake), logits[: n // 2]
    other = flat(reference.score(library, name, *swapped)())
    assert not np.allclose(other, expected, rtol=5e-3)


@pytest.mark.parametrize("name", metrics.SCORES)
def test_every_score_of_ours_is_computed(name):
    case = metrics.our_score(name, 20, "classifier").cases[name]
    value = case()
    parts = value.values() if isinstance(value, dict) else np.atleast_1d(value)
    assert all(np.isfinite(x).all() for x in parts)


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
    images = workload.images(2)
    assert images.shape == (2, 32, 32, 3) and images.dtype == np.uint8

    def features():
        extractor = metrics.with_random_weights(name)
        return extractor.apply(extractor.variables, images)["features"]

    assert jax.eval_shape(features).shape == (2, d)


def test_their_extractor_is_built_as_asked(monkeypatch):
    asked, seen = [], []

    def inception(library, *, channels_last):
        asked.append((library, channels_last))
        return seen.append

    monkeypatch.setattr(reference, "inception", inception)
    monkeypatch.setattr(reference, "torchvision_is_missing", lambda: True)
    build = functools.partial(reference.extractor_runner, batch_size=2)
    runner = build("torch-fidelity", channels_last=True)
    runner.cases[metrics.BATCH]()
    assert asked == [("torch-fidelity", True)] and not runner.details
    # Once beforehand, as a warm-up, and once when it is timed.
    assert [images.shape for images in seen] == 2 * [(2, 32, 32, 3)]
    runner = build("pytorch-fid", channels_last=False)
    assert "torch-fidelity's" in runner.details["note"]


def test_their_networks_are_inception(fresh):
    """With the same weights both give the same, and so do the replaced layers."""
    need("torch-fidelity", "pytorch-fid")
    torch = pytest.importorskip("torch", reason="extra `reference`")
    extract = [
        reference.inception("torch-fidelity", channels_last=True),
        reference.inception("pytorch-fid", channels_last=False),
    ]
    for call in extract:
        features = call(workload.images(1))
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
