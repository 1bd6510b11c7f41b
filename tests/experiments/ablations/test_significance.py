import math
import warnings

import numpy as np
import pytest
from scipy import stats

from experiments.ablations.significance import compare, holm, mean_interval, summarise

# 3 binomial standard errors above 0.05, of 1,000 simulated ablations.
N_ABLATIONS = 1000
BOUND = 0.05 + 3 * math.sqrt(0.05 * 0.95 / N_ABLATIONS)


def arms(*values):
    return {str(i): list(x) for i, x in enumerate(values)}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- Holm -----------------------------------------------------------------------------


def test_holm_by_hand():
    # Sorted: 0.01 x 4 = 0.04, 0.02 x 3 = 0.06, 0.03 x 2 = 0.06, 0.04 x 1 = 0.04, which
    # the one before raises to 0.06.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    # None is no test: 3 are left. 0.5 x 2 and 0.9 x 1 are cut to 1 and raised to 1.
    assert holm([0.9, None, 0.001, 0.5]) == [1.0, None, pytest.approx(0.003), 1.0]
    assert holm([0.2, 0.2]) == pytest.approx([0.4, 0.4])
    assert holm([]) == [] and holm([None]) == [None]


def test_holm_against_its_definition():
    """The least level at which the step-down procedure rejects the hypothesis."""

    def rejected(p, level):
        left = sorted(range(len(p)), key=lambda i: p[i])
        found = set()
        for rank, i in enumerate(left):
            if p[i] > level / (len(p) - rank):
                break
            found.add(i)
        return found

    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.uniform(0, 0.3, 6).tolist()
        for i, adjusted in enumerate(holm(p)):
            if adjusted < 1:
                assert i in rejected(p, adjusted + 1e-9)
            assert i not in rejected(p, adjusted - 1e-9)


def test_holm_rejects_what_is_no_p():
    with pytest.raises(ValueError, match=r"p: \[0.1, 1.2\]"):
        holm([0.1, None, 1.2])
    with pytest.raises(ValueError, match="nan"):
        holm([math.nan])


# --- one arm --------------------------------------------------------------------------


def test_summary_by_hand():
    found = summarise([1, None, 2, 6])
    # Mean 3, squares 4 + 1 + 9 = 14, over n - 1 = 2.
    assert (found.n, found.n_lost, found.mean) == (3, 1, 3.0)
    assert found.sd == pytest.approx(math.sqrt(7))
    assert found.interval is None  # 1 in 27 resamples is three times the least
    alone = summarise([2.5, math.nan])
    assert (alone.n, alone.n_lost, alone.mean) == (1, 1, 2.5)
    assert alone.sd is None and alone.interval is None
    assert summarise([None]).mean is None and summarise([]).n == 0
    assert summarise([0.1] * 3).sd == 0 and summarise([0.1] * 3).interval is None


def test_interval_is_the_bootstrap_t():
    """Against all 5^5 resamples, counted one by one."""
    x = np.array([1.0, 2.0, 4.0, 8.0, 9.5])
    every = x[np.stack(np.meshgrid(*[range(5)] * 5), -1).reshape(-1, 5)]
    spread = every.std(axis=1, ddof=1) / math.sqrt(5)
    spread[np.ptp(every, axis=1) == 0] = 0
    with np.errstate(divide="ignore"):
        t = np.sort((every.mean(axis=1) - x.mean()) / spread)
    # An end is an atom of t (equal values in another order) around its quantile, of
    # which 10,000 draws know 2.5 % to 0.16 %.
    found, slack = mean_interval(x), 3 * 0.0016
    for end, tail in zip(found, (0.975, 0.025), strict=True):
        at = (x.mean() - end) / (x.std(ddof=1) / math.sqrt(5))
        assert np.mean(t < at - 1e-9) < tail + slack
        assert np.mean(t < at + 1e-9) > tail - slack
    percentiles = np.quantile(every.mean(axis=1), [0.025, 0.975])
    assert found[0] < percentiles[0] and percentiles[1] < found[1]
    assert mean_interval(x) == found
    # It shifts and scales with its values.
    assert mean_interval(10 - 3 * x) == pytest.approx(
        (10 - 3 * found[1], 10 - 3 * found[0])
    )


def test_interval_of_ties():
    # 0.8^5 = 33 % of the resamples hold nothing but the 1.
    assert mean_interval(np.array([1.0, 1, 1, 1, 2])) is None
    assert mean_interval(np.array([1.0, 2, 3, 4])) is not None  # 1 in 256, at each end


