"""Path lengths in W: closed forms, the paper's crop, and the authors' great circles."""

import functools
import pathlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.evaluation.evaluators import ppl_w, ppl_z
from experiments.evaluation.setting import Setting
from experiments.latent_space import generator
from gans import interpolation
from gans.metrics.features.extractor import Extractor
from gans.metrics.features.resize import at_most

SLERP = pathlib.Path(__file__).parents[5] / (
    "shared/reference/parity/style/latent_slerp.npz"
)


def flat(name="lpips_vgg"):
    """An extractor whose features are the images in [-1, 1] themselves."""

    def apply(_, images):
        return {"features": (images / 127.5 - 1).reshape(len(images), -1)}

    return Extractor(name, apply, {}, {})


def pixels(w, key):
    return w.reshape(-1, 1, 2, 1)


def test_slerp_has_the_direction_of_the_authors():
    # Theirs has length 1 everywhere, ours that between the ends' lengths: a mapping
    # network scales both alike.
    if not SLERP.exists():
        pytest.skip("no parity fixtures here")
    with np.load(SLERP) as fixture:
        a, b, t = (fixture[f"in/{name}"] for name in "abt")
        wanted = fixture["out/slerp"]
    found = interpolation.slerp(a, b, t)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found / lengths, wanted, atol=1e-7)
    straight = interpolation.lerp(a, b, t)  # control
    straight /= np.linalg.norm(straight, axis=1, keepdims=True)
    assert np.abs(straight - wanted).max() > 0.01
    assert np.abs(lengths - 1).max() > 0.1


def measured(**options):
    z = np.random.default_rng(0).normal(size=(2, 40, 2))

    def mapping(z, key):
        return z**3

    found = ppl_z.measure(flat(), pixels, *z, mapping=mapping, **options)
    ((name, result),) = found.items()
    return name, result.to_json(), z


def test_a_straight_path_in_w():
    # Images are w, so that a length is the squared distance of the ends in W.
    name, found, z = measured()
    wanted = np.sum((z[1] ** 3 - z[0] ** 3) ** 2, axis=1).mean()
    assert name == "ppl_w_lpips_vgg" and found["path"] == "lerp of w, t uniform"
    assert found["value"] == pytest.approx(wanted, rel=2e-3)
    # The same in Z is another number.
    other = ppl_z.measure(flat(), pixels, *z)["ppl_z_lpips_vgg"]
    assert abs(other.value / wanted - 1) > 0.1
    name, end, _ = measured(sampling="end")
    assert name == "ppl_w_end_lpips_vgg" and end["path"] == "lerp of w, t 0"
    assert end["value"] == pytest.approx(wanted, rel=2e-3)  # a line is as long anywhere


def test_the_crop_is_the_papers():
    images = np.zeros((1, 16, 32, 1), np.float32)
    images[:, 6:14, 8:24] = 1  # rows 3/8 to 7/8, columns 2/8 to 6/8
    found = ppl_z.seen(jnp.asarray(images), True)
    assert found.shape == (1, 8, 16, 1) and found.min() == 1
    np.testing.assert_array_equal(ppl_z.seen(images, False), images)


def test_large_images_are_shrunk_by_means():
    images = np.random.default_rng(0).normal(size=(1, 1024, 512, 2))
    found = at_most(images, 256)
    wanted = images.reshape(1, 256, 4, 128, 4, 2).mean((2, 4))
    np.testing.assert_allclose(found, wanted)
    assert at_most(images[:, :301, :300], 256).shape == (1, 150, 150, 2)
    assert at_most(images[:, :256, :256], 256).shape == (1, 256, 256, 2)


@pytest.fixture(scope="module")
def run(styled_run):
    """The model of an untrained run, and its setting with 20 pairs."""
    from experiments.sampling.model import Model

    model = Model.load(styled_run)
    config = model.config.copy_and_resolve_references()
    with config.unlocked():
        config.n_evaluate, config.extractor = 20, "random"
    return model, config


@pytest.mark.slow
def test_a_model_with_a_mapping_network(run):
    model, config = run
    setting = Setting(model.gan, model.data, config)
    (result,) = ppl_w.make(model.gan, model.spec, model.data, setting=setting)(
        model.state
    ).values()
    # The mean over the pairs of the squared step of the features, by hand: noise and
    # classes are those of `path_length`, one batch.
    found = result.to_json()
    assert found["n_pairs"] == 20 and found["value"] > 0
    net = generator.bound(model.gan, model.state)
    z = [model.sampler().inputs(jax.random.key(i), 20)["z"] for i in (0, 1)]
    label = setting.classes("sample", 20)["label"]
    mapping = jax.jit(functools.partial(net, method="mapping"))
    w = [np.asarray(mapping(x, label), np.float64) for x in z]
    key_t, key = jax.random.split(jax.random.key(2))
    t = np.asarray(jax.random.uniform(key_t, (20, 1)))[..., None]
    synthesis = jax.jit(functools.partial(net, method="synthesis"))
    pair = [
        synthesis(
            jnp.asarray(w[0] + (t + e) * (w[1] - w[0]), jnp.float32),
            key=jax.random.fold_in(key, 0),
        )
        for e in (0, 1e-4)
    ]
    extractor = setting.images["sample"].data.extractor
    apply = jax.jit(extractor.apply)
    h = [
        np.asarray(apply(extractor.variables, (x + 1) * 127.5)["features"])
        for x in pair
    ]
    h = [x.astype(np.float64) / np.linalg.norm(x, axis=1, keepdims=True) for x in h]
    lengths = np.sum((h[1] - h[0]) ** 2, axis=1) / 1e-8
    assert found["value"] == pytest.approx(lengths.mean(), rel=0.05)


def test_options_and_models_that_cannot_be_measured(run):
    model, config = run
    setting = Setting(model.gan, model.data, config)
    for make in (ppl_w.make, ppl_z.make):
        with pytest.raises(
            ValueError, match="sampling: 'ends' is not one of end, full"
        ):
            make(model.gan, model.spec, model.data, setting=setting, sampling="ends")
    plain = types.SimpleNamespace(nets={"g": types.SimpleNamespace(module=object())})
    with pytest.raises(ValueError, match="ppl_w: .*no mapping network.*ppl_z is the"):
        ppl_w.make(plain, model.spec, model.data, setting=setting)
