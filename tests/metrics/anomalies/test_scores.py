import numpy as np
import pytest

from gans.metrics.anomalies import errors, merging, scores


def test_scores_of_the_critic_are_the_references(toy):
    found = scores.of_critic(toy["critic_kde_max"], 7)
    np.testing.assert_allclose(found, toy["critic_score_window7"], atol=1e-9)
    alone = scores.of_critic(toy["critic_only/in"], 5)
    np.testing.assert_allclose(alone, toy["critic_only/out_window5"], atol=1e-9)
    # Negative control: the mean of all values instead of the middle half.
    values = toy["critic_kde_max"]
    plain = 1 + np.abs(values - values.mean()) / values.std()
    off = errors.rolling_mean(plain, 7) - toy["critic_score_window7"]
    assert np.abs(off).max() > 1e-3


@pytest.mark.parametrize("kind", errors.ERRORS)
def test_combinations_are_the_references(kind, toy):
    made = merging.median(toy["y_hat"])
    of_errors = scores.of_errors(errors.smoothed(kind, toy["true"][:, None], made, 9))
    critic = scores.of_critic(merging.densest(toy["critic"][:, 0], 12), 7)
    for how, weight in (("mult", 0.5), ("sum", 0.5), ("sum", 0.2), ("rec", 0.5)):
        name = f"scores/{kind}/{how}" + f"/lambda_rec={weight}" * (how == "sum")
        found = scores.combined(of_errors, critic, how, weight)
        np.testing.assert_allclose(found, toy[name], atol=1e-9)
        other = scores.combined(of_errors, critic, "critic")  # negative control
        assert np.abs(other - toy[name]).max() > 0.1
    # lambda_rec is the share of the errors, not that of the critic.
    swapped = scores.combined(of_errors, critic, "sum", 0.8)
    assert np.abs(swapped - toy[f"scores/{kind}/sum/lambda_rec=0.2"]).max() > 0.1


def test_nothing_unusual_scores_one():
    np.testing.assert_array_equal(scores.of_errors(np.zeros(4)), 1)
    np.testing.assert_array_equal(scores.of_critic(np.full(4, 0.1), 2), 1)


def test_an_unknown_combination_is_refused():
    with pytest.raises(ValueError, match="'mean': wanted one of mult, sum, rec"):
        scores.combined(np.ones(3), np.ones(3), "mean")
