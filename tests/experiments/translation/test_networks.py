"""The networks of pix2pix and CycleGAN, narrow ones, on pictures of any size."""

import functools

import jax
import numpy as np
import pytest

from configs import cyclegan, pix2pix
from experiments import config as configs
from experiments.sampling.model import Model
from experiments.translation import tiles
from experiments.translation.translator import resized
from gans import core
from gans.data.source import InMemory
from gans.data.spec import Field

SIDE = 32


def blank():
    field = Field("image", (SIDE, SIDE, 3), "uint8")
    x = np.zeros((1, *field.shape), np.uint8)
    return InMemory("blank", {"a": x, "b": x}, {"a": field, "b": field})


def model_of(module, generator, data=None):
    config = module.get_config("folder_small")
    config.resolution, config.discriminator.width = SIDE, 2
    config.generator.update(generator)
    config.data, config.jitter = data or config.data, 0
    source = configs.load_data(config) if data else blank()
    config = configs.resolve(config, source)
    gan = configs.build(config)
    shapes = jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
    random = np.random.default_rng(0)

    def first(x):
        """Kernels that blur and mix channels: what comes out is as smooth as x."""
        taps, channels = (x.shape[:2], x.shape[2:]) if x.ndim == 4 else ((), x.shape)
        values = random.standard_normal(channels) / np.prod((1, *taps))
        return np.broadcast_to(values, x.shape).astype(x.dtype)

    state = jax.tree.map(first, shapes)
    return Model(config, source.spec, gan, state)


@pytest.fixture(scope="module")
def residual():
    return model_of(cyclegan, {"width": 4, "blocks": 1})


@pytest.fixture(scope="module")
def unet():
    return model_of(pix2pix, {"width": 2})


def photo(height, width):
    coarse = np.random.default_rng(1).integers(0, 256, (height // 16 + 2,) * 2 + (3,))
    return resized(coarse.astype(np.uint8), height, width)


def test_what_sides_must_be(residual, unet):
    assert residual.translator("b_to_a").shapes.multiple == 4
    assert residual.translator("cycle_b").shapes.multiple == 4
    assert unet.translator().shapes.multiple == SIDE


@pytest.mark.parametrize("size", [(1, 1), (33, 70), (150, 31)])
@pytest.mark.parametrize("asked", ["training", "full"])
def test_any_size(residual, unet, size, asked):
    for model, output in ((residual, "a_to_b"), (unet, "sample")):
        (made,) = model.translate([photo(*size)], output=output, size=asked, tile=64)
        assert made.shape == (*size, 3) and made.dtype == np.uint8


def test_at_the_size_of_training_it_is_the_network(residual):
    x = photo(SIDE, SIDE)
    (made,) = residual.translate([x], output="a_to_b")
    g = core.bind(residual.gan, residual.state, train=False, ema=True)["g_ab"]
    wanted = np.asarray(g((x / 127.5 - 1).astype(np.float32)[None])[0])
    np.testing.assert_allclose(made, (wanted + 1) * 127.5, atol=0.6)


@pytest.mark.parametrize(
    "task, channels", [("colourise", 3), ("edges", 3), ("inpaint", 4)]
)
def test_tasks_that_are_made_of_pictures(task, channels):
    model = model_of(pix2pix, {"width": 2}, f"{task}:photos")
    x = photo(50, 70)
    if channels == 4:
        x = np.concatenate([x, np.full((50, 70, 1), 255, np.uint8)], axis=-1)
        x[10:30, 20:40, 3] = 0
    (made,) = model.translate([x])
    assert made.shape == (50, 70, 3)
    if channels == 4:
        kept = x[..., 3] > 0
        np.testing.assert_array_equal(made[kept], x[..., :3][kept])
    with pytest.raises(ValueError, match=rf"wanted \[H, W, {channels}\]"):
        model.translate([x[..., :2]])


def steps(x, axis):
    """The mean change from each column to the next, or from row to row."""
    return np.abs(np.diff(x, axis=axis)).mean((1 - axis, 2))


def test_no_seam_is_seen(residual, monkeypatch):
    """Instance norm makes tiles of different brightness; they pass into each other."""
    x = (photo(260, 240) / 127.5 - 1).astype(np.float32)
    x[:, 120:] *= 0.2  # half of it has little contrast
    options = {"output": "a_to_b", "size": "full"}
    whole, tiled = (
        residual.translate([x], tile=tile, **options)[0] for tile in (512, 128)
    )
    assert np.abs(tiled - whole).mean() > 0.1
    monkeypatch.setattr(tiles, "OVERLAP", 0)
    (hard,) = residual.translate([x], tile=128, **options)
    for axis in (0, 1):
        seam = steps(hard, axis).argmax()
        of_hard, of_tiled = (steps(made, axis)[seam] for made in (hard, tiled))
        assert of_hard > 1.5 * steps(whole, axis).max()
        assert of_tiled < steps(whole, axis).max()


@pytest.mark.slow
def test_a_large_photo(residual):
    (made,) = residual.translate([photo(2000, 3000)], output="a_to_b", size="full")
    assert made.shape == (2000, 3000, 3) and made.std() > 10
