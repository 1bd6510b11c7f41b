"""Features of discriminators: whose, how they are pooled, that they know no labels."""

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.probing import features, kmeans, linear
from experiments.sampling.model import Model
from gans import core
from gans.data.spec import Field


@pytest.mark.parametrize("side", [3, 4, 8, 9, 14])
def test_pooling_takes_the_maximum_of_each_cell(side):
    h = np.random.default_rng(side).normal(size=(2, side, side, 3)).astype(np.float32)
    found = np.asarray(features.pooled(h))
    n = min(side, 4)
    assert found.shape == (2, n, n, 3)
    for i in range(n):
        for j in range(n):
            rows = slice(i * side // n, -(-(i + 1) * side // n))
            columns = slice(j * side // n, -(-(j + 1) * side // n))
            cell = h[:, rows, columns].max((1, 2))
            np.testing.assert_array_equal(found[:, i, j], cell)


VARIANTS = ["dcgan", "sngan", "cgan", "wgan_gp", "pggan", "stylegan2", "cyclegan"]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_discriminators_of_all_kinds_are_found(variant, tiny):
    config, found = tiny(variant), []
    gan = configs.build(config)
    spec = {k: Field(**x) for k, x in config.spec.to_dict().items()}

    def trace(key):
        found.append(features.find(gan, core.init(gan, key), spec))
        return key

    jax.eval_shape(trace, jax.random.key(0))
    assert found[0].maps and found[0].name.startswith("d")
    assert all(len(size) == 3 for size in found[0].maps.values())


def test_a_network_without_maps_is_refused(tiny):
    gan = configs.build(config := tiny("gan", "ring8"))
    spec = {k: Field(**x) for k, x in config.spec.to_dict().items()}
    with pytest.raises(ValueError, match="point data; wanted images"):
        features.find(gan, None, spec)


@pytest.mark.slow
def test_features_are_a_function_of_the_image_alone(digits_run):
    model = Model.load(digits_run("cgan"))
    critic = features.find(model.gan, model.state, model.spec)
    images = model.data.take(np.arange(70))["image"]
    found = critic.features(images)
    assert found.shape == (70, sum(16 * c for *_, c in critic.maps.values()))
    np.testing.assert_allclose(critic.features(images[3:5]), found[3:5], atol=1e-6)
    state = features.untrained(model.gan, model.state, 1)
    random = features.find(model.gan, state, model.spec).features(images)
    assert np.abs(random - found).max() > 0.1 * np.abs(found).max()
    with pytest.raises(ValueError, match="--network"):
        features.find(model.gan, model.state, model.spec, "generator")


def blobs(n, d, seed):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = np.random.default_rng(9).normal(size=(3, d))
    return random.normal(size=(n, d)) * 0.5 + centres[labels], labels


@pytest.mark.parametrize("d", [10, 200])
def test_a_linear_classifier_finds_what_is_linear(d):
    found = linear.accuracy(blobs(60, d, 0), blobs(90, d, 1), cs=(0.1, 1.0))
    assert found.accuracy > 0.9 and found.c in (0.1, 1.0)
    x, y = blobs(60, d, 0)
    shuffled = np.random.default_rng(2).permutation(y)
    chance = linear.accuracy((x, shuffled), blobs(90, d, 1), cs=(0.1,))
    assert chance.accuracy < 0.7


def test_fewer_coordinates_than_features_give_the_same_classifier():
    (x, y), (z, labels) = blobs(30, 100, 0), blobs(60, 100, 1)
    scaled = linear.Scaled(x)
    whole = linear._right(scaled(x), y, scaled(z), labels, 1.0, 0)
    assert linear.accuracy((x, y), (z, labels), cs=(1.0,)).accuracy == whole


def test_one_example_of_a_class_is_no_reason_to_fail():
    x, y = blobs(3, 5, 0)
    assert linear.accuracy((x, y), blobs(9, 5, 1)).c == 1


@pytest.mark.slow
def test_kmeans_learns_without_labels(monkeypatch):
    monkeypatch.setattr(kmeans, "N_PATCHES", 500)
    images = np.random.default_rng(0).integers(0, 256, (20, 9, 8, 1)).astype(np.uint8)
    learnt = kmeans.learn(images, n_centroids=5)
    found = learnt.features(images)
    assert found.shape == (20, 4 * 5) and (found >= 0).all()
    # One quadrant by the definition: 2x1 places of the first image.
    total = np.zeros(5)
    for i in range(2):
        patch = images[0, i : i + 6, :6].reshape(-1).astype(np.float64)
        patch = (patch - patch.mean()) / np.sqrt(patch.var() + 10)
        x = (patch - learnt.mean) @ learnt.whitening
        distance = np.linalg.norm(learnt.centroids - x, axis=1)
        total += np.maximum(distance.mean() - distance, 0)
    np.testing.assert_allclose(found[0, :5], total, atol=1e-3)
    with pytest.raises(ValueError, match="wanted at least 7"):
        kmeans.learn(images[:, :6])
