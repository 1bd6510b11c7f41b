"""Scores of steps: of reconstruction errors, of the critic, and of both together.

arXiv 2009.07769, section IV-C. Before they are combined both are 1 where nothing is
unusual.
"""

import numpy as np

from gans.metrics.anomalies.errors import rolling_mean

COMBINATIONS = ("mult", "sum", "rec", "critic")


def of_errors(errors: np.ndarray) -> np.ndarray:
    """Returns the z-scores of errors, negative ones as 0, plus 1.

    Args: errors [N]; returns [N], from 1.
    """
    return 1 + np.maximum(_ratio(errors - errors.mean(), errors.std()), 0)


def of_critic(values: np.ndarray, window: int) -> np.ndarray:
    """Returns how far the critic's values are from the usual ones, plus 1.

    The distance is from the mean of the middle half, in standard deviations of all;
    its mean over `window` steps. Args: values [N], one a step; returns [N], from 1.
    """
    low, high = np.quantile(values, [0.25, 0.75])
    usual = values[(values >= low) & (values <= high)].mean()
    return rolling_mean(1 + np.abs(_ratio(values - usual, values.std())), window)


def _ratio(x, deviation):
    """x / deviation; 0 where nothing deviates."""
    return x / deviation if deviation > 0 else np.zeros_like(x)


def combined(
    errors: np.ndarray, critic: np.ndarray, how: str = "mult", weight: float = 0.5
) -> np.ndarray:
    """Returns the scores of steps by one of COMBINATIONS.

    mult: their product; sum: weight of the errors' and 1 - weight of the critic's, each
    less 1; rec, critic: one of them alone.

    Args: errors, critic [N], as `of_errors` and `of_critic` return them; returns [N].
    Raises ValueError for an unknown combination.
    """
    if how == "mult":
        return errors * critic
    if how == "sum":
        return weight * (errors - 1) + (1 - weight) * (critic - 1)
    if how not in COMBINATIONS:
        raise ValueError(f"{how!r}: wanted one of {', '.join(COMBINATIONS)}")
    return errors if how == "rec" else critic
