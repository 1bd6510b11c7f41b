"""What holds for the pipeline beside the authors' numbers: chances, derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gans import augment
from gans.augment import pipeline
from gans.augment.pipeline import bands, geometry

KEY = jax.random.key(5)
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def images(shape, seed=0):
    """Uniform in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def resampled(x, inverse, beyond=100):
    """`geometry.resample` by its definition: pad, stuff, filter, sample, filter."""
    taps, out = geometry.LOW_PASS, []
    for image, m in zip(np.float64(x), np.float64(inverse), strict=True):
        height, width, _ = image.shape
        for axis in (0, 1):
            pads = [(0, 0)] * 3
            pads[axis] = (beyond, beyond)
            image = np.pad(image, pads, mode="reflect")
            stuffed = np.zeros(
                [n * (1 + (i == axis)) for i, n in enumerate(image.shape)]
            )
            np.moveaxis(stuffed, axis, 0)[::2] = np.moveaxis(image, axis, 0)
            # From 6 pixels before to 5 after, as for 2x with 12 taps.
            image = 2 * np.apply_along_axis(np.convolve, axis, stuffed, taps)
            image = np.moveaxis(np.moveaxis(image, axis, 0)[5:-6], 0, axis)
        rows, columns = 2 * (height + 6), 2 * (width + 6)
        found = np.zeros((rows, columns, x.shape[3]))
        for i, j in np.ndindex(rows, columns):
            # Doubled pixels are at 2c - 1/2, if c is the place from the centre.
            at = (np.array([j + 0.5 - columns / 2, i + 0.5 - rows / 2]) + 0.5) / 2
            col, row = 2 * (m[:2, :2] @ at + m[:2, 2]) - 0.5
            col += width + 2 * beyond - 0.5
            row += height + 2 * beyond - 0.5
            r, c = int(np.floor(row)), int(np.floor(col))
            a, b = row - r, col - c
            found[i, j] = (1 - a) * (1 - b) * image[r, c] + a * b * image[r + 1, c + 1]
            found[i, j] += (1 - a) * b * image[r, c + 1] + a * (1 - b) * image[r + 1, c]
        for axis in (0, 1):
            n = (height, width)[axis]
            part = np.moveaxis(found, axis, 0)
            found = sum(t * part[k + 1 :][: 2 * n : 2] for k, t in enumerate(taps))
            found = np.moveaxis(found, 0, axis)
        out.append(found)
    return np.stack(out)


def some_inverses(shape):
    draws = pipeline.draw(KEY, pipeline.parse("bg", ""), shape)
    values = {name: draw[0] for name, draw in draws.items()}
    fired = {name: jnp.ones(shape[0], bool) for name in values}
    return geometry.inverse(values, fired, *shape[1:3])


@pytest.mark.parametrize("shape", [(3, 5, 8, 2), (2, 6, 6, 1)])
def test_resampling_by_its_definition(shape):
    x = images(shape)
    inverse = some_inverses(shape).at[0, :2, 2].add(jnp.array([9.0, -30.0]))
    found = quick(geometry.resample)(x, inverse)
    np.testing.assert_allclose(found, resampled(x, inverse), atol=3e-5)
    moved = inverse.at[:, 0, 2].add(0.05)
    assert np.abs(found - resampled(x, moved)).max() > 0.01


def test_first_and_second_derivatives():
    # All is affine in the image, so a difference of any size is a derivative; with
    # D(x) = sum T(x)^3 / 3, the second derivative along w is 2 T' (T(x) (T' w)).
    shape = (3, 24, 23, 3)
    x, v, w = (images(shape, seed) for seed in range(3))
    strengths = pipeline.parse("bgcfnc", "")
    draws = pipeline.draw(KEY, strengths, shape)

    def f(x):
        return pipeline.apply(x, draws, strengths, 0.7)

    def slope(x):
        return jax.grad(lambda x: jnp.sum(f(x) ** 3) / 3)(x)

    def every(x, v, w):
        out, back = jax.vjp(f, x)
        double = jax.grad(lambda x: jnp.vdot(slope(x), w))(x)
        return out, f(x + v) - out, back(w)[0], double, back(2 * out * (f(x + w) - out))

    out, difference, back, double, (expected,) = quick(every)(x, v, w)
    scale = np.linalg.norm(w) * np.linalg.norm(difference)
    assert abs(np.vdot(back, v) - np.vdot(w, difference)) < 1e-5 * scale
    assert abs(np.vdot(w, v) - np.vdot(w, difference)) > 1e-4 * scale
    np.testing.assert_allclose(double, expected, atol=1e-4 * np.abs(expected).max())


