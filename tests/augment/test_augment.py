"""Transforms, their draws and their gradients, against numpy; the controller."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gans import augment
from gans.augment import adaptive as controller
from gans.augment.diff_augment import diff_augment
from gans.augment.instance_noise import instance_noise
from gans.augment.transforms import TRANSFORMS

KEY = jax.random.key(3)
SHAPES = [(6, 8, 8, 3), (5, 6, 11, 1), (3, 32, 32, 3)]
PLAIN = {f.__name__: f for part in TRANSFORMS.values() for f in part}
# Little effort goes into compiling what runs once.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
compiled = {name: quick(f) for name, f in PLAIN.items()}


def images(shape, seed=0):
    """Uniform in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


# What a key draws is read off probes, images of which it can be seen; numpy then does
# the same to other images, which also shows that the draws do not depend on the images.


def drawn_brightness(shape, key):
    zeros = np.zeros(shape, np.float32)
    return np.asarray(compiled["brightness"](zeros, key))[:, :1, :1, :1]


def drawn_factor(name, shape, key, axis):
    """The image is 1 and -1 at the ends of an axis and 0 between: of mean 0."""
    probe = np.zeros(shape, np.float32)
    ends = np.moveaxis(probe, axis, 0)
    ends[0], ends[-1] = 1, -1
    out = np.moveaxis(np.asarray(compiled[name](probe, key)), axis, 0)
    return out[0].reshape(len(probe), -1)[:, :1, None, None]


def shifted(x, shifts):
    """Each image moved by its (rows, columns), zeros coming in, in float64."""
    out = np.zeros(x.shape)
    for (i, row, column), _ in np.ndenumerate(x[..., 0]):
        y, z = (row, column) - shifts[i]
        if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
            out[i, row, column] = x[i, y, z]
    return out


def drawn_shifts(shape, key):
    """Where the middle of each image, numbered pixel by pixel, has come from."""
    height, width = shape[1:3]
    numbers = np.arange(1, height * width + 1, dtype=np.float32).reshape(height, width)
    probe = np.broadcast_to(numbers[None, ..., None], shape)
    moved = np.asarray(compiled["translation"](probe, key))
    row, column = height // 2, width // 2
    y, x = np.divmod(moved[:, row, column, 0].astype(int) - 1, width)
    return np.stack([row - y, column - x], axis=1)


def drawn_masks(shape, key):
    """1 where an image is kept, 0 where it is cut."""
    return np.asarray(compiled["cutout"](np.ones(shape, np.float32), key), np.float64)


def expected(name, x, key):
    """The transform of x by what the key draws for its shape, in float64."""
    y = np.asarray(x, np.float64)
    if name == "brightness":
        return y + drawn_brightness(x.shape, key)
    if name == "translation":
        return shifted(y, drawn_shifts(x.shape, key))
    if name == "cutout":
        return y * drawn_masks(x.shape, key)
    if name == "saturation" and x.shape[3] == 1:
        return y
    axes, axis = {"saturation": (3, 3), "contrast": ((1, 2, 3), 1)}[name]
    mean = y.mean(axis=axes, keepdims=True)
    return mean + drawn_factor(name, x.shape, key, axis) * (y - mean)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PLAIN)
def test_transforms_against_numpy(name, shape):
    x = images(shape)
    out = compiled[name](x, KEY)
    assert out.dtype == x.dtype
    np.testing.assert_allclose(out, expected(name, x, KEY), atol=5e-7)
    # Another key is another transform, except of the saturation of grey.
    other = np.abs(out - expected(name, x, jax.random.key(4))).max()
    assert (other > 0.01) != ((name, shape[3]) == ("saturation", 1))


def test_the_wrong_means_are_told_apart():
    x = images(SHAPES[0])
    for name, axes, axis in ("saturation", (1, 2, 3), 3), ("contrast", 3, 1):
        mean = x.mean(axis=axes, keepdims=True)
        wrong = mean + drawn_factor(name, x.shape, KEY, axis) * (x - mean)
        assert np.abs(compiled[name](x, KEY) - wrong).max() > 0.01


def test_grey_and_geometry_are_exact():
    grey, x = images((5, 6, 11, 1)), images(SHAPES[2])
    np.testing.assert_array_equal(compiled["saturation"](grey, KEY), grey)
    for name in "translation", "cutout":
        out = np.asarray(compiled[name](x, KEY))
        np.testing.assert_array_equal(out, expected(name, x, KEY))
        assert np.abs(out).max() <= 1
        np.testing.assert_array_equal(compiled[name](2 * x, KEY), 2 * out)
    # The edge that comes in is grey, 0, also of images that are white.
    white = np.asarray(compiled["translation"](np.ones_like(x), KEY))
    assert set(np.unique(white)) == {0, 1}


