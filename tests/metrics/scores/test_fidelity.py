"""L1, PSNR and SSIM against closed forms, BasicSR's numbers and scipy."""

import json
import pathlib

import jax
import numpy as np
import pytest

from gans.metrics.scores import fidelity

FIXTURE = (
    pathlib.Path(__file__).parents[4]
    / "shared/reference/parity/super_resolution/metrics.npz"
)


def wide(metric, *images):
    with jax.enable_x64(True):
        return np.asarray(jax.jit(metric)(*images))


@pytest.fixture(scope="module")
def basicsr():
    if not FIXTURE.exists():
        pytest.skip("no fixtures in ../shared/reference/parity")
    with np.load(FIXTURE) as file:
        values = json.loads(str(file["meta"]))["values"]
        return [(file[f"{i}/a"], file[f"{i}/b"], x) for i, x in enumerate(values)]


@pytest.mark.parametrize("crop", [0, 4])
@pytest.mark.parametrize("luma", [False, True])
@pytest.mark.parametrize("name, tolerance", [("psnr", 1e-4), ("ssim", 1e-6)])
def test_basicsr_has_the_same_numbers(name, tolerance, luma, crop, basicsr):
    for a, b, values in basicsr:
        x, y = (fidelity.cropped(image[None], crop) for image in (a, b))
        wanted = values[f"{name}_crop{crop}_{'y' if luma else 'rgb'}"]

        def measured(x, y):
            sides = (fidelity.luma(x), fidelity.luma(y)) if luma else (x, y)
            return getattr(fidelity, name)(*sides)

        assert wide(measured, x, y)[0] == pytest.approx(wanted, abs=tolerance)


@pytest.mark.parametrize("wrong", ["sigma", "window", "crop", "range"])
def test_a_small_change_would_be_seen(wrong, basicsr, monkeypatch):
    """The negative control of the test before."""
    a, b, values = basicsr[1]
    x, y = a[None], b[None]
    if wrong == "sigma":
        monkeypatch.setattr(fidelity, "SIGMA", 1.6)
    if wrong == "window":
        monkeypatch.setattr(fidelity, "WINDOW", 9)
    if wrong == "crop":
        x, y = (fidelity.cropped(image, 1) for image in (x, y))
    if wrong == "range":
        monkeypatch.setattr(fidelity, "LEVELS", 256.0)
    found = wide(lambda x, y: fidelity.ssim(x, y), x, y)[0]
    assert abs(found - values["ssim_crop0_rgb"]) > 1e-5


def test_closed_forms():
    x = np.full((2, 12, 13, 3), 100, np.uint8)
    y = x.copy()
    y[1] += 10
    # Every pixel differs by 10 levels: MSE 100.
    np.testing.assert_allclose(wide(fidelity.l1, x, y), [0, 10], rtol=1e-12)
    equal, apart = wide(fidelity.psnr, x, y)
    assert np.isinf(equal) and apart == pytest.approx(20 * np.log10(25.5))
    # Without contrast only the means count: (2 ab + c1) / (a^2 + b^2 + c1).
    c1 = 2.55**2
    wanted = (2 * 100 * 110 + c1) / (100**2 + 110**2 + c1)
    np.testing.assert_allclose(wide(fidelity.ssim, x, y), [1, wanted], rtol=1e-12)


def test_ssim_is_that_of_scipy():
    """An independent form: scipy's Gaussian filter, of which the inside is kept."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2, 20, 17, 2)).astype(np.float64)
    y = np.clip(x + rng.normal(0, 40, x.shape), 0, 255)

    def blurred(x):
        return gaussian_filter(x, (0, 1.5, 1.5, 0), truncate=3.4)[:, 5:-5, 5:-5]

    mx, my = blurred(x), blurred(y)
    vx, vy = blurred(x * x) - mx**2, blurred(y * y) - my**2
    cov, c1, c2 = blurred(x * y) - mx * my, 2.55**2, 7.65**2
    found = (2 * mx * my + c1) * (2 * cov + c2)
    found /= (mx**2 + my**2 + c1) * (vx + vy + c2)
    np.testing.assert_allclose(
        wide(fidelity.ssim, x, y), found.mean((1, 2, 3)), rtol=1e-12
    )


def test_float32_is_not_enough_for_ssim(basicsr):
    """Why the callers ask for float64."""
    a, b, values = basicsr[2]
    rough = float(jax.jit(fidelity.ssim)(a[None], b[None])[0])
    assert abs(rough - values["ssim_crop0_rgb"]) > 1e-9


def test_grey_images_have_the_luma_of_their_levels():
    grey = np.arange(0, 256, 15, dtype=np.uint8).reshape(1, 3, 6, 1)
    of_grey, of_rgb = (
        wide(fidelity.luma, x) for x in (grey, np.repeat(grey, 3, axis=-1))
    )
    np.testing.assert_allclose(of_grey, of_rgb, rtol=1e-12)
    assert of_grey.min() == 16 and of_grey.max() == pytest.approx(235, abs=0.01)


def test_images_smaller_than_the_window():
    x = np.zeros((1, 10, 12, 1), np.uint8)
    with pytest.raises(ValueError, match="12x10, smaller than its window of 11x11"):
        fidelity.ssim(x, x)