@pytest.mark.slow
def test_coverage_of_the_interval_at_five_seeds():
    """Nominal 95 %; the percentile interval, which is simpler, falls short by far."""
    n_samples = 1000
    x = np.random.default_rng(0).standard_normal((n_samples, 5))
    found = np.array([mean_interval(row) for row in x])
    covered = np.mean((found[:, 0] < 0) & (found[:, 1] > 0))
    slack = 3 * math.sqrt(0.95 * 0.05 / n_samples)  # 0.021
    assert abs(covered - 0.95) < slack
    drawn = x[:, np.random.default_rng(1).integers(5, size=(1000, 5))].mean(axis=2)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    assert np.mean((low < 0) & (high > 0)) < 0.95 - 4 * slack


# --- comparisons ----------------------------------------------------------------------


@pytest.mark.parametrize("n, m", [(5, 5), (2, 7), (3, 30)])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_against_scipy(n, m, scale):
    rng = np.random.default_rng(n)
    x, y = 1 + scale * rng.standard_normal(n), rng.standard_normal(m)
    found = compare(arms(y, x), "0", "lower")["1"]
    welch = stats.ttest_ind(x, y, equal_var=False)
    assert found.welch_p == pytest.approx(welch.pvalue, rel=1e-9)
    assert found.interval == pytest.approx(welch.confidence_interval(), rel=1e-9)
    assert found.difference == pytest.approx(x.mean() - y.mean())
    assert found.welch_holm == found.welch_p  # one test
    rank = stats.mannwhitneyu(x, y, method="exact")
    assert found.rank_p == pytest.approx(rank.pvalue, rel=1e-9)
    if scale > 1:  # another test would not do
        student = stats.ttest_ind(x, y).pvalue
        assert abs(found.welch_p / student - 1) > 1e-3


def test_many_seeds_against_scipy():
    x, y = np.random.default_rng(0).integers(0, 9, (2, 40)).astype(float)
    found = compare(arms(y, x), "0", None)["1"]
    assert found.rank_p == pytest.approx(stats.mannwhitneyu(x, y).pvalue, rel=1e-9)


def test_ties_against_scipys_permutations():
    rng = np.random.default_rng(0)
    every = stats.PermutationMethod(n_resamples=np.inf)
    for _ in range(5):
        x, y = rng.integers(0, 4, (2, 5)).astype(float)
        found = compare(arms(y, x), "0", "higher")["1"].rank_p
        exact = stats.mannwhitneyu(x, y, method=every).pvalue
        assert found == pytest.approx(min(exact, 1), rel=1e-9)


def test_hedges_g_by_hand():
    # Means 4 and 1; pooled variance (2 x 4 + 2 x 1) / 4 = 2.5. The factor for 4 degrees
    # of freedom: Gamma(2) / (sqrt(2) Gamma(3/2)) = 1 / (sqrt(2) sqrt(pi) / 2).
    found = compare(arms([0, 1, 2], [2, 4, 6]), "0", None)["1"]
    factor = 2 / math.sqrt(2 * math.pi)
    assert found.hedges_g == pytest.approx(3 / math.sqrt(2.5) * factor)
    # Unequal n: (1 x 2 + 3 x 4) / 4 = 3.5 pools [0, 2] and [1, 1, 1, 5].
    found = compare(arms([0, 2], [1, 1, 1, 5]), "0", None)["1"]
    assert found.hedges_g == pytest.approx(1 / math.sqrt(3.5) * factor)


def test_diverged_seeds_are_last_in_rank_and_absent_in_means():
    # All of one arm behind all of the other: 2 of the C(6, 3) = 20 splits.
    for better, lost in (("lower", [1, 2, None]), ("higher", [9, 8, None])):
        found = compare(arms([3, 4, 5], lost), "0", better)["1"]
        assert found.difference == pytest.approx(np.mean(lost[:2]) - 4)
        # Ranks of the arm 1, 2, 6: sums of 3 of 6 ranks that are <= 9 are 123 124 125
        # 126 134 135 234, those >= 9 all but 123 124 125 134: twice 7 / 20.
        assert found.rank_p == pytest.approx(0.7)
    kept = compare(arms([3, 4, 5], [1, 2, None]), "0", None)["1"]
    assert kept.rank_p == pytest.approx(2 / 10)  # C(5, 2)
    lost = compare(arms([3, 4, 5], [None] * 3), "0", "lower")["1"]
    assert lost.rank_p == pytest.approx(2 / 20) and lost.difference is None
    assert lost.welch_p is None and not lost.significant