def test_holes_are_rectangles_of_half_the_size():
    shape = (300, 7, 10, 2)  # sides 4 and 5: of an even and of an odd one
    for cut in 1 - drawn_masks(shape, KEY):
        rows, columns = cut.any(axis=(1, 2)), cut.any(axis=(0, 2))
        hole = np.outer(rows, columns)[..., None].repeat(2, axis=2)
        np.testing.assert_array_equal(cut, hole)
        for line, side in (rows, 4), (columns, 5):
            (at,) = np.nonzero(line)
            assert at[-1] - at[0] + 1 == len(at) <= side
            # Only the edge of the image makes a hole smaller, at most by half.
            inside = at[0] > 0 and at[-1] < len(line) - 1
            assert len(at) == side if inside else len(at) >= side // 2


LARGE = 4096  # draws; a true distribution is missed with probability 1e-4 at most


def test_distribution_of_colours():
    draws = {
        "brightness": drawn_brightness((LARGE, 2, 1, 1), KEY),
        "saturation": drawn_factor("saturation", (LARGE, 1, 1, 2), KEY, axis=3),
        "contrast": drawn_factor("contrast", (LARGE, 2, 1, 1), KEY, axis=1),
    }
    ranges = {"brightness": (-0.5, 0.5), "saturation": (0, 2), "contrast": (0.5, 1.5)}
    for name, (low, high) in ranges.items():
        drawn = draws[name].ravel()
        assert len(np.unique(drawn)) > 0.99 * LARGE  # each example its own
        for wide, holds in (0, True), (0.2, False):
            fit = scipy.stats.kstest(drawn, "uniform", (low, high + wide - low))
            assert (fit.pvalue > 1e-4) == holds


@pytest.mark.parametrize("shape, most", [((8, 8), 1), ((12, 20), (2, 3)), ((4, 3), 1)])
def test_distribution_of_translations(shape, most):
    # 1/8 of 8, 12 (1.5 -> 2), 20 (2.5 -> 3), 4 (0.5 -> 1); and 0 of 3.
    most = np.broadcast_to(most, 2) * (np.array(shape) > 3)
    shifts = drawn_shifts((LARGE, *shape, 1), KEY)
    sides = 2 * most + 1
    cells = np.ravel_multi_index((shifts + most).T, sides)  # raises outside
    counts = np.bincount(cells, minlength=sides.prod())
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    skewed = np.append(2, np.ones(len(counts) - 1)) * LARGE / (len(counts) + 1)
    assert scipy.stats.chisquare(counts, skewed).pvalue < 1e-4


def covered(n, places, side):
    """Probability that a pixel is in [start, start + side), of so many places."""
    starts = np.arange(places) - side // 2
    at = np.arange(n)[:, None]
    return ((starts <= at) & (at < starts + side)).mean(axis=1)


def test_distribution_of_holes():
    # Sides 4 and 3; centres on the 9 lines around 8 pixels, or on one of 5 pixels; of
    # the rows and of the columns by themselves.
    for width, at_columns in (8, covered(8, 9, 4)), (5, covered(5, 5, 3)):
        cut = 1 - drawn_masks((LARGE, 8, width, 1), KEY)[..., 0]
        share = np.outer(covered(8, 9, 4), at_columns)
        deviation = np.sqrt(share * (1 - share) / LARGE)
        assert (np.abs(cut.mean(axis=0) - share) < 5 * deviation).all()
        # Holes that lie wholly inside (5 places of 4 in 8) are seen in the corners.
        inside = np.outer([0.2, 0.4, 0.6, 0.8, 0.8, 0.6, 0.4, 0.2], at_columns)
        assert (np.abs(cut.mean(axis=0) - inside) > 10 * deviation).any()


