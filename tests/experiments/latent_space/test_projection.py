"""Projection: the authors' schedules, noise and statistics; images that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.latent_space import projection
from experiments.latent_space.generator import mean_and_deviation
from experiments.latent_space.projection import Projector

SIZES = (8, 16, 32)


def test_schedules_are_the_authors(parity):
    fixture = parity("latent_projector")
    t = np.arange(100) / 100
    with jax.enable_x64(True):
        rate = np.asarray(projection.learning_rate(t))
        noise = np.asarray(projection.noise_on_w(t))
    np.testing.assert_allclose(rate, fixture["out/lr"], rtol=0, atol=1e-12)
    wanted = fixture["out/noise_factor"] * 0.05
    np.testing.assert_allclose(noise, wanted, rtol=0, atol=1e-12)
    assert rate[0] == 0
    # Controls: a step later, and a ramp that is not squared.
    later = np.asarray(projection.learning_rate((np.arange(100) + 1) / 100))
    assert np.abs(later - fixture["out/lr"]).max() > 0.01
    assert np.abs(0.05 * np.maximum(0, 1 - t / 0.75) - wanted).max() > 0.01


def test_statistics_are_the_authors(parity):
    fixture = parity("latent_projector")
    w = fixture["in/w"]
    mean, deviation = mean_and_deviation(w)
    np.testing.assert_allclose(mean, fixture["out/w_avg"], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(deviation, fixture["out/w_std"], rtol=1e-7)
    # Controls: a deviation for each dimension, and with N - 1.
    assert abs(w.std(0).mean() / deviation - 1) > 0.1
    assert abs(np.sqrt(49 / 50) - 1) > 1e-3


def test_noise_is_regularised_as_by_the_authors(parity):
    fixture = parity("latent_projector")
    planes = {f"b{n}": fixture[f"in/noise_{n}"] for n in SIZES}
    with jax.enable_x64(True):
        regulariser = projection.regulariser
        each = [float(regulariser(jnp.asarray(x))) for x in planes.values()]
        total = float(regulariser(jax.tree.map(jnp.asarray, planes)))
        normal = projection.normalised(jax.tree.map(jnp.asarray, planes))
    wanted = [fixture[f"out/noise_reg_{n}"] for n in SIZES]
    np.testing.assert_allclose(each, wanted, rtol=1e-8)
    np.testing.assert_allclose(total, fixture["out/noise_reg_total"], rtol=1e-8)
    for n in SIZES:
        wanted = fixture[f"out/noise_normalised_{n}"]
        np.testing.assert_allclose(normal[f"b{n}"], wanted, rtol=0, atol=2e-8)
    # Controls: without the pyramid, and scaled before the shift.
    x = planes["b32"]
    alone = sum(np.mean(x * np.roll(x, 1, axis)) ** 2 for axis in (0, 1))
    assert abs(alone / fixture["out/noise_reg_32"] - 1) > 0.05
    early = x / np.sqrt(np.mean(x**2))
    early -= early.mean()
    assert np.abs(early - fixture["out/noise_normalised_32"]).max() > 1e-3


A = np.random.default_rng(0).normal(size=(3, 4, 16)).astype(np.float32)
PLANES = {"b4": np.zeros((4, 4), np.float32)}


def render(variables, ws, planes):
    """Images 4x4 that are linear in ws [1, 3, 4], with little noise."""
    image = jnp.einsum("blw,lwp->bp", ws, variables) / 12
    return image.reshape(-1, 4, 4, 1) + 0.01 * planes["b4"][..., None]


def embed(variables, images):
    return images.reshape(len(images), -1) * variables


def projector(steps=120):
    return Projector(
        render,
        A,
        embed,
        jnp.ones(()),
        n_ws=3,
        w_avg=np.full(4, 0.5),
        w_std=1.0,
        steps=steps,
    )


def image_of(ws):
    image = np.einsum("lw,lwp->p", ws, A).reshape(4, 4, 1) / 12
    assert np.abs(image).max() < 1  # else it would be clipped
    return image


@pytest.fixture(scope="module")
def project():
    return projector()


def test_an_image_of_w_is_found(project):
    w = np.array([0.2, 0.9, -0.4, 0.6], np.float32)
    first, *between, last = project(image_of(np.tile(w, (3, 1))), PLANES, shown=(30,))
    assert [x.step for x in (first, *between, last)] == [0, 30, 120]
    np.testing.assert_allclose(first.free.w, np.full((1, 4), 0.5))
    assert last.distance < 0.01 * first.distance
    np.testing.assert_allclose(last.free.w, [w], atol=0.05)
    wanted = (
        image_of(np.tile(last.free.w, (3, 1))) + 0.01 * last.free.noise["b4"][..., None]
    )
    np.testing.assert_allclose(last.image, wanted, atol=1e-5)
    far = np.sum((last.image - image_of(np.tile(w, (3, 1)))) ** 2)
    np.testing.assert_allclose(last.distance, far, rtol=1e-4)
    plane = last.free.noise["b4"]
    assert abs(plane.mean()) < 1e-6 and np.mean(plane**2) == pytest.approx(1, abs=1e-5)


def test_an_image_of_several_w_needs_w_plus(project):
    ws = np.random.default_rng(3).normal(0.5, 0.5, (3, 4)).astype(np.float32)
    *_, one = project(image_of(ws), PLANES)
    *_, each = project(image_of(ws), PLANES, each_layer=True)
    assert each.free.w.shape == (3, 4) and one.free.w.shape == (1, 4)
    assert each.distance < 0.02 * one.distance


def test_a_seed_gives_the_same_again(project):
    image = image_of(np.full((3, 4), 0.1))
    found = [[*project(image, PLANES, seed=seed)][-1].free for seed in (1, 1, 2)]
    np.testing.assert_array_equal(found[0].w, found[1].w)
    assert np.abs(found[0].noise["b4"] - found[2].noise["b4"]).max() > 0.1


def test_what_is_not_finite_ends_at_once(project):
    with pytest.raises(FloatingPointError, match="distance is nan after 0 steps"):
        next(project(np.full((4, 4, 1), np.nan, np.float32), PLANES))


def test_a_generator_without_noise():
    made = Projector(
        lambda variables, ws, planes: render(variables, ws, {"b4": jnp.zeros((4, 4))}),
        A,
        embed,
        jnp.ones(()),
        n_ws=3,
        w_avg=np.zeros(4),
        w_std=1.0,
        steps=40,
    )
    first, last = made(image_of(np.full((3, 4), 0.3)), {})
    assert last.distance < first.distance and last.free.noise == {}
