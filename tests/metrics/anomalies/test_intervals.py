import math

import numpy as np

from gans.metrics.anomalies.intervals import Counts, merged, overlap, total


def test_merging_is_the_references(reference):
    case = reference("anomalies.json")["merge"]
    np.testing.assert_allclose(merged(case["input"]), case["output"], rtol=1e-9)
    # Negative control: those that only adjoin count, too.
    apart = [(a, b + (b == 20) * -1, x) for a, b, x in case["input"]]
    assert len(merged(apart)) == len(case["output"]) + 1


def test_intervals_of_a_step_each_have_a_plain_mean():
    assert merged([(4, 4, 1.0), (5, 5, 2.0)]) == [(4, 5, 1.5)]
    assert merged([]) == []


def test_counts_by_overlap_are_the_references(reference):
    cases = reference("interval_scores.json")["cases"]
    assert len(cases) > 10
    n_other = 0
    for case in cases:
        true, found = case["expected"], case["observed"]
        known = case["overlap_segment"]
        counts = overlap(true, found)
        _, fp, fn, tp = known["tn_fp_fn_tp"]
        assert counts == Counts(tp, fp, fn)
        for name in ("precision", "recall"):
            value, wanted = getattr(counts, name), known[name]
            assert math.isnan(value) if wanted is None else value == wanted
        wanted = known["f1_score"] or 0.0  # undefined there without any hit
        assert math.isclose(counts.f1, wanted, rel_tol=1e-9)
        # Negative control: an end that is not included.
        n_other += overlap([(a, b - 1) for a, b in true], found) != counts
    assert n_other


def test_one_detection_may_hit_several_true_intervals():
    assert overlap([(2, 5), (10, 14)], [(4, 12), (20, 22)]) == Counts(2, 1, 0)


def test_a_set_has_the_f1_of_the_sums():
    counts = [Counts(1, 0, 0), Counts(0, 3, 1)]
    assert total(counts) == Counts(1, 3, 1)
    assert total(counts).f1 == 2 / 6  # the mean of both would be 1 / 2
    assert total([]) == Counts(0, 0, 0) and math.isnan(total([]).f1)
    assert total(counts).precision == 0.25 and total(counts).recall == 0.5