@pytest.mark.parametrize("shape", [(LARGE, 2), (16, 16, 16, 1)])
def test_instance_noise(shape):
    x = images(shape)
    noisy = quick(instance_noise)
    added = np.asarray(noisy(x, KEY, 0.1)) - x
    for sigma, holds in (0.1, True), (0.12, False):
        fit = scipy.stats.kstest(added.ravel(), "norm", (0, sigma))
        assert (fit.pvalue > 1e-4) == holds
    # Independent between examples, and between the values of one.
    for a, b in (added[1:], added[:-1]), (added[:, 1:], added[:, :-1]):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)
    # The same noise is added to anything, in proportion to sigma.
    np.testing.assert_allclose(noisy(-x, KEY, 0.1) + x, added, atol=3e-7)
    np.testing.assert_allclose(noisy(x, KEY, 0.2) - x, 2 * added, atol=3e-7)
    np.testing.assert_array_equal(noisy(x, KEY, 0.0), x)


@pytest.mark.parametrize("name", PLAIN)
def test_gradients_against_differences(name):
    # For given draws a transform is affine: a difference of any size is its derivative.
    x, v, g = (images(SHAPES[0], seed) for seed in range(3))

    def both(x, v, g):
        f = functools.partial(PLAIN[name], key=KEY)
        return jax.jvp(f, (x,), (v,))[1], jax.vjp(f, x)[1](g)[0]

    forward, back = quick(both)(x, v, g)
    difference = np.float64(compiled[name](x + v, KEY)) - compiled[name](x, KEY)
    np.testing.assert_allclose(forward, difference, atol=2e-6)
    scale = np.linalg.norm(g) * np.linalg.norm(difference)
    assert abs(np.vdot(back, v) - np.vdot(g, difference)) < 1e-6 * scale
    # A gradient that ignores the transform is right for brightness alone.
    ignorant = abs(np.vdot(g, v) - np.vdot(g, difference))
    assert (ignorant > 1e-5 * scale) == (name != "brightness")
    if name == "cutout":
        np.testing.assert_array_equal(back, g * drawn_masks(x.shape, KEY))
    if name == "translation":
        shifts = drawn_shifts(x.shape, KEY)
        np.testing.assert_array_equal(back, shifted(g, -shifts))
        assert np.abs(back - shifted(g, shifts)).max() > 0.1


@pytest.mark.parametrize("name", ["translation", "cutout"])
def test_second_derivatives(name):
    # D(x) = sum T(x)^3 / 3 has gradient k x^2, where k is 1 at the pixels that T keeps;
    # the gradient of its squared norm, sum k x^4, is 4 k x^3.
    x = images(SHAPES[0])
    slope = jax.grad(lambda x: jnp.sum(PLAIN[name](x, KEY) ** 3) / 3)
    found = quick(jax.grad(lambda x: jnp.sum(slope(x) ** 2)))(x)
    shifts = drawn_shifts(x.shape, KEY)
    kept = shifted(shifted(np.ones_like(x), shifts), -shifts)
    if name == "cutout":
        kept = drawn_masks(x.shape, KEY)
    assert 0 < kept.mean() < 1
    np.testing.assert_allclose(found, 4 * kept * x**3, atol=1e-6)


whole = quick(diff_augment, static_argnums=2)


def test_probability_one_is_the_plain_thing():
    x, policy = images(SHAPES[0]), tuple(TRANSFORMS)
    assert list(PLAIN) == "brightness saturation contrast translation cutout".split()
    plain = x
    for name, key in zip(PLAIN, jax.random.split(KEY, (5, 2))[:, 1], strict=True):
        plain = compiled[name](plain, key)
    np.testing.assert_allclose(whole(x, KEY, policy), plain, atol=1e-6)
    assert np.abs(whole(x, KEY, policy, 0.5) - plain).max() > 0.1
    alone = compiled["cutout"](x, jax.random.split(KEY, (1, 2))[0, 1])
    np.testing.assert_array_equal(whole(x, KEY, ("cutout",)), alone)


def test_probability_zero_is_the_identity():
    x, g = images(SHAPES[0]), images(SHAPES[0], 1)

    def both(x, g, p):
        f = functools.partial(diff_augment, key=KEY, probability=p)
        out, back = jax.vjp(f, x)
        return out, back(g)[0]

    for given, found in zip((x, g), quick(both)(x, g, 0.0), strict=True):
        np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_each_transform_takes_its_turn_by_itself(p):
    # On a white image of one channel, brightness is seen in the pixels left, and
    # cutout in its zeros; saturation and contrast do nothing.
    ones = np.ones((LARGE, 4, 4, 1), np.float32)
    out = np.asarray(whole(ones, KEY, ("color", "cutout"), p))
    bright, cut = out.max(axis=(1, 2, 3)) != 1, out.min(axis=(1, 2, 3)) == 0
    both = [(bright & cut).mean(), (bright & ~cut).mean(), (~bright & cut).mean()]
    share = np.array([p * p, p * (1 - p), p * (1 - p)])
    deviation = np.sqrt(share * (1 - share) / LARGE)
    assert (np.abs(both - share) < 4 * deviation).all()
    # One draw for all transforms would be p, 0, 0.
    assert (np.abs([p, 0, 0] - share) > 20 * deviation).all()


