"""Directions: SeFa against the authors' numbers; Fisher's discriminant."""

import numpy as np
import pytest

from experiments.latent_space.factors import accuracy, between_classes, closed_form

LAYERS = {"all": range(5), "0-1": range(2), "2": range(2, 3)}


def weights(fixture, layers):
    """[w_dim, C] of each layer; stored as [C, w_dim]."""
    return [fixture[f"in/affine_weight_{i}"].T for i in layers]


def as_stored(vectors, wanted):
    """Signs are free: as those of `wanted`."""
    return vectors * np.sign(np.sum(vectors * wanted, axis=1, keepdims=True))


@pytest.mark.parametrize("layers", LAYERS)
def test_closed_form_is_the_authors(parity, layers):
    fixture = parity("latent_sefa")
    values, vectors = closed_form(weights(fixture, LAYERS[layers]))
    wanted = fixture[f"out/stylegan2_{layers}/values_sorted"]
    np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-5 * wanted[0])
    wanted = fixture[f"out/stylegan2_{layers}/vectors_sorted"]
    np.testing.assert_allclose(as_stored(vectors, wanted), wanted, atol=1e-4)


def test_controls_of_the_closed_form(parity):
    fixture = parity("latent_sefa")
    wanted = fixture["out/stylegan2_all/vectors_sorted"]
    given = weights(fixture, range(5))
    # Channels that are not scaled to length 1, rows that are, and a layer less.
    a = np.concatenate(given, axis=1)
    plain = np.linalg.eigh(a @ a.T)[1][:, ::-1].T
    rows = a / np.linalg.norm(a, axis=1, keepdims=True)
    rows = np.linalg.eigh(rows @ rows.T)[1][:, ::-1].T
    for other in (plain, rows, closed_form(given[1:])[1]):
        assert np.abs(as_stored(other, wanted) - wanted).max() > 0.05
    # The order of the authors' code is not ours: one value is out of place there.
    returned = fixture["out/stylegan2_all/values_as_returned"]
    assert (np.diff(returned) > 0).any() and (np.diff(closed_form(given)[0]) < 0).all()


def test_first_factor_of_one_channel():
    # One channel with the weights (3, 4): all of the change is along (3, 4) / 5.
    values, vectors = closed_form([np.array([[3.0], [4.0]])])
    np.testing.assert_allclose(values, [1, 0], atol=1e-12)
    np.testing.assert_allclose(vectors[0], [0.6, 0.8])


def test_between_classes_is_fishers_discriminant():
    # Scatter (4, 0; 0, 1), means apart by (1, 1): the normal is (1/4, 1), scaled.
    corners = np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]]) * 2**0.5
    w = np.concatenate([corners, corners + 1])
    inside = np.arange(8) >= 4
    wanted = np.array([0.25, 1]) / np.hypot(0.25, 1)
    np.testing.assert_allclose(between_classes(w, inside), wanted, rtol=1e-12)
    # Control: the difference of the means, and the other way round.
    assert abs(np.array([1, 1]) / 2**0.5 - wanted).max() > 0.3
    np.testing.assert_allclose(between_classes(w, ~inside), -wanted, rtol=1e-12)


def test_dimensions_without_scatter_are_left_out():
    random = np.random.default_rng(0)
    inside = np.arange(200) % 2 == 0
    w = random.normal(size=(200, 3)) + np.outer(inside, [3.0, 0, 0])
    found = between_classes(np.pad(w, ((0, 0), (0, 1))), inside)
    np.testing.assert_allclose(found[:3], between_classes(w, inside), atol=1e-9)
    assert found[3] == 0
    for none in (np.zeros(200, bool), np.ones(200, bool)):
        with pytest.raises(ValueError, match="all samples have the label, or none"):
            between_classes(w, none)


def test_accuracy_is_the_mean_of_both_sides():
    w = np.array([[0.0], [1], [2], [3], [9], [10], [11], [2.5]])
    inside = np.array([0, 0, 0, 0, 1, 1, 1, 1], bool)
    # The means are 1.5 and 8.125, their middle 4.8: one of the four inside is wrong.
    assert accuracy(w, inside, np.ones(1)) == pytest.approx(0.875)
    assert accuracy(w, inside, -np.ones(1)) == pytest.approx(0.125)
