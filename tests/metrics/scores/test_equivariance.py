"""Moved and turned images, against the authors' numbers."""

import numpy as np
import pytest

from gans.metrics.scores import equivariance as eq

OPERATORS = {
    "int": eq.moved,
    "frac": eq.moved_by_parts,
    "rot": eq.turned,
    "pseudo": eq.filtered_for_turn,
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("i", [0, 1])
def test_the_authors_numbers(style_reference, name, i):
    hyper, arrays = style_reference("metric_equivariance")
    turn = name in ("rot", "pseudo")
    # Their angles go the other way round.
    given = [-hyper["angles"][i]] if turn else hyper["translations"][i]
    images = np.moveaxis(arrays["in/x"].astype(np.float64), 1, -1)
    theirs = np.moveaxis(arrays[f"out/{name}_{i}"], 1, -1)
    found, mask = OPERATORS[name](images, *given)
    wanted = arrays[f"out/{name}_{i}_mask_const"]
    assert np.array_equal(mask, wanted)
    far = np.abs(found - theirs) * mask[..., None]
    assert far.max() < 1e-6 * np.abs(theirs).max()
    other, _ = OPERATORS[name](images, *(x + 0.05 for x in given))  # the control
    assert np.abs((other - theirs) * mask[..., None]).max() > 0.01


def test_the_authors_filter(style_reference):
    hyper, arrays = style_reference("metric_equivariance")
    for i, angle in enumerate(hyper["angles"]):
        theirs = arrays[f"out/bandlimit_filter_{i}"]
        assert np.abs(eq.oriented_filter(-angle, 4) - theirs).max() < 1e-7


def test_decibels():
    # A mean square of 4 / 1000 is 30 dB below the range's square, 4.
    assert np.isclose(eq.decibels(0.4, 100), 30)
    assert eq.decibels(0.0, 100) == np.inf
