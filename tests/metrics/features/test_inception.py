"""FID's Inception against torch-fidelity's, with the same random weights."""

import functools
import json
import math
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.metrics.features import inception, pth

TAPS = ["64", "192", "768", "2048", "logits_unbiased", "logits"]
# Of the largest number of a tap.
TOLERANCE = {"float32": 5e-6, "float64": 5e-7}
BATCHES = [(3, 32, 32), (1, 120, 90), (3, 171, 333)]


@pytest.fixture(scope="module")
def arrays():
    """He's scale for convolutions; normalisations that are far from the identity."""
    rng = np.random.default_rng(0)

    def draw(name, shape):
        if name.endswith(("bn.weight", "running_var")):
            return rng.uniform(0.5, 1.5, shape)
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 100
        return rng.normal(0, math.sqrt(2 / fan_in), shape)

    shapes = inception.pth_shapes().items()
    return {name: draw(name, shape).astype(np.float32) for name, shape in shapes}


@pytest.fixture(scope="module")
def file(reference, arrays, tmp_path_factory):
    torch = reference("torch")
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save({name: torch.from_numpy(x) for name, x in arrays.items()}, path)
    return path


@pytest.fixture(scope="module")
def theirs(reference, file):
    """theirs(batch, dtype) -> their taps of photo(*batch), rounded to float32."""

    @functools.cache
    def network(dtype):
        module = reference("torch_fidelity.feature_extractor_inceptionv3")
        found = module.FeatureExtractorInceptionV3(
            "inception", TAPS, feature_extractor_weights_path=str(file)
        )
        # Its argument for this takes "float64" for float32 (torch-fidelity 0.4).
        found.feature_extractor_internal_dtype = dtype
        return found.to(dtype)

    @functools.cache
    def taps(batch, dtype="float32"):
        torch = reference("torch")
        x = torch.from_numpy(np.moveaxis(photo(*batch), -1, 1).copy())
        found = network(getattr(torch, dtype))(x)
        return {tap: x.numpy() for tap, x in zip(TAPS, found, strict=True)}

    return taps


network = jax.jit(inception.Inception().apply)


@pytest.fixture(scope="module")
def variables(arrays):
    return inception.from_pth(arrays)


