"""MATLAB's bicubic: BasicSR's numbers, closed forms, the row of the standard sets."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.data import bicubic, reading
from gans.metrics.scores import fidelity

SHARED = pathlib.Path(__file__).parents[3] / "shared"
FIXTURE = SHARED / "reference/parity/super_resolution/imresize.npz"
SETS = SHARED / "data/sr"


@pytest.fixture(scope="module")
def basicsr():
    if not FIXTURE.exists():
        pytest.skip("no fixtures in ../shared/reference/parity")
    with np.load(FIXTURE) as file:
        return {name: file[name] for name in file.files if name != "meta"}


def worst(arrays):
    """The largest error of all pictures."""
    errors = []
    for name, wanted in arrays.items():
        case, _, way = name.partition("/")
        if not case.isdigit() or way.endswith(("image", "input")):
            continue
        scale = float(way.rpartition("x")[2])
        scale = 1 / 3 if scale == 0.333333 else scale
        given = arrays.get(f"{name}/input", arrays[f"{case}/image"])
        if way.startswith("grey"):
            given, wanted = given[..., 1:2], wanted[..., None]
        given = given.astype(np.float64) / (255 if given.dtype == np.uint8 else 1)
        found = bicubic.resize(given, scale)
        assert found.shape == wanted.shape, name
        errors.append(np.abs(found - wanted).max())
    assert len(errors) == 11
    return max(errors)


def test_basicsr_has_the_same_numbers(basicsr):
    assert worst(basicsr) < 2e-6


def test_weights_are_basicsrs(basicsr):
    for length, n in ((16, 4), (5, 20)):
        weights = basicsr[f"weights_{length}_to_{n}"]
        places = basicsr[f"indices_{length}_to_{n}"].astype(int)
        before, _ = basicsr[f"sym_{length}_to_{n}"]
        places = places - int(before)  # of the row without its padding
        places = np.where(places < 0, -1 - places, places)
        places = np.where(places >= length, 2 * length - 1 - places, places)
        wanted = np.zeros((n, length))
        for i in range(n):
            np.add.at(wanted[i], places[i], weights[i])
        found = bicubic.matrix(length, n, n / length).toarray()
        np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("wrong", ["kernel", "antialias", "border"])
def test_a_small_change_would_be_seen(wrong, basicsr, monkeypatch):
    """The negative control of the test before."""
    matrix, cubic = bicubic.matrix, bicubic._cubic
    if wrong == "kernel":  # a = -0.75, as OpenCV has it

        def other(x):
            x = np.abs(x)
            near = 1.25 * x**3 - 2.25 * x**2 + 1
            far = -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
            return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

        monkeypatch.setattr(bicubic, "_cubic", other)
    if wrong == "antialias":
        monkeypatch.setattr(bicubic, "_cubic", lambda x: cubic(1.1 * x))
    if wrong == "border":

        def cut(length, n, scale):
            made = matrix(length, n, scale).toarray()
            made[:, 0] *= 0.9
            return made / made.sum(1, keepdims=True)

        monkeypatch.setattr(bicubic, "matrix", cut)
    matrix.cache_clear()
    assert worst(basicsr) > 1e-4
    matrix.cache_clear()


def test_closed_forms():
    flat = np.full((9, 14, 3), 77, np.uint8)
    np.testing.assert_array_equal(bicubic.resize(flat, 1 / 3), flat[:3, :5])
    x = np.random.default_rng(0).random((7, 8, 2))
    np.testing.assert_allclose(bicubic.resize(x, 1.0), x, atol=1e-15)
    # Twice as large, in the inside: 0.2265625, 0.8671875, ... of Keys' kernel at
    # distances 0.25, 0.75, 1.25 and 1.75.
    line = np.zeros((1, 9, 1))
    line[0, 4] = 1
    made = bicubic.resize(line, size=(1, 18))[0, :, 0]
    wanted = [-0.0234375, -0.0703125, 0.2265625, 0.8671875]
    np.testing.assert_allclose(made[5:13], [*wanted, *wanted[::-1]])
    # Half as large, of a line that is smaller than the kernel: mirrored twice.
    assert bicubic.resize(np.ones((1, 1, 1)), size=(1, 4)) == pytest.approx(1)


def test_bytes_are_rounded_and_clipped():
    x = np.zeros((8, 8, 1), np.uint8)
    x[:, 4:] = 255
    made = bicubic.resize(x, 2)
    wanted = bicubic.resize(x.astype(float), 2)
    assert made.dtype == np.uint8 and wanted.min() < -1 and wanted.max() > 256
    np.testing.assert_array_equal(made, np.floor(np.clip(wanted, 0, 255) + 0.5))


def test_what_is_no_size():
    x = np.zeros((8, 8, 1))
    for options in ({}, {"scale": 2, "size": (4, 4)}, {"scale": 0}, {"size": (0, 4)}):
        with pytest.raises(ValueError, match="bicubic: "):
            bicubic.resize(x, **options)


def row(name, scale=4):
    """PSNR and SSIM of a set's pictures from their quarters, as papers have them."""
    if not (SETS / name).is_dir():
        pytest.skip(f"{name} is not in ../shared/data/sr")
    found = []
    for path in sorted((SETS / name).iterdir()):
        with reading.opened(path) as image:
            real = np.asarray(image.convert("RGB"))
        height, width = (n - n % scale for n in real.shape[:2])
        real = real[:height, :width]
        made = bicubic.resize(bicubic.resize(real, 1 / scale), scale)
        with jax.enable_x64(True):
            found.append(measured(made[None], real[None], scale))
    return np.mean(found, 0)


@functools.partial(
    jax.jit, static_argnums=2, compiler_options={"xla_backend_optimization_level": 0}
)
def measured(made, real, crop):
    x, y = (fidelity.luma(fidelity.cropped(x, crop)) for x in (made, real))
    return jnp.stack([fidelity.psnr(x, y)[0], fidelity.ssim(x, y)[0]])


@pytest.mark.parametrize(
    "name, psnr, ssim",
    [
        ("Set5", 28.43, 0.8113),
        pytest.param("Set14", 26.09, 0.7050, marks=pytest.mark.slow),
        pytest.param("BSD100", 25.96, 0.6682, marks=pytest.mark.slow),
    ],
)
def test_the_row_of_the_standard_sets(name, psnr, ssim):
    found = row(name)
    assert found[0] == pytest.approx(psnr, abs=0.0051)
    assert found[1] == pytest.approx(ssim, abs=0.000051)