def test_derivatives_against_torch():
    """Sampling and its gradients, as PyTorch's `grid_sample` has them."""
    torch = pytest.importorskip("torch")
    shape, size = (2, 7, 7, 3), (8, 10)
    image = images((2, *size, 3))
    v = images(shape, 1)
    y, x = images(shape[:3], 2) * 3 + 3.5, images(shape[:3], 3) * 4 + 4.5
    y, x = np.clip(y, 0, 6.9), np.clip(x, 0, 8.9)  # torch knows no period

    def f(image):
        return geometry._bilinear(image, y, x, size)

    def penalty(image):
        slope = jax.grad(lambda i: jnp.sum(v * f(i) ** 3))(image)
        return jnp.sum(slope**2)

    found = quick(lambda i: (f(i), jax.grad(penalty)(i)))(jnp.asarray(image))
    grid = np.stack([(2 * x + 1) / size[1] - 1, (2 * y + 1) / size[0] - 1], axis=-1)
    held = torch.tensor(image).permute(0, 3, 1, 2).double().requires_grad_()
    # Written out, because PyTorch has no second derivative of its own sampling.
    r, c = torch.tensor(y).floor().long(), torch.tensor(x).floor().long()
    a, b = (torch.tensor(t - np.floor(t))[:, None].double() for t in (y, x))
    n = torch.arange(2)[:, None, None]

    def at(i, j):
        return held[n, :, i, j].permute(0, 3, 1, 2)

    plain = at(r, c) * (1 - a) * (1 - b) + at(r + 1, c + 1) * a * b
    plain = plain + at(r + 1, c) * a * (1 - b) + at(r, c + 1) * (1 - a) * b
    theirs = torch.nn.functional.grid_sample(
        held.detach(), torch.tensor(grid).double(), align_corners=False
    )
    assert (plain - theirs).abs().max() < 1e-5
    weight = torch.tensor(v).permute(0, 3, 1, 2)
    (slope,) = torch.autograd.grad((weight * plain**3).sum(), held, create_graph=True)
    (second,) = torch.autograd.grad((slope**2).sum(), held)
    for mine, other in zip(found, (plain, second), strict=True):
        other = other.detach().permute(0, 2, 3, 1).numpy()
        np.testing.assert_allclose(mine, other, atol=1e-5 * np.abs(other).max())


@functools.partial(quick, static_argnames="names")
def transformed(x, key, p, names):
    strengths = pipeline.parse(names, "")
    return pipeline.apply(x, pipeline.draw(key, strengths, x.shape), strengths, p)


def test_probability_zero_is_the_identity():
    x = images((4, 32, 32, 3))
    np.testing.assert_allclose(transformed(x, KEY, 0.0, "bgcfnc"), x, atol=2e-6)
    np.testing.assert_array_equal(transformed(x, KEY, 0.0, "color+noise+cutout"), x)
    assert (
        np.abs(transformed(x, KEY, 0.5, "bgcfnc") - x).max(axis=(1, 2, 3)).min() > 0.1
    )


def test_without_geometry_nothing_is_resampled():
    def program(names):
        strengths = pipeline.parse(names, "")
        draws = pipeline.draw(KEY, strengths, (2, 32, 32, 3))
        x = jnp.zeros((2, 32, 32, 3))
        return str(
            jax.make_jaxpr(lambda x: pipeline.apply(x, draws, strengths, 1.0))(x)
        )

    assert "gather" not in program("color+filter+noise+cutout")
    assert "gather" in program("color+xflip")


LARGE = 20_000


