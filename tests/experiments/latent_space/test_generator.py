"""A run's generator: its latents, images, statistics and styles."""

import types

import jax
import numpy as np
import pytest

import experiments
from experiments.latent_space.generator import Styled, network_of

Z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def test_latents_are_those_of_samples(styled, workdir):
    assert (styled.n_ws, styled.w_dim, styled.shape) == (3, 6, (16, 16, 1))
    ws = styled.ws(5, 2)
    assert ws.shape == (2, 3, 6) and np.abs(ws[0] - ws[1]).max() > 0.01
    inputs = experiments.load(workdir).inputs(2, seed=5)
    np.testing.assert_allclose(styled.map(inputs["z"], inputs["label"]), ws, atol=1e-6)
    np.testing.assert_allclose(styled.ws(5, 1), ws[:1], atol=1e-6)
    other = styled.ws(5, 1, 3)  # another class
    assert np.abs(other - ws[:1]).max() > 0.01
    w, classes = styled.samples(7, [2, 4], seed=5)
    assert classes.tolist() == [2, 4, 2, 4, 2, 4, 2]
    np.testing.assert_allclose(w[0], styled.ws(5, 1, 2)[0, 0], atol=1e-6)


def test_images_have_noise_that_stands_still(styled):
    ws = styled.ws(0, 18)  # more than are made at once, and not a multiple
    images = styled.images(ws)
    assert images.shape == (18, 16, 16, 1) and np.abs(images).max() <= 1
    np.testing.assert_allclose(styled.images(ws[17:]), images[17:], atol=1e-5)
    planes = jax.tree.map(lambda x: -np.asarray(x), styled.noise)
    other = styled.images(ws[:1], planes)
    assert 1e-3 < np.abs(other - images[:1]).max() < 2
    same = styled.images(ws[:1], styled.noise)
    np.testing.assert_allclose(same, images[:1], atol=1e-6)


def test_truncation(styled):
    ws = styled.ws(0, 2)
    np.testing.assert_allclose(styled.truncated(ws, None), ws)
    np.testing.assert_allclose(styled.truncated(ws, 0.0)[1, 2], styled.w_avg)
    half = (styled.w_avg + ws) / 2
    np.testing.assert_allclose(styled.truncated(ws, 0.5), half, atol=1e-6)


def test_statistics_are_of_many_samples(styled):
    mean, deviation = styled.statistics(n=2500)
    w, _ = styled.samples(2500)
    np.testing.assert_allclose(mean, w.mean(0), atol=1e-5)
    total = np.sqrt(((w - w.mean(0)) ** 2).sum() / 2500)
    np.testing.assert_allclose(deviation, total, rtol=1e-5)
    one, _ = styled.statistics(3, n=2500)
    assert np.abs(one - mean).max() > 0.01  # of one class


def test_affines_are_the_weights_of_the_layers(styled):
    found = styled.affines()
    assert [layer for layer, _ in found] == [0, 1, 2]
    params = styled.kept[0]
    for layer, weight in found:
        wanted = params[f"blocks_{layer}"]["affine"]["kernel"]
        np.testing.assert_allclose(weight, wanted, atol=1e-5)


def test_a_model_without_a_mapping_network():
    nets = {"g": types.SimpleNamespace(module=object())}
    with pytest.raises(ValueError, match="no mapping network from z to w.*are g"):
        network_of(types.SimpleNamespace(nets=nets))


def test_only_images_have_tools(styled):
    model = types.SimpleNamespace(
        gan=styled.model.gan,
        state=styled.model.state,
        spec={"solid": types.SimpleNamespace(kind="voxels")},
    )
    with pytest.raises(ValueError, match="this model makes solid.*wanted images"):
        Styled(model)