def test_what_cannot_be_tested():
    values = arms([1, 1, 1], [1, 1], [2, 2, 2], [3], [], [None], [1, 2, 3])
    found = compare(values, "0", "lower")
    equal, apart, alone, absent, lost, usual = found.values()
    assert equal.welch_p == equal.rank_p == 1 and equal.difference == 0
    assert apart.welch_p is None and apart.difference == 1 and apart.hedges_g is None
    assert apart.rank_p == pytest.approx(2 / 20)
    assert alone.difference == 2 and alone.interval is None and alone.welch_p is None
    assert alone.rank_p == pytest.approx(2 / 4)
    assert absent.rank_p is absent.difference is absent.least_rank_holm is None
    assert lost.welch_p is None and lost.rank_p == pytest.approx(2 / 4)
    # One arm of no spread is enough for Welch: 1 / sqrt(1 / 3), 2 degrees of freedom.
    t_test = 2 * stats.t.sf(math.sqrt(3), 2)
    assert usual.welch_p == pytest.approx(t_test)
    assert usual.welch_holm == pytest.approx(2 * t_test)  # of two tests that were made
    assert not any(x.significant for x in found.values())
    # 0.1 + 0.1 + 0.1 is not 0.3, and yet there is no difference.
    tenths = compare(arms([0.1] * 3, [0.1] * 5), "0", None)["1"]
    assert tenths.difference == 0 and tenths.welch_p == 1


def test_least_p_of_ranks():
    # 2 / C(10, 5) = 2 / 252: times 6 it is below 0.05, times 7 above.
    for n_arms, possible in ((6, True), (7, False)):
        values = {str(i): [i + j / 9 for j in range(5)] for i in range(n_arms + 1)}
        found = compare(values, "0", "lower")["3"]
        assert found.least_rank_holm == pytest.approx(n_arms * 2 / 252)
        assert (found.least_rank_holm < 0.05) == possible
        assert found.rank_holm == pytest.approx(found.least_rank_holm)


def test_rejects_unknown_words():
    with pytest.raises(ValueError, match="'x' is none of 0, 1"):
        compare(arms([1], [2]), "x", None)
    with pytest.raises(ValueError, match="'smaller'"):
        compare(arms([1], [2]), "0", "smaller")


# --- rates ----------------------------------------------------------------------------


def false_alarms(sizes, spreads):
    """Shares of ablations without any effect in which an arm is called significant.

    Of `significant`; of Welch's p without Holm; of Student's with Holm.
    """
    rng = np.random.default_rng(0)
    rates = np.zeros(3)
    for _ in range(N_ABLATIONS):
        values = {
            str(i): spread * rng.standard_normal(n)
            for i, (n, spread) in enumerate(zip(sizes, spreads, strict=True))
        }
        found = compare(values, "0", "lower").values()
        student = stats.ttest_ind(
            *(
                np.stack([values[str(i)] for i in others])
                for others in others_of(sizes)
            ),
            axis=1,
        )
        rates += [
            any(x.significant for x in found),
            any(x.welch_p < 0.05 for x in found),
            min(holm(student.pvalue.tolist())) < 0.05,
        ]
    return rates / N_ABLATIONS


def others_of(sizes):
    """Places of the arms, and as many times that of the baseline."""
    return range(1, len(sizes)), [0] * (len(sizes) - 1)


@pytest.mark.slow
def test_family_wise_false_alarms():
    kept, uncorrected, _ = false_alarms([5] * 8, [1] * 8)
    assert kept <= BOUND
    assert uncorrected > 2 * BOUND


@pytest.mark.slow
def test_family_wise_false_alarms_of_unequal_spread():
    """Few seeds of a baseline that varies much: Student's test is deceived."""
    kept, _, student = false_alarms([3] + [9] * 7, [5] + [1] * 7)
    assert kept <= BOUND
    assert student > 2 * BOUND


def test_power():
    """An effect of 4 sd in one of 7 arms, at the level of the first step, alpha / 7."""
    effect, n, k, n_runs = 4.0, 5, 7, 300
    critical = stats.t.isf(0.05 / k / 2, 2 * n - 2)
    power = stats.nct.sf(critical, 2 * n - 2, effect * math.sqrt(n / 2))
    assert power > 0.95
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(n_runs):
        values = arms(*rng.standard_normal((k + 1, n)))
        values["1"] = [x - effect for x in values["1"]]
        hits += compare(values, "0", "lower")["1"].significant
    # Welch's test has fewer degrees of freedom than that of the closed form.
    assert power - 0.06 < hits / n_runs < power + 0.03
