"""Great circles between latents, against independent formulas."""

import numpy as np
import pytest
from scipy.linalg import expm, logm
from scipy.spatial import geometric_slerp

from experiments.sampling import interpolation as rows
from gans.interpolation import lerp, slerp
from gans.metrics.scores import path_length


def by_rotation(a, b, t):
    """The rotation in the plane of a and b that carries a to b, to the power of t.

    A third formula, of matrices: R = exp(t log(R1)), and the length changes evenly.
    """
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    u, v = a / length_a, b / length_b
    # Two reflections, first in the hyperplane across u, then in that across u + v.
    w = (u + v) / np.linalg.norm(u + v)
    eye = np.eye(len(a))
    whole = (eye - 2 * np.outer(w, w)) @ (eye - 2 * np.outer(u, u))
    part = expm(t * np.real(logm(whole)))
    return part @ u * ((1 - t) * length_a + t * length_b)


def test_the_sampler_and_the_path_length_agree_with_a_third_formula():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 12))
    points = rows.between(a, b, 7)
    for i in range(5):
        for j, t in enumerate(np.linspace(0, 1, 7)):
            wanted = by_rotation(a[i], b[i], t)
            here = path_length.slerp(a[i : i + 1], b[i : i + 1], np.array([[t]]))[0]
            np.testing.assert_allclose(points[i, j], wanted, atol=1e-7)
            np.testing.assert_allclose(here, wanted, atol=1e-7)
    # Control: ends weighted by sines (arXiv 1609.04468) are elsewhere, as the lengths
    # of these ends differ.
    unit = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    angle = np.arccos(np.sum(np.prod(list(unit), axis=0), axis=1, keepdims=True))
    weighted = (a + b) * np.sin(angle / 2) / np.sin(angle)
    assert np.abs(weighted - points[:, 3]).max() > 0.01


def on_sphere(n=50, radius=2.0):
    z = np.random.default_rng(0).normal(size=(2, n, 6))
    return (radius * z / np.linalg.norm(z, axis=-1, keepdims=True)).astype(np.float32)


def test_slerp_stays_on_the_sphere():
    a, b = on_sphere()
    t = np.linspace(-0.1, 1.1, 50)[:, None]
    points = slerp(a, b, t)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2, rtol=1e-6)
    assert np.linalg.norm(lerp(a, b, t), axis=1).min() < 1.9
    for i in range(8, 42):  # scipy's for t in [0, 1]
        unit = (x[i].astype(float) / np.linalg.norm(x[i].astype(float)) for x in (a, b))
        expected = 2 * geometric_slerp(*unit, t[i])
        np.testing.assert_allclose(points[i], expected[0], rtol=0, atol=1e-6)
    for where, end in ((0, a), (1, b)):
        np.testing.assert_allclose(slerp(a, b, np.full((50, 1), where)), end, atol=1e-6)


def test_slerp_by_hand():
    # A quarter circle, whose length goes from 2 to 4; a third of it is 30 degrees.
    a, b = np.array([[2.0, 0.0]]), np.array([[0.0, 4.0]])
    expected = 8 / 3 * np.array([[np.sqrt(3) / 2, 1 / 2]])
    np.testing.assert_allclose(slerp(a, b, np.array([[1 / 3]])), expected)
    # Along one ray only the length changes.
    np.testing.assert_allclose(slerp(a, 3 * a, np.array([[0.5]])), 2 * a)


def test_slerp_goes_round_at_constant_speed():
    # From (1, 0) to (0, 1) in three steps of 30 degrees. The straight line's second
    # point would be (2/3, 1/3).
    found = rows.between(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), 4)
    r = np.sqrt(3) / 2
    wanted = [[[1, 0], [r, 0.5], [0.5, r], [0, 1]]]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_rows_keep_shape_type_ends_and_length():
    a, b = np.random.default_rng(0).normal(size=(2, 6, 4, 32)).astype(np.float32)
    found = rows.between(a, b, 5)
    assert found.shape == (6, 5, 4, 32) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], a, atol=1e-6)
    np.testing.assert_allclose(found[:, -1], b, atol=1e-6)
    lengths = np.linalg.norm(found.reshape(6, 5, -1), axis=-1)
    middle = np.linalg.norm((a + b).reshape(6, -1) / 2, axis=-1)
    np.testing.assert_allclose(lengths[:, 2], (lengths[:, 0] + lengths[:, 4]) / 2)
    assert (middle < 0.9 * lengths[:, 2]).all()  # control: the straight line
    np.testing.assert_allclose(rows.between(a, a, 3)[:, 1], a, rtol=1e-6)


def test_rows_of_inputs():
    inputs = {"z": np.eye(4, dtype=np.float32), "label": np.array([3, 5, 7, 9])}
    found = rows.rows(inputs, 3)
    assert found["label"].tolist() == [3, 3, 3, 5, 5, 5]
    np.testing.assert_allclose(found["z"][::3], np.eye(4)[:2], atol=1e-7)
    np.testing.assert_allclose(found["z"][2::3], np.eye(4)[2:], atol=1e-7)
    with pytest.raises(ValueError, match="no latents z among.*: label"):
        rows.rows({"label": np.arange(4)}, 3)