def test_chances_and_distributions():
    strengths = pipeline.parse("bg+0.5*color+filter+cutout", "")
    draws = pipeline.draw(KEY, strengths, (LARGE, 32, 32, 3))
    assert strengths["hue"] == 0.5 and strengths["xflip"] == 1
    p, shares = 0.6, {}
    for name, (value, coin) in draws.items():
        transform = pipeline.TRANSFORMS[name]
        law = "uniform" if transform.draw is geometry.uniform else "norm"
        assert scipy.stats.kstest(np.ravel(value), law).pvalue > 1e-4, name
        shares[name] = np.asarray(coin < transform.chance(strengths[name] * p))
    deviation = np.sqrt(0.6 * 0.4 / LARGE)
    rotated = shares.pop("rotate_before") | shares.pop("rotate_after")
    for name, share in shares.items():
        chance = p * strengths[name]
        assert (np.abs(share.mean(axis=0) - chance) < 4.5 * deviation).all(), name
    assert abs(rotated.mean() - p) < 4.5 * deviation
    # Each by itself: of two, both fire with the product of their chances.
    both = (shares["xflip"] & shares["scale"]).mean()
    assert abs(both - p * p) < 4.5 * deviation < abs(both - p) / 10


def test_the_first_images_draw_what_they_draw_alone():
    strengths = pipeline.parse("bgcfnc", "")
    few = pipeline.draw(KEY, strengths, (3, 24, 24, 1))
    many = pipeline.draw(KEY, strengths, (6, 24, 24, 1))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[:3]), few, many)


def test_transformations_of_jax():
    x, keys = images((2, 24, 24, 1)), jax.random.split(KEY, 3)
    names = "bgcfnc"

    def slope(key):
        f = functools.partial(transformed.__wrapped__, key=key, p=0.8, names=names)
        return jax.grad(lambda x: jnp.sum(f(x) ** 2))(x)

    each = [quick(slope)(key) for key in keys]
    mapped = quick(jax.vmap(slope))(keys)
    np.testing.assert_allclose(mapped, each, rtol=1e-5, atol=2e-5)


def test_low_precision_stays():
    x = jax.ShapeDtypeStruct((2, 24, 24, 3), jnp.bfloat16)
    ada = augment.make("ada", transforms="bgcfnc")
    assert jax.eval_shape(ada.apply, x, KEY, 0, jnp.float32(0.1)) == x


def test_the_filter_keeps_a_flat_image_and_the_expected_power():
    fired = np.random.default_rng(0).random((500, 4)) < 0.5
    value = np.random.default_rng(1).standard_normal((500, 4))
    gains = np.asarray(quick(bands.gains)(value, fired))
    untouched = gains[~fired.any(axis=1)]
    np.testing.assert_allclose(untouched, 1, rtol=1e-6)
    alone = gains[fired.sum(axis=1) == 1]
    np.testing.assert_allclose((bands.POWER * alone**2).sum(axis=1), 1, rtol=1e-5)
    flat = quick(bands.amplify)(jnp.ones((1, 22, 25, 1)), jnp.ones((1, 4)))
    np.testing.assert_allclose(flat, 1, atol=1e-6)


@pytest.mark.parametrize(
    "shape, transforms, message",
    [
        ((21, 40, 3), "bgcf", "imgfilter is for images of at least 22x22 .* got 40x21"),
        ((32, 32, 4), "bgc", "brightness is for images of 1 or 3 channels, got 4"),
        ((1, 8, 3), "xflip", "xflip is for images of at least 2x2 pixels, got 8x1"),
    ],
)
def test_images_that_are_not_enough(shape, transforms, message):
    for name in "ada", "fixed_ada":
        made = augment.make(name, transforms=transforms)
        with pytest.raises(ValueError, match=f"augment {name}: transforms: {message}"):
            made.check("image", shape=shape)
    augment.make("ada", transforms="bg+noise+cutout").check("image", shape=(8, 8, 4))


def test_fixed_ada_does_what_ada_does_at_its_p():
    x = images((3, 8, 8, 3))
    fixed = augment.make("fixed_ada", transforms="bgc", p=0.3)
    ada = augment.make("ada", transforms="bgc")
    assert ada.adaptive and not fixed.adaptive
    found = quick(lambda x: fixed.apply(x, KEY, 0))(x)
    same = quick(lambda x, p: ada.apply(x, KEY, 0, p))(x, jnp.float32(0.3))
    np.testing.assert_allclose(found, same, atol=1e-6)
