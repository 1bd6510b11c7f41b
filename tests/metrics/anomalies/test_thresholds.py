import numpy as np
import pytest

from gans.metrics.anomalies import errors, merging, scores, thresholds
from gans.metrics.anomalies.intervals import Counts, overlap

SERIES = ["s0", "s1", "s2", "s3"]


def shares(found, n):
    """Arguments of `find` for the reference's, which may be in steps."""
    return {
        "window": found.get("window_size_portion", found.get("window_size", n) / n),
        "step": found.get(
            "window_step_size_portion",
            found.get("window_step_size", n) / found.get("window_size", n),
        ),
        "drop": found.get("min_percent", 0.1),
        "padding": found.get("anomaly_padding", 50),
    }


@pytest.mark.parametrize("name", SERIES)
def test_intervals_are_the_references(name, reference):
    inputs = reference("anomaly_inputs.npz")
    x, index = inputs[f"errors/{name}"], inputs["index"]
    n_tried = 0
    for case in reference("anomalies.json")[name]["anomalies"]:
        given = case["parameters"]
        # TadGAN has neither a variable threshold nor one below.
        if not given["fixed_threshold"] or {"inverse", "lower_threshold"} & {*given}:
            continue
        n_tried += 1
        found = thresholds.find(x, **shares(given, len(x)))
        timed = [(index[a], index[b], score) for a, b, score in found]
        np.testing.assert_allclose(
            np.reshape(timed, (-1, 3)), np.reshape(case["found"], (-1, 3)), rtol=1e-9
        )
        if case["found"]:  # negative control
            other = thresholds.find(x, **shares(given, len(x)) | {"padding": 2})
            assert other != found
    assert n_tried >= 4


@pytest.mark.parametrize("name", SERIES)
def test_runs_and_pruning_are_the_references(name, reference):
    x = reference("anomaly_inputs.npz")[f"errors/{name}"]
    known = reference("anomalies.json")[name]
    threshold = x.mean() + 4 * x.std()
    np.testing.assert_allclose(threshold, known["fixed_threshold"], rtol=1e-9)
    known, threshold = known["at_k2_5_padding4"], known["fixed_threshold_k2_5"]
    above = thresholds.widened(x > threshold, 4)
    runs = thresholds.runs(above)
    assert [list(run) for run in runs] == known["sequences"]
    below = x[~above].max()
    assert below == pytest.approx(known["max_below"], rel=1e-9)
    largest = [(x[a : b + 1].max(), a, b) for a, b in runs]
    kept = [[a, b, peak] for peak, a, b in thresholds.pruned(largest, below, 0.1)]
    np.testing.assert_allclose(
        np.reshape(kept, (-1, 3)), np.reshape(known["pruned_0_1"], (-1, 3)), rtol=1e-9
    )
    strict = thresholds.pruned(largest, below, 0.9)  # negative control
    assert len(strict) < len(kept) or not kept


def test_all_runs_up_to_the_last_large_drop_are_kept():
    largest = [(8.0, "c"), (10.0, "a"), (9.9, "b"), (7.9, "d")]
    kept = thresholds.pruned(largest, 7.5, 0.1)  # drops .01, .19, .01, .05
    assert [name for _, name in kept] == ["a", "b"]
    assert thresholds.pruned(largest, 1.0, 0.1) == sorted(largest, reverse=True)
    assert thresholds.pruned([], 1.0, 0.1) == []


def test_what_exceeds_the_threshold_is_extended_to_the_ends_at_most():
    x = np.full(100, 0.1)
    x[3] = 9
    ((first, last, score),) = thresholds.find(x, window=1, padding=10)
    assert (first, last) == (0, 13)
    mean, deviation = x.mean(), x.std()
    assert score == pytest.approx((9 - mean - 4 * deviation) / (mean + deviation))
    assert thresholds.find(np.full(100, 0.1)) == []


def test_a_real_signal_has_the_references_anomalies(reference):
    known = reference("nab_signal.npz")
    results = reference("nab_signal.json")
    t = known["smooth"]
    (n,) = known["window_index"].shape
    made = np.stack([t[i : i + 100] for i in range(n)])
    made = (made + known["b"][:, None] * known["a"])[..., None]
    true, index = known["scaled"][: n + 99, None], known["index"]
    merged = merging.median(made)
    critic = scores.of_critic(merging.densest(known["critic"][:, 0], 100), 15)
    for case in results["results"]:
        kind, how = case["rec_error_type"], case["comb"]
        of_errors = scores.of_errors(errors.smoothed(kind, true, merged, 15))
        found = scores.combined(of_errors, critic, how)
        if (name := f"scores/{kind}/{how}") in known:
            np.testing.assert_allclose(found, known[name], atol=1e-9)
        for what in ("mean", "std", "max"):
            value = getattr(found, what)()
            assert value == pytest.approx(case[f"scores_{what}"], rel=1e-9)
        assert (found.argmax(), len(found)) == (case["argmax"], case["length"])
        intervals = [(index[a], index[b], x) for a, b, x in thresholds.find(found)]
        np.testing.assert_allclose(
            np.reshape(intervals, (-1, 3)),
            np.reshape(case["anomalies"], (-1, 3)),
            rtol=1e-9,
        )
        if "overlap" in case:
            _, fp, fn, tp = case["overlap"]
            assert overlap(results["truth"], intervals) == Counts(tp, fp, fn)
    # Negative control: the critic alone finds others.
    alone = [index[a] for a, _, _ in thresholds.find(critic)]
    assert alone != [x[0] for x in intervals]