def test_transformations_of_jax():
    x, policy = images((4, 8, 8, 3)), tuple(TRANSFORMS)
    keys, p = jax.random.split(KEY, 3), jnp.float32(0.7)

    def f(key):
        return diff_augment(x, key, policy, p)

    eager = [f(key) for key in keys]
    scan = quick(lambda keys: jax.lax.scan(lambda _, k: (None, f(k)), None, keys)[1])
    for form in quick(jax.vmap(f)), scan:
        np.testing.assert_allclose(form(keys), eager, atol=1e-6)
    assert np.abs(eager[0] - eager[1]).max() > 0.1


def test_low_precision_stays():
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.bfloat16)
    for f in *PLAIN.values(), diff_augment:
        assert jax.eval_shape(f, x, KEY) == x
    assert jax.eval_shape(instance_noise, x, KEY, jnp.float32(0.1)) == x


def test_overfitting_by_hand():
    # Signs 1, -1, 0, 1: a mean of 1/4; the mean logit is 2.
    logits = jnp.array([7.0, -1.0, 0.0, 2.0])
    assert controller.overfitting(logits) == 0.25
    assert controller.overfitting(jnp.array([0.1, 3.0], jnp.bfloat16)) == 1


def test_adaptation_by_hand():
    # 2,000 images of 500,000 change p by 0.004.
    for r_t, p in (0.7, 0.504), (0.5, 0.496), (-1.0, 0.496), (0.6, 0.5):
        adapted = controller.adapt(jnp.float32(0.5), jnp.float32(r_t), 2000)
        np.testing.assert_allclose(adapted, p, atol=1e-7)
    assert controller.adapt(jnp.float32(0.001), jnp.float32(0.0), 2000) == 0
    assert controller.adapt(jnp.float32(0.999), jnp.float32(1.0), 2000) == 1
    assert controller.adapt(jnp.float32(0), jnp.float32(0.3), 500, 0.2, kimg=1) == 0.5


def test_trajectory_of_p():
    # 4 steps of 50 images are 200 of 1,000: changes of 0.2 after steps 3, 7, 11 ...; up
    # for 28 steps, 1 from step 19 on, then down to 0 at step 47.
    ada = augment.make("ada", kimg=1, interval=4)
    up = np.arange(56) < 28
    logits = np.where(up[:, None], [3.0, 0.1], [1.0, -1.0])  # r_t of 1 and of 0

    def body(kept, inputs):
        step, on_real = inputs
        kept = ada.adapted(kept, on_real, step, 50)
        return kept, kept["p"]

    first = ada.first()
    _, found = quick(lambda *xs: jax.lax.scan(body, first, xs))(jnp.arange(56), logits)
    n_changes = (np.arange(56) + 1) // 4
    closed = np.where(up, 0.2 * n_changes, 1 - 0.2 * (n_changes - 7)).clip(0, 1)
    np.testing.assert_allclose(found, closed, atol=1e-6)
    # Changes at steps 0, 4, 8 ... would not pass.
    assert np.abs(np.roll(closed, -3) - closed).max() > 0.1


def test_p_moves_by_all_batches_of_its_interval():
    # r_t of 1, 1, 1, -1 is 0.5 in the mean: below 0.6, though three are above it.
    ada = augment.make("ada", kimg=1, interval=4, target=0.6)
    for signs, p in (((1, 1, 1, -1), 0.3), ((1, 1, 1, 0.5), 0.7)):
        kept = {"p": jnp.float32(0.5), "r": jnp.float32(0)}
        for step, sign in enumerate(signs):
            on_real = jnp.where(jnp.arange(4) < 4 * (1 + sign) / 2, 2.0, -2.0)
            assert kept["p"] == 0.5
            kept = ada.adapted(kept, on_real, jnp.int32(step), 50)
        np.testing.assert_allclose(kept["p"], p, rtol=1e-6)
        assert kept["r"] == 0


