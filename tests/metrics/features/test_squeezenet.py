"""SqueezeNet: against torch, on photographs, and weights that do not fit."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from gans.metrics.features import squeezenet

WEIGHTS = pathlib.Path(__file__).parents[4] / "shared/data/weights"
TRUNK = WEIGHTS / "squeezenet_v1.1_notop_keras.npz"
FULL = WEIGHTS / "squeezenet_v1.1_full_fp16_ncnn.npz"
needs_weights = pytest.mark.skipif(
    not FULL.exists(), reason="SqueezeNet's weights are not in ../shared/data/weights"
)


def random_arrays():
    """Arrays as in a file with a head: He-scaled, with biases."""
    module = squeezenet.SqueezeNet(head=True)
    x = jax.ShapeDtypeStruct((1, 227, 227, 3), jnp.float32)
    tree = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    rng = np.random.default_rng(0)

    def draw(spec):
        fan_in = np.prod(spec.shape[:-1]) if len(spec.shape) == 4 else 200
        return rng.normal(0, (2 / fan_in) ** 0.5, spec.shape).astype(np.float32)

    flat = flatten_dict(tree, sep="/")
    return {name: draw(spec) for name, spec in flat.items()}


def in_torch(arrays, images, *, ceil=True, antialias=True, mean=(104, 117, 123)):
    """The same network by hand: uint8 images [B, H, W, 3] -> features, logits."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional

    def conv(x, name, **kwargs):
        w = torch.from_numpy(arrays[f"{name}/kernel"]).permute(3, 2, 0, 1)
        return f.relu(
            f.conv2d(x, w, torch.from_numpy(arrays[f"{name}/bias"]), **kwargs)
        )

    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
    x = f.interpolate(x, (227, 227), mode="bilinear", antialias=antialias)
    x = x.flip(1) - torch.tensor(mean)[:, None, None]
    x = conv(x, "conv1", stride=2)
    for i in range(2, 10):
        if i in (2, 4, 6):
            x = f.max_pool2d(x, 3, 2, ceil_mode=ceil)
        s = conv(x, f"fire{i}/squeeze1x1")
        threes = conv(s, f"fire{i}/expand3x3", padding=1)
        x = torch.cat([conv(s, f"fire{i}/expand1x1"), threes], dim=1)
    features = x.mean(dim=(2, 3)).numpy()
    if "conv10/kernel" not in arrays:
        return {"features": features}
    logits = conv(x, "conv10").mean(dim=(2, 3)).numpy()
    return {"features": features, "logits": logits}


def pictures(height=64, width=80, channels=3):
    shape = (2, height, width, channels)
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


def run(arrays, x):
    extractor = squeezenet.make(squeezenet.from_npz(arrays), sha256="")
    return jax.jit(extractor.apply)(extractor.variables, x)


def error(found, expected):
    """The largest difference of the features, relative to the largest of them."""
    found, expected = (np.asarray(x["features"]) for x in (found, expected))
    return np.abs(found - expected).max() / np.abs(expected).max()


@needs_weights
@pytest.mark.parametrize("path", [TRUNK, FULL], ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [(64, 80), (300, 227)])
def test_real_weights_against_torch(path, size):
    arrays, x = dict(np.load(path)), pictures(*size)
    found, expected = run(arrays, x), in_torch(arrays, x)
    assert error(found, expected) < 1e-5
    assert found["features"].shape == (2, 512)
    assert set(found) == set(expected)
    if path == FULL:
        assert found["logits"].shape == (2, 1000)
        scale = np.abs(expected["logits"]).max()
        np.testing.assert_allclose(
            found["logits"], expected["logits"], rtol=0, atol=1e-5 * scale
        )


def test_random_weights_against_torch_and_its_variants():
    # Reduced, so that the antialiasing has an effect.
    arrays, x = random_arrays(), pictures(260, 250)
    found = run(arrays, x)
    assert error(found, in_torch(arrays, x)) < 1e-5
    for wrong in ({"ceil": False}, {"antialias": False}, {"mean": (123, 117, 104)}):
        assert error(found, in_torch(arrays, x, **wrong)) > 1e-4, wrong
    assert error(found, in_torch(arrays, x[..., ::-1])) > 1e-4


def test_grey_is_repeated():
    arrays, grey = random_arrays(), pictures(32, 32, channels=1)
    assert error(run(arrays, grey), run(arrays, np.repeat(grey, 3, axis=-1))) == 0


@needs_weights
def test_photographs_get_their_names():
    from matplotlib import cbook
    from PIL import Image
    from sklearn.datasets import load_sample_image

    lines = (WEIGHTS / "synset_words.txt").read_text().splitlines()
    names = [line.split(" ", 1)[1].split(",")[0] for line in lines]
    arrays = dict(np.load(FULL))

    def best(photo, n):
        logits = run(arrays, photo[None])["logits"][0]
        return [names[i] for i in np.argsort(-logits)[:n]]

    temple = load_sample_image("china.jpg")[:, 106:533]  # its middle
    assert best(temple, 1) == ["stupa"]
    assert set(best(temple, 5)) == {"stupa", "monastery", "palace", "dome", "bell cote"}
    assert best(temple[..., ::-1], 1) != ["stupa"]
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        admiral = np.array(Image.open(file))
    clothes = {"bow tie", "suit", "Windsor tie", "military uniform"}
    assert set(best(admiral, 4)) == clothes
    assert set(best(admiral[..., ::-1], 4)) != clothes


def test_weights_that_do_not_fit_are_named():
    arrays = random_arrays()
    missing = {k: v for k, v in arrays.items() if k != "fire4/expand3x3/bias"}
    with pytest.raises(ValueError, match=r"no weights 'fire4/expand3x3/bias'.*\(128,"):
        squeezenet.from_npz(missing)
    flipped = arrays | {"conv1/kernel": arrays["conv1/kernel"].transpose(3, 2, 0, 1)}
    with pytest.raises(ValueError, match=r"'conv1/kernel' have shape \(64, 3, 3, 3\)"):
        squeezenet.from_npz(flipped)
    with pytest.raises(ValueError, match="unknown weights 'fire10/bias'"):
        squeezenet.from_npz(arrays | {"fire10/bias": np.zeros(4)})
    headless = {k: v for k, v in arrays.items() if k != "conv10/kernel"}
    with pytest.raises(ValueError, match="unknown weights 'conv10/bias'"):
        squeezenet.from_npz(headless)


def test_the_protocol_says_what_the_numbers_depend_on():
    extractor = squeezenet.make(squeezenet.from_npz(random_arrays()), sha256="abc")
    assert extractor.name == "squeezenet"
    assert extractor.protocol["weights"] == "abc"
    assert "227" in extractor.protocol["resize"]


@pytest.mark.parametrize("n", range(7, 15))
@pytest.mark.parametrize(("size", "ceil"), [(3, True), (3, False), (2, False)])
def test_max_pools_against_torch(n, size, ceil):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(n).normal(size=(2, 3, n, n + 1)).astype(np.float32)
    expected = torch.nn.functional.max_pool2d(
        torch.from_numpy(x), size, 2, ceil_mode=ceil
    )
    found = squeezenet.max_pool(jnp.asarray(x.transpose(0, 2, 3, 1)), size, ceil=ceil)
    np.testing.assert_array_equal(found, expected.numpy().transpose(0, 2, 3, 1))
