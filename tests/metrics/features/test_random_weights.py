"""The network of random weights: fixed, and sensitive to what makes images worse."""

import hashlib

import jax
import numpy as np
import pytest

from experiments.studies.degradations import blur, noise
from gans import data
from gans.metrics.features import random_weights
from gans.metrics.scores import frechet


@pytest.fixture(scope="module")
def network():
    made = random_weights.make()
    apply = jax.jit(made.apply)
    return made, lambda x: np.asarray(apply(made.variables, x)["features"])


def test_the_weights_never_change(network):
    made, _ = network
    assert made.name == "random"
    assert made.protocol["weights"].startswith("ef918cfe6c6ac58b")
    found = random_weights.weights()
    # The first numbers of NumPy's frozen stream, less their mean over 3x3.
    draw = np.random.RandomState(0).standard_normal((3, 3, 3, 10))
    draw -= draw.mean((0, 1))
    draw /= np.sqrt((draw**2).sum((0, 1, 2)))
    np.testing.assert_allclose(found["0/0"], draw, atol=1 / 8192 + 1e-6)
    content = b"".join(w.tobytes() for w in found.values())
    assert made.protocol["weights"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("shape", [(4, 4, 1), (8, 8, 3), (33, 50, 3)])
def test_any_size(shape, network):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    found = network[1](images)
    assert found.shape == (3, 128) and np.isfinite(found).all()
    np.testing.assert_allclose(found, network[1](images.astype(np.float32)), rtol=1e-6)


def test_flat_images_are_finite(network):
    flat = np.stack([np.full((16, 16, 1), v, np.uint8) for v in (0, 128, 255)])
    assert np.isfinite(network[1](flat)).all()


def test_grey_is_grey_in_three_channels(network):
    grey = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), np.uint8)
    np.testing.assert_array_equal(network[1](grey), network[1](grey.repeat(3, -1)))


def test_worse_images_are_further_away(network):
    source = data.load("digits", resolution=16)
    rows = np.random.default_rng(0).permutation(len(source))
    taken = source.take(rows)
    images, labels, n = taken["image"], taken["label"], 400
    reference, rest = network[1](images[:n]), images[n : 2 * n]

    def distance(x):
        return frechet.distance_of_features(reference, network[1](x))

    fine = distance(rest)
    ladders = {
        "blur": [blur(rest, sigma) for sigma in (0.5, 1, 2)],
        "noise": [noise(rest, sigma) for sigma in (8, 16, 32)],
        "classes": [images[n:][labels[n:] >= k][:n] for k in (2, 5, 8)],
        "copies": [rest[np.arange(n) % k] for k in (100, 30, 10)],
    }
    for name, ladder in ladders.items():
        found = [fine, *map(distance, ladder)]
        assert found == sorted(found), (name, found)
        assert found[-1] > 3 * fine, (name, found)
