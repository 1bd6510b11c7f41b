"""Path length: closed forms of linear generators, what is left out, what breaks it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.metrics.scores.path_length import path_length, slerp

KEY = jax.random.key(0)
L = 6
A = np.random.default_rng(0).normal(size=(L, 4 * 4 * 3)).astype(np.float32)


def linear(z, key):
    return (z @ A).reshape(-1, 4, 4, 3)


def squared(x, y):
    """The squared Euclidean distance: then a length is that of the derivative."""
    return jnp.sum((x - y) ** 2, axis=(1, 2, 3))


def ends(n=50, seed=1):
    """Of up to 50 values the percentiles leave none out: ranks 0.49 and 48.51."""
    return np.random.default_rng(seed).normal(size=(2, n, L)).astype(np.float32)


def on_sphere(n=50, radius=2.0):
    z = ends(n)
    return (radius * z / np.linalg.norm(z, axis=-1, keepdims=True)).astype(np.float32)


def angles(z0, z1):
    norms = np.linalg.norm(z0, axis=1) * np.linalg.norm(z1, axis=1)
    return np.arccos(np.sum(z0 * z1, axis=1) / norms)


def straight(w, key):
    return w


@pytest.mark.parametrize("sampling", ["full", "end"])
def test_a_straight_path_through_a_linear_generator(sampling):
    # g(w0 + t (w1 - w0)) has the derivative A (w1 - w0) everywhere.
    z0, z1 = ends()
    found = path_length(
        linear, squared, z0, z1, key=KEY, mapping=straight, sampling=sampling
    )
    lengths = np.sum(((z1 - z0).astype(float) @ A) ** 2, axis=1)
    np.testing.assert_allclose(found.mean, lengths.mean(), rtol=3e-4)
    error = lengths.std(ddof=1) / 50**0.5
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-3)
    assert found.n == 50


def test_an_arc_through_a_linear_generator():
    # At t = 0 on the sphere of radius 2, the derivative is the angle times the tangent
    # of length 2 that is square to z0 and leans to z1.
    z0, z1 = on_sphere().astype(float)
    theta = angles(z0, z1)[:, None]
    tangent = (z1 - np.cos(theta) * z0) / np.sin(theta)
    expected = np.sum((theta * tangent @ A) ** 2, axis=1).mean()
    found = path_length(linear, squared, z0, z1, key=KEY, sampling="end")
    np.testing.assert_allclose(found.mean, expected, rtol=3e-4)
    # A straight path, or another end of the arc, is another number.
    chord = path_length(
        linear, squared, z0, z1, key=KEY, sampling="end", mapping=straight
    )
    back = path_length(linear, squared, z1, z0, key=KEY, sampling="end")
    assert abs(chord.mean / expected - 1) > 3e-3 < abs(back.mean / expected - 1)


def test_an_arc_is_as_long_everywhere():
    # Of z itself: the squared angle times the squared radius, at every t.
    z0, z1 = on_sphere()
    found = path_length(lambda z, key: z.reshape(-1, 1, 1, L), squared, z0, z1, key=KEY)
    expected = np.mean(4 * angles(z0, z1) ** 2)
    np.testing.assert_allclose(found.mean, expected, rtol=3e-4)


def test_full_paths_are_measured_at_uniform_places():
    # With images w^2 / 2, w from 0 to 1, the derivative at t is t: its square has the
    # mean 1/3 and the deviation sqrt(1/5 - 1/9); at the end, t = 0, it is eps / 2.
    n = 40_000
    z0, z1 = np.zeros((n, 1)), np.ones((n, 1))

    def length(**kwargs):
        def generate(w, key):
            return (w**2 / 2).reshape(-1, 1, 1, 1)

        return path_length(
            generate, squared, z0, z1, key=KEY, mapping=straight, batch_size=n, **kwargs
        )

    full = length(epsilon=1e-3)
    # Without its lowest and highest hundredth: t^2 from 0.01 to 0.99 of a uniform t.
    expected = (0.99**3 - 0.01**3) / 3 / 0.98
    assert abs(full.mean - expected) < 4 * full.standard_error
    np.testing.assert_allclose(full.standard_error, 0.298 / n**0.5, rtol=0.05)
    np.testing.assert_allclose(length(sampling="end").mean, 2.5e-9, rtol=1e-3)


def test_w_is_where_the_mapping_leads():
    z0, z1 = ends()

    def mapping(z, key):
        return jnp.tanh(z) ** 3

    w0, w1 = (np.tanh(z.astype(float)) ** 3 for z in (z0, z1))
    expected = np.sum(((w1 - w0) @ A) ** 2, axis=1).mean()
    found = path_length(linear, squared, z0, z1, key=KEY, mapping=mapping)
    np.testing.assert_allclose(found.mean, expected, rtol=3e-4)


def test_percentiles_1_to_99_are_kept():
    # Lengths i^3 for i from 0 to 999. The ranks 9.99 and 989.01 are rounded outwards:
    # 9 to 990 are kept, 982 of 1000.
    z0 = np.zeros((1000, 2), np.float32)
    z0[:, 0] = np.arange(1000)
    order = np.random.default_rng(0).permutation(1000)
    found = path_length(
        lambda w, key: w.reshape(-1, 1, 1, 2),
        lambda x, y: (x[:, 0, 0, 0].round() ** 3) * 1e-8,
        z0[order],
        z0[order],
        key=KEY,
        mapping=straight,
    )
    kept = np.arange(9, 991.0) ** 3
    assert found.n == len(kept) == 982
    np.testing.assert_allclose(found.mean, kept.mean(), rtol=1e-6)
    expected = kept.std(ddof=1) / 982**0.5
    np.testing.assert_allclose(found.standard_error, expected, rtol=1e-5)
    all_ = np.arange(1000.0) ** 3
    assert abs(found.mean / all_.mean() - 1) > 1e-2


def test_both_ends_share_their_noise():
    def noisy(z, key):
        return linear(z, key) + 0.1 * jax.random.normal(key, (len(z), 4, 4, 3))

    z0, z1 = ends()
    quiet = path_length(linear, squared, z0, z1, key=KEY).mean
    np.testing.assert_allclose(
        path_length(noisy, squared, z0, z1, key=KEY).mean, quiet, rtol=1e-3
    )
    count = itertools.count()

    def unshared(z, key):
        return noisy(z, jax.random.fold_in(key, next(count)))

    # 48 numbers of variance 2 * 0.01, divided by 1e-8.
    found = path_length(unshared, squared, z0, z1, key=KEY).mean
    np.testing.assert_allclose(found, quiet + 48 * 0.02 / 1e-8, rtol=0.1)
    assert found > 1e4 * quiet


def test_8_bit_images_break_it():
    def coarse(z, key):
        return jnp.round(linear(z, key) * 127.5) / 127.5

    z0, z1 = ends()
    fine = path_length(linear, squared, z0, z1, key=KEY).mean
    assert path_length(coarse, squared, z0, z1, key=KEY).mean > 10 * fine
    # Small movements do not show at all.
    still = path_length(coarse, squared, z0, z0 + 1e-4 * z1, key=KEY)
    assert still.mean == 0

    def integers(z, key):
        return (linear(z, key) * 127.5 + 128).astype(jnp.uint8)

    with pytest.raises(ValueError, match="images are uint8, accepted are floats"):
        path_length(integers, squared, z0, z1, key=KEY)


def test_float32_images_are_precise_enough():
    # A network in float32, against the same in float64 at the same points.
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=(64, 64)) / 8 for _ in range(4)]
    layers = [w.astype(np.float32) for w in layers]

    def generate(z, key=None):
        np_ = np if z.dtype == np.float64 else jnp
        for w in layers:
            z = np_.tanh(1.5 * z @ w)
        return z.reshape(-1, 4, 4, 4)

    z0, z1 = rng.normal(size=(2, 50, 64)).astype(np.float32)
    a, b = (generate(slerp(z0, z1, np.full((50, 1), t))) for t in (0, 1e-4))
    assert a.dtype == np.float64
    expected = np.sum((a - b) ** 2, axis=(1, 2, 3)).mean() / 1e-8
    found = path_length(generate, squared, z0, z1, key=KEY, sampling="end")
    np.testing.assert_allclose(found.mean, expected, rtol=3e-4)


def test_batches_do_not_matter():
    z0, z1 = ends()

    def length(batch_size, n=50):
        return path_length(
            linear, squared, z0[:n], z1[:n], key=KEY, batch_size=batch_size
        )

    for batch_size in (1, 7, 49, 50):
        np.testing.assert_allclose(length(batch_size), length(64), rtol=1e-4)
    one = length(64, n=1)
    assert one.n == 1 and np.isnan(one.standard_error)


def test_the_key_decides():
    def length(key):
        return path_length(linear, squared, *ends(), key=key).mean

    assert length(KEY) == length(KEY) != length(jax.random.key(1))


def test_bad_arguments_are_rejected():
    z0, z1 = ends()
    with pytest.raises(ValueError, match="sampling: 'ends'.*did you mean 'end'"):
        path_length(linear, squared, z0, z1, key=KEY, sampling="ends")
    with pytest.raises(ValueError, match=r"z0 \(50, 6\) and z1 \(49, 6\)"):
        path_length(linear, squared, z0, z1[1:], key=KEY)

    def broken(x, y):
        return squared(x, y).at[3].set(jnp.nan)

    with pytest.raises(ValueError, match="1 of 50 are not finite"):
        path_length(linear, broken, z0, z1, key=KEY)