def test_instance_noise_decays_to_nothing():
    noise = augment.make("instance_noise", sigma=0.3, stop=100)
    x = images((50, 2))
    at = quick(lambda step: noise.apply(x, KEY, step) - x)
    full = instance_noise(x, KEY, 0.3) - x
    for step, left in (0, 1), (25, 0.75), (99, 0.01), (100, 0), (1000, 0):
        np.testing.assert_allclose(at(step), left * full, atol=3e-7)
    np.testing.assert_array_equal(noise.apply(x, KEY, jnp.int32(100)), x)
    forever = augment.make("instance_noise", sigma=0.3).apply(x, KEY, jnp.int32(10**6))
    np.testing.assert_allclose(forever - x, full, atol=3e-7)


def test_augmentations_do_what_their_functions_do():
    x, step = images(SHAPES[0]), jnp.int32(5)
    fixed = augment.make("diff_augment", policy=("cutout", "translation"))
    ada = augment.make("adaptive_diff_augment", policy=("cutout",))
    p = jnp.float32(0.5)
    for given, out in (
        (fixed.apply(x, KEY, step, None), whole(x, KEY, ("cutout", "translation"))),
        (ada.apply(x, KEY, step, p), whole(x, KEY, ("cutout",), p)),
    ):
        np.testing.assert_array_equal(given, out)
    assert augment.make("diff_augment").policy == tuple(TRANSFORMS)
    assert ada.adaptive and not fixed.adaptive
    for name in "adaptive_diff_augment", "ada":
        with pytest.raises(ValueError, match=f"{name} needs p"):
            augment.make(name).apply(x, KEY, step)
    with pytest.raises(ValueError, match="'flip' is not one of"):
        diff_augment(x, KEY, ("flip",))


def test_images_only_where_images_are_needed():
    for name in augment.known():
        augment.make(name).check("image")
    augment.make("instance_noise").check("point")
    for name, kind in ("diff_augment", "point"), ("ada", "series"):
        with pytest.raises(ValueError, match=f"{name} is for .*image, not '{kind}'"):
            augment.make(name).check(kind)


def test_adaptation_needs_logits_with_a_zero():
    augment.make("diff_augment").check("image", boundary=None)
    augment.make("ada").check("image", boundary=0.3)
    with pytest.raises(ValueError, match="ada follows the sign of .* Wasserstein"):
        augment.make("ada").check("image", boundary=None)


def test_augmentations_are_found_by_listing():
    known = "ada adaptive_diff_augment diff_augment fading_blur fixed_ada "
    known += "instance_noise"
    assert sorted(augment.known()) == known.split()


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("adda", {}, "augment: 'adda' is not one of ada, adaptive_diff_augment, diff_"),
        (
            "ada",
            {"sigma": 1},
            "ada has no option 'sigma'; accepted are interval, kimg, target, transf",
        ),
        (
            "diff_augment",
            {"policy": ("colour",)},
            "not one of color, cutout, translation",
        ),
        ("diff_augment", {"policy": ()}, "policy=() must be a tuple of names"),
        (
            "diff_augment",
            {"policy": "color"},
            "policy='color' must be a tuple, each",
        ),
        ("instance_noise", {"sigma": -1.0}, "sigma=-1.0 must be at least 0"),
        ("instance_noise", {"stop": 0}, "stop=0 must be at least 1 step"),
        ("ada", {"target": 1.0}, "target=1.0 must be in (-1, 1)"),
        ("ada", {"kimg": 0}, "augment ada: kimg=0 must be above 0"),
        ("ada", {"interval": 2.5}, "interval=2.5 must be a whole number"),
        ("ada", {"interval": 0}, "interval=0 must be at least 1 step"),
        (
            "adaptive_diff_augment",
            {"policy": ("color", "flip")},
            "'flip' is not one of",
        ),
        (
            "ada",
            {"transforms": "bgd"},
            "transforms: 'bgd' is not one of aniso, bg, bgc,",
        ),
        ("ada", {"transforms": "bgc+hue"}, "'bgc+hue' has 'hue' twice"),
        ("ada", {"transforms": "bg+2*color"}, "'2*color': '2' must be in (0, 1]"),
        ("ada", {"transforms": "x*color"}, "'x*color': 'x' must be in (0, 1]"),
        ("fixed_ada", {"p": 1.5}, "augment fixed_ada: p=1.5 must be in [0, 1]"),
    ],
)
def test_errors_name_what_is_accepted(name, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        augment.make(name, **options)
