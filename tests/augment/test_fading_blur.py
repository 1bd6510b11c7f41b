"""The blur that fades out: the authors' taps, its schedule and its gradient."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import augment
from gans.augment.fading_blur import blurred

SCHEDULES = "shared/reference/parity/style/schedules_style.npz"


@pytest.mark.parametrize("sigma", ["10.0", "3.7", "0.5"])
def test_the_authors_taps(sigma):
    path = pathlib.Path(__file__).parents[3] / SCHEDULES
    if not path.exists():
        pytest.skip("the authors' schedules are not in ../shared/reference/parity")
    with np.load(path) as file:
        taps = file[f"out/blur_taps_{sigma}"]
    dot = np.zeros((1, 61, 61, 1), np.float32)
    dot[0, 30, 30] = 1
    reach, taps = len(taps) // 2, taps / taps.sum()
    wanted = np.zeros((61, 61))
    inside = slice(30 - reach, 31 + reach)
    wanted[inside, inside] = np.outer(taps, taps)
    found = blurred(jnp.asarray(dot), jnp.float32(sigma))[0, ..., 0]
    assert np.allclose(found, wanted, atol=1e-6)
    other = blurred(jnp.asarray(dot), jnp.float32(sigma) * 1.1)[0, ..., 0]
    assert not np.allclose(other, wanted, atol=1e-6)


def test_it_fades_and_ends():
    fading = augment.make("fading_blur", sigma=2.0, stop=100)
    x = jax.random.normal(jax.random.key(0), (2, 8, 6, 3))
    rough = [float(jnp.var(fading.apply(x, None, jnp.int32(i)))) for i in (0, 50, 100)]
    assert rough[0] < rough[1] < rough[2]
    assert np.array_equal(fading.apply(x, None, jnp.int32(100)), x)
    assert np.array_equal(fading.apply(x, None, jnp.int32(10_000)), x)
    # Linear, so its derivative is itself; and zeros are beyond the edge.
    ones = jnp.ones_like(x)
    total = jax.grad(lambda x: fading.apply(x, None, jnp.int32(0)).sum())(x)
    assert np.allclose(total, fading.apply(ones, None, jnp.int32(0)), atol=1e-6)
    assert total[0, 0, 0, 0] < total[0, 4, 3, 0]


def test_what_it_cannot_be():
    for options in ({"sigma": 11.0}, {"sigma": 0.0}, {"stop": 0}):
        with pytest.raises(ValueError, match=f"fading_blur: {[*options][0]}="):
            augment.make("fading_blur", **options)
    with pytest.raises(ValueError, match="of kind image"):
        augment.make("fading_blur").check("point")
