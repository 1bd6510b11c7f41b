"""Outputs that make pictures of pictures, and pictures of any size through them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.sampling.model import Model
from experiments.translation.translator import Translator, key_of, resized
from gans import core
from gans.core import GAN, Net
from gans.data.kinds.image import encode
from gans.data.sets import colourise, edges
from gans.data.spec import Field


@pytest.fixture(scope="module")
def model_of(system):
    """model_of("cycle") -> the model of that system, untrained."""

    def make(name):
        source = system(name).source()
        config = configs.resolve(system(name).get_config(), source)
        gan = configs.build(config)
        state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
        return Model(config, source.spec, gan, state)

    return make


class Times(nn.Module):
    """x [B, H, W, C] -> C_out channels of its mean, times a parameter that is 1."""

    channels: int = 3
    multiple: int = 1

    @nn.compact
    def __call__(self, x, *, train):
        scale = self.param("scale", nn.initializers.ones, ())
        if any(n % self.multiple for n in x.shape[1:3]):
            raise ValueError(f"{x.shape} does not fit")
        return jnp.repeat(x.mean(-1, keepdims=True), self.channels, -1) * scale


def gan_of(channels=(3, 3), side=16, multiple=1, outputs=None):
    spec = {
        name: Field("image", (side, side, n), "uint8")
        for name, n in zip("ab", channels, strict=True)
    }
    x = jax.ShapeDtypeStruct((1, side, side, channels[0]), jnp.float32)
    gan = GAN(
        nets={"g": Net(Times(channels[1], multiple), (x,))},
        updates=(),
        inputs=lambda key, batch: {"a": batch["a"], "z": jax.random.normal(key, (1,))},
        outputs=outputs
        or {"sample": lambda nets, inputs, key: {"b": nets["g"](inputs["a"])}},
        conditioned_on=("a",),
    )
    return gan, spec, core.init(gan, jax.random.key(0))


def picture(height, width, channels=3, seed=0):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, channels))
    return resized(coarse.astype(np.uint8), height, width)


def seeing(gan, seen):
    """The GAN, of which the shapes and values that it is given are noted."""

    def sample(nets, inputs, key):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), inputs["a"])
        return {"b": nets["g"](inputs["a"])}

    return GAN(gan.nets, (), gan.inputs, {"sample": sample}, ("a",))


def test_which_outputs_are_translations(model_of):
    model = model_of("cycle")
    found = Translator(model.gan, model.spec, model.state)
    assert (found.output, found.given, found.made) == ("a_to_b", "a", "b")
    assert found.others[0] == "b_to_a" and found.random is False
    other = Translator(model.gan, model.spec, model.state, "b_to_a")
    assert (other.given, other.made) == ("b", "a")
    with pytest.raises(ValueError, match="'b_to_b' is not one of.*did you mean"):
        Translator(model.gan, model.spec, model.state, "b_to_b")
    pair = model_of("paired")
    found = Translator(pair.gan, pair.spec, pair.state)
    assert (found.given, found.made) == ("input", "target")
    assert found.random and found.channels == 1


def test_a_model_that_is_given_no_picture(tiny):
    config = tiny("gan", "ring8")
    gan = configs.build(config)
    state = jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
    spec = {"point": Field("point", (2,), "float32")}
    with pytest.raises(ValueError, match="no picture of a picture.*sample"):
        Translator(gan, spec, state)


def test_outputs_that_make_no_picture():
    outputs = {
        "score": lambda nets, inputs, key: {"score": inputs["a"].mean((1, 2, 3))},
        "noise": lambda nets, inputs, key: {"b": jnp.ones((1, 16, 16, 3))},
    }
    made = gan_of(outputs=outputs)
    for output in outputs:
        with pytest.raises(ValueError, match=f"output '{output}' does not make one"):
            Translator(*made, output)
    with pytest.raises(ValueError, match="no picture of a picture"):
        Translator(*gan_of(channels=(3, 4)))  # with holes


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (37, 90), (90, 37), (300, 20)])
@pytest.mark.parametrize("asked", ["training", "full", 24])
def test_any_size_comes_back(size, asked):
    translate = Translator(*gan_of(multiple=8), size=asked, tile=64)
    x = picture(*size)
    made = translate(x, jax.random.key(0))
    assert made.shape == (*size, 3) and made.dtype == np.float32
    grey = x.mean(-1, keepdims=True).repeat(3, -1) / 127.5 - 1
    if asked == "full" or min(size) == asked:
        np.testing.assert_allclose(made, grey, atol=1e-5)
    else:  # smooth pictures survive smaller sizes, but for their details
        assert np.abs(made - grey).mean() < 0.2
    floats = translate((x / 127.5 - 1).astype(np.float32), jax.random.key(0))
    np.testing.assert_allclose(floats, made, atol=0.02)


def test_it_is_shown_as_it_was_trained():
    """The shorter side has as many pixels as in training; and none is distorted."""
    gan, spec, state = gan_of(side=16)
    for size, wanted in (("training", (16, 24)), ("squash", (16, 16))):
        seen = []
        translate = Translator(seeing(gan, seen), spec, state, size=size)
        translate(picture(64, 96), jax.random.key(0))
        assert [x.shape for x in seen] == [(1, *wanted, 3)]


def test_colours_of_grey_keep_its_lightness():
    x = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    made = Translator(*gan_of((1, 3)), name="colourise:photos")(x, jax.random.key(0))
    # The network saw 16 pixels; what it makes is grey, so the picture is, in detail.
    grey = colourise.given(x).astype(int)
    assert made.shape == (50, 40, 3)
    np.testing.assert_allclose((made + 1) * 127.5, grey.repeat(3, -1), atol=4)
    # Another set would have the detail of 16 pixels.
    other = Translator(*gan_of((1, 3)))(grey.astype(np.uint8), jax.random.key(0))
    assert np.abs((other + 1) * 127.5 - grey).max() > 20


def test_drawings_are_made_or_are_there_already():
    gan, spec, state = gan_of((1, 3), side=32)
    x, seen = picture(64, 64), []
    options = {"name": "edges:photos", "size": "full"}
    draws = Translator(seeing(gan, seen), spec, state, **options)
    assert draws.channels == 3 and not draws.coloured
    draws(x, jax.random.key(0))
    drawing = edges.given(x)
    np.testing.assert_allclose((seen[-1][0] + 1) * 127.5, drawing, atol=1e-3)
    drawn = Translator(seeing(gan, seen), spec, state, already=True, **options)
    assert drawn.channels == 1
    drawn(drawing, jax.random.key(0))
    np.testing.assert_array_equal(seen[0], seen[1])
    with pytest.raises(ValueError, match="given pictures as they are anyway"):
        Translator(gan, spec, state, name="pairs:x", already=True)


def test_holes_are_filled_and_the_rest_is_kept():
    gan, spec, state = gan_of((4, 3))
    x, seen = picture(50, 40, 4).copy(), []
    x[..., 3] = 255
    x[10:20, 5:30, 3] = 0
    translate = Translator(seeing(gan, seen), spec, state, name="inpaint:photos")
    assert translate.channels == 4 and translate.coloured
    made = encode(translate(x, jax.random.key(0)))
    hole = x[..., 3] == 0
    np.testing.assert_array_equal(made[~hole], x[..., :3][~hole])
    assert (made[hole] != x[..., :3][hole]).any(-1).mean() > 0.9
    assert {*np.unique(seen[0][..., 3])} == {-1, 1}  # nothing in between


def test_only_side_a_is_made_of_pictures():
    gan, spec, state = gan_of((1, 3))
    back = GAN(
        nets={"g": Net(Times(1), (jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32),))},
        updates=(),
        inputs=lambda key, batch: {"b": batch["b"]},
        outputs={"sample": lambda nets, x, key: {"a": nets["g"](x["b"])}},
        conditioned_on=("b",),
    )
    translate = Translator(back, spec, core.init(back, jax.random.key(0)),
                           name="inpaint:photos", size="full")  # fmt: skip
    x = picture(20, 20)
    made = translate(x, jax.random.key(0))
    np.testing.assert_allclose((made + 1) * 127.5, x.mean(-1, keepdims=True), atol=1)


def test_sizes_that_cannot_be():
    for wanted in ("big", 0, -3):
        with pytest.raises(ValueError, match="wanted training, squash, full"):
            Translator(*gan_of(), size=wanted)
    with pytest.raises(ValueError, match="tile=8: wanted at least 16 pixels"):
        Translator(*gan_of(), tile=8)
    assert Translator(*gan_of(multiple=8), tile=30).shapes.tile == 24


def test_what_is_drawn_depends_on_seed_name_and_variant(model_of):
    model = model_of("paired")
    translate, x = model.translator(size="full"), picture(20, 30, 1)
    one = translate(x, key_of(0, "sub/a.png"))
    np.testing.assert_array_equal(one, translate(x, key_of(0, "sub/a.png")))
    for other in (
        key_of(1, "sub/a.png"),
        key_of(0, "a.png"),
        key_of(0, "sub/a.png", 1),
    ):
        assert np.abs(translate(x, other) - one).max() > 0.01


def test_a_model_that_makes_no_numbers():
    gan, spec, state = gan_of()
    state.params["g"]["scale"] = jnp.float32(np.nan)
    with pytest.raises(FloatingPointError, match="NaN"):
        Translator(gan, spec, state)(picture(16, 16), jax.random.key(0))


def test_the_digest_is_that_of_the_networks_in_use(model_of):
    model = model_of("cycle")

    def digest(output, **changes):
        state = model.state.replace(**changes)
        return Translator(model.gan, model.spec, state, output).digest()

    ema = dict(model.state.ema)
    ema["g_ba"] = jax.tree.map(lambda x: x + 1, ema["g_ba"])
    assert digest("a_to_b") == digest("a_to_b", ema=ema) != digest("b_to_a")
    assert digest("b_to_a") != digest("b_to_a", ema=ema)


def test_the_library():
    gan, spec, state = gan_of(channels=(3, 1))
    model = Model(ConfigDict({"variant": "times", "data": "own"}), spec, gan, state)
    photos = [picture(32, 48), picture(20, 17)]
    made = model.translate(photos, size="full")
    assert [x.shape for x in made] == [(32, 48, 1), (20, 17, 1)]
    assert all(x.dtype == np.uint8 for x in made)
    np.testing.assert_allclose(made[0], photos[0].mean(-1, keepdims=True), atol=1)
    (floats,) = model.translate([photos[0] / 127.5 - 1], size="full")
    np.testing.assert_allclose((floats + 1) * 127.5, made[0], atol=1)
    with pytest.raises(ValueError, match=r"images\[0\] .*wanted \[H, W, 3\]"):
        model.translate([np.zeros((4, 4), np.uint8)])
    assert model.translator() is model.translator()


def test_grey_drawings_get_colours_where_all_of_the_training_were_grey():
    gan, spec, state = gan_of()
    config = ConfigDict({"variant": "own", "data": "pairs:x"})
    for run, coloured in (({}, True), ({"colourless": ["b"]}, True),
                          ({"colourless": ["a"]}, False)):  # fmt: skip
        assert Model(config, spec, gan, state, run).translator().coloured == coloured


def test_it_is_shown_as_the_data_say():
    gan, spec, state = gan_of()
    for name, wanted in (("pairs:x:range=0..4095:fit=squash", "squash"),
                         ("pairs:x", "training")):  # fmt: skip
        model = Model(ConfigDict({"variant": "own", "data": name}), spec, gan, state)
        assert model.translator().size == wanted
        assert model.translator(size="full").size == "full"
    assert model.data_options == {}


def test_the_library_draws_by_the_place_in_the_list(model_of):
    model, x = model_of("paired"), picture(16, 16, 1)
    one, two = model.translate([x, x], seed=3)
    assert (one != two).any()
    np.testing.assert_array_equal(model.translate([x], seed=3)[0], one)
