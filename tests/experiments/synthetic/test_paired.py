"""Gains, seed by seed, against SciPy and by hand."""

import pytest
from scipy import stats

from experiments.synthetic import paired

BEFORE = [0.70, 0.72, 0.69, 0.71]
AFTER = [0.75, 0.76, 0.75, 0.75]


def test_a_gain_is_that_of_the_paired_t_test():
    found = paired.gain(BEFORE, AFTER)
    wanted = stats.ttest_rel(AFTER, BEFORE)
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.interval == pytest.approx(tuple(wanted.confidence_interval(0.95)))
    assert found.mean == pytest.approx(0.0475)
    # The negative control: unpaired, the same numbers have another p.
    assert stats.ttest_ind(AFTER, BEFORE).pvalue != pytest.approx(found.p)


def test_verdicts():
    up, down = paired.gain(BEFORE, AFTER), paired.gain(AFTER, BEFORE)
    same = paired.gain(BEFORE, [0.71, 0.70, 0.70, 0.71])
    verdicts = [x.verdict for x in paired.judged([up, down, same])]
    assert verdicts == [paired.HELPS, paired.HARMS, paired.NEITHER]
    assert paired.judged([up] * 3)[0].p_holm == pytest.approx(3 * up.p)
    (one,) = paired.judged([paired.gain([0.5], [0.9])])
    assert one.p is None and one.verdict == paired.NEITHER
    assert paired.gain([0.5, 0.5], [0.5, 0.5]).p == 1