def photo(n, height, width, channels=3):
    """Images with large and small structures, uint8 [n, height, width, channels]."""
    rng = np.random.default_rng(height)
    coarse = rng.integers(0, 256, (n, 8, 8, channels))
    coarse = np.repeat(np.repeat(coarse, height // 8 + 1, 1), width // 8 + 1, 2)
    fine = rng.normal(0, 20, (n, height, width, channels))
    return (coarse[:, :height, :width] + fine).clip(0, 255).astype(np.uint8)


def errors(found, expected):
    """Per tap the largest difference, relative to the largest number."""
    assert set(found) == set(expected) == set(TAPS)
    return {
        tap: abs(np.asarray(found[tap], float) - expected[tap]).max()
        / abs(expected[tap]).max()
        for tap in TAPS
    }


@pytest.mark.parametrize("batch", BATCHES)
def test_every_tap(theirs, variables, batch):
    found = network(variables, inception.preprocess(photo(*batch), "tf"))
    assert max(errors(found, theirs(batch)).values()) < TOLERANCE["float32"]


@pytest.mark.parametrize("batch", BATCHES)
def test_every_tap_in_float64(theirs, arrays, batch):
    with jax.enable_x64(True):
        x = inception.preprocess(photo(*batch), "tf", jnp.float64)
        found = network(inception.from_pth(arrays, np.float64), x)
        assert all(x.dtype == jnp.float64 for x in found.values())
        found = errors(found, theirs(batch, "float64"))
    assert max(found.values()) < TOLERANCE["float64"]


def test_taps_tell_images_apart(theirs):
    """The tolerance would mean little if random weights gave each image the same."""
    for tap, x in theirs(BATCHES[0]).items():
        assert abs(x[0] - x[1]).max() > 1000 * TOLERANCE["float32"] * abs(x).max(), tap


@pytest.mark.parametrize(
    "wrong", ["epsilon", "scale", "half-pixel", "average in the last", "padding counts"]
)
def test_what_is_wrong_fails_by_ten_times(
    theirs, reference, arrays, variables, monkeypatch, wrong
):
    x = inception.preprocess(photo(*BATCHES[1]), "tf")
    if wrong == "epsilon":
        monkeypatch.setattr(inception, "EPSILON", 1e-5)
        variables = inception.from_pth(arrays)
    if wrong == "scale":
        x = (x * 128 + 128) / 127.5 - 1
    if wrong == "half-pixel":
        x = inception.preprocess(photo(*BATCHES[1]), "pytorch")
        x = (x * 127.5 + 127.5 - 128) / 128
    # In these two it is their network that goes wrong: ours would compile anew.
    functional = reference("torch").nn.functional
    average, maximum = functional.avg_pool2d, functional.max_pool2d

    def all_counted(x, *, count_include_pad, **kwargs):
        return average(x, **kwargs)

    def averaged(x, *args, **kwargs):
        if kwargs.get("padding") == 1:  # in the last block alone
            return average(x, count_include_pad=False, **kwargs)
        return maximum(x, *args, **kwargs)

    if wrong == "padding counts":
        monkeypatch.setattr(functional, "avg_pool2d", all_counted)
        theirs = theirs.__wrapped__
    if wrong == "average in the last":
        monkeypatch.setattr(functional, "max_pool2d", averaged)
        theirs = theirs.__wrapped__
    found = errors(network(variables, x), theirs(BATCHES[1]))
    for tap in ("2048", "logits_unbiased", "logits"):
        assert found[tap] > 10 * TOLERANCE["float32"]


def test_shapes():
    shapes = inception.pth_shapes()
    assert len(shapes) == 472
    assert sum(map(math.prod, shapes.values())) == 23_885_392
    assert shapes["fc.weight"] == (1008, 2048)
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
    x = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
    taps, _ = jax.eval_shape(
        inception.Inception().init_with_output, jax.random.key(0), x
    )
    sizes = [64, 192, 768, 2048, 1008, 1008]
    assert {t: x.shape for t, x in taps.items()} == {
        t: (2, n) for t, n in zip(TAPS, sizes, strict=True)
    }


def test_weights_that_do_not_fit(arrays):
    name = "Mixed_6a.branch3x3.bn.running_var"
    without = {n: x for n, x in arrays.items() if n != name}
    with pytest.raises(ValueError, match=f"{name}' missing, accepted: .384,"):
        inception.from_pth(without)
    with pytest.raises(ValueError, match=f"{name}' .383,., accepted: .384,"):
        inception.from_pth({**arrays, name: np.ones(383)})
    both = {**without, "fc.weight": np.ones((1000, 2048))}
    with pytest.raises(ValueError, match=name):  # the first
        inception.from_pth(both)


def test_weights_by_way_of_the_file(file, variables):
    found = inception.from_pth({**pth.read(file), "x.num_batches_tracked": 0})
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_normalisation_is_folded():
    # One channel of Conv2d_1a_3x3: gain 3, offset 5, mean 2 and variance 4 - 0.001 make
    # 3 (x - 2) / 2 + 5 = 1.5 x + 2.
    shapes = inception.pth_shapes().items()
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes}
    layer = {"weight": 3, "bias": 5, "running_mean": 2, "running_var": 4 - 1e-3}
    for part, value in layer.items():
        arrays[f"Conv2d_1a_3x3.bn.{part}"] = np.full(32, value)
    found = inception.from_pth(arrays)["params"]["Conv2d_1a_3x3"]
    np.testing.assert_allclose(found["kernel"], np.full((3, 3, 3, 32), 1.5), rtol=1e-6)
    np.testing.assert_allclose(found["bias"], np.full(32, 2), rtol=1e-6)


def test_extractor(variables):
    images = photo(2, 40, 50, channels=1)
    extractor = inception.make(variables, resize="clean", sha256="6726825d")
    taps = {"2048": jnp.ones((2, 2048)), "logits_unbiased": jnp.zeros((2, 1008))}
    with mock.patch.object(inception.Inception, "apply", return_value=taps) as apply:
        found = jax.jit(extractor.apply)(extractor.variables, images)
    assert {n: x.shape for n, x in found.items()} == {
        "features": (2, 2048),
        "logits": (2, 1008),
    }
    assert found["features"].all() and not found["logits"].any()
    assert apply.call_args.args[1].shape == (2, 299, 299, 3)
    protocol = json.loads(json.dumps(extractor.protocol))
    assert protocol["weights"] == "6726825d"
    assert protocol["resize"] == "299x299 clean"
    assert protocol["scale"] == "(x-128)/128"
    with pytest.raises(ValueError, match="'nearest', accepted are .*'clean'"):
        inception.make(variables, resize="nearest", sha256="")


def test_extractor_runs(theirs, variables):
    extractor = inception.make(variables, sha256="6726825d")
    found = jax.jit(extractor.apply)(extractor.variables, photo(*BATCHES[1]))
    expected = theirs(BATCHES[1])
    for name, tap in {"features": "2048", "logits": "logits_unbiased"}.items():
        error = abs(found[name] - expected[tap]).max() / abs(expected[tap]).max()
        assert error < TOLERANCE["float32"]


def test_scales_of_the_presets(reference):
    images = photo(2, 64, 48)
    torch = reference("torch")
    # pytorch-fid: images in [0, 1] are resized, then doubled and shifted.
    x = torch.from_numpy(np.moveaxis(images, -1, 1) / np.float32(255))
    x = torch.nn.functional.interpolate(x, (299, 299), mode="bilinear")
    expected = np.moveaxis((2 * x - 1).numpy(), 1, -1)
    assert abs(inception.preprocess(images, "pytorch") - expected).max() < 2e-6
    # Black, white and grey 128 under each: 127.5 is in the middle of 0 and 255.
    flat = np.repeat(np.uint8([0, 255, 128]), 4).reshape(3, 2, 2, 1)
    for method, values in {
        "tf": [-1, 127 / 128, 0],
        "clean": [-1, 127 / 128, 0],
        "pytorch": [-1, 1, 0.5 / 127.5],
    }.items():
        found = inception.preprocess(flat, method)
        assert found.shape == (3, 299, 299, 3)
        expected = np.broadcast_to(np.reshape(values, (3, 1, 1, 1)), found.shape)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "images", [np.zeros((1, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8)]
)
def test_images_that_do_not_fit(images):
    with pytest.raises(ValueError, match="accepted are uint8"):
        inception.preprocess(images, "tf")
