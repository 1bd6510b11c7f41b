"""LPIPS: its formula in torch with the real heads, its properties, its misuse."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.metrics.features import lpips, pth

WEIGHTS = pathlib.Path(__file__).parents[4] / "shared/data/weights"
NETS = ("vgg", "alex", "squeeze")

# torchvision's `features` once more, from its documentation: (index, in, out, kernel)
# of the convolutions, (index, in, squeeze, expand) of the fire modules.
VGG = {
    0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256),
    12: (256, 256), 14: (256, 256), 17: (256, 512), 19: (512, 512), 21: (512, 512),
    24: (512, 512), 26: (512, 512), 28: (512, 512),
}  # fmt: skip
ALEX = {0: (3, 64, 11), 3: (64, 192, 5), 6: (192, 384), 8: (384, 256), 10: (256, 256)}
FIRES = {
    3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128),
    9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256),
}  # fmt: skip


@functools.cache
def trunk(net):
    """A state dict of that trunk: He-scaled, with biases."""
    rng, found = np.random.default_rng(0), {}

    def conv(name, n_in, n_out, size=3):
        shape = (n_out, n_in, size, size)
        scale = (2 / (n_in * size**2)) ** 0.5
        found[f"{name}.weight"] = rng.normal(0, scale, shape).astype(np.float32)
        found[f"{name}.bias"] = rng.normal(0, 0.1, n_out).astype(np.float32)

    for i, layer in {"vgg": VGG, "alex": ALEX, "squeeze": {0: (3, 64)}}[net].items():
        conv(f"features.{i}", *layer)
    for i, (n_in, squeeze, expand) in FIRES.items() if net == "squeeze" else ():
        conv(f"features.{i}.squeeze", n_in, squeeze, 1)
        conv(f"features.{i}.expand1x1", squeeze, expand, 1)
        conv(f"features.{i}.expand3x3", squeeze, expand, 3)
    return found


def heads(net):
    path = WEIGHTS / f"lpips_v0.1_{net}.pth"
    if not path.exists():
        pytest.skip("the LPIPS heads are not in ../shared/data/weights")
    return pth.read(path)


def random_heads(net):
    rng = np.random.default_rng(2)
    channels = lpips.NETS[net].channels
    return {
        f"lin{i}.model.1.weight": rng.uniform(0, 1, (1, c, 1, 1)).astype(np.float32)
        for i, c in enumerate(channels)
    }


def taps_in_torch(net, arrays, x):
    """x [B, 3, H, W] -> what each head sees."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    arrays = {k: torch.from_numpy(v).double() for k, v in arrays.items()}

    def conv(name, x, **kwargs):
        w, b = (arrays[f"features.{name}.{part}"] for part in ("weight", "bias"))
        return f.relu(f.conv2d(x, w, b, **kwargs))

    if net == "vgg":
        for i in VGG:
            x = conv(i, x, padding=1)
            if i in (2, 7, 14, 21, 28):
                yield x
                x = f.max_pool2d(x, 2)
    elif net == "alex":
        for i in ALEX:
            x = conv(i, x, stride=4 if i == 0 else 1, padding={0: 2, 3: 2}.get(i, 1))
            yield x
            if i in (0, 3):
                x = f.max_pool2d(x, 3, 2)
    else:
        x = conv(0, x, stride=2)
        yield x
        for i in FIRES:
            if i in (3, 6, 9):
                x = f.max_pool2d(x, 3, 2, ceil_mode=True)
            s = conv(f"{i}.squeeze", x)
            pair = conv(f"{i}.expand1x1", s), conv(f"{i}.expand3x3", s, padding=1)
            x = torch.cat(pair, dim=1)
            if i in (4, 7, 9, 10, 11, 12):
                yield x


def in_torch(net, arrays, weights, x, y, *, shift=(-0.030, -0.088, -0.188), root=True):
    """The formula in float64: images [B, H, W, 3] -> [B]."""
    torch = pytest.importorskip("torch")
    scale = np.array((0.458, 0.448, 0.450))

    def taps(x):
        x = torch.from_numpy((x - np.array(shift)) / scale).permute(0, 3, 1, 2)
        for h in taps_in_torch(net, arrays, x):
            norm = (h**2).sum(dim=1, keepdim=True)
            yield h / ((norm.sqrt() if root else norm) + 1e-10)

    total = 0
    for i, (a, b) in enumerate(zip(taps(x), taps(y), strict=True)):
        w = torch.from_numpy(np.float64(weights[f"lin{i}.model.1.weight"]))
        total = total + torch.nn.functional.conv2d((a - b) ** 2, w).mean(dim=(1, 2, 3))
    assert i == len(weights) - 1
    return total.numpy()


@functools.cache
def pair(seed=0, size=(64, 71)):
    """Two images and two others [2, H, W, 3] in [-1, 1]: a near pair and a far one."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, 2, *size, 3))
    y[0] = np.clip(x[0] + 0.2 * y[0], -1, 1)
    return x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize("net", NETS)
def test_real_heads_against_the_formula_in_torch(net):
    variables = lpips.from_pth(net, trunk(net), heads(net))
    found = lpips.distance(net, variables, *pair())
    expected = in_torch(net, trunk(net), heads(net), *pair())
    assert found.shape == (2,) and found[0] < found[1]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_wrong_variants_fail():
    net, weights = "squeeze", random_heads("squeeze")
    found = lpips.distance(net, lpips.from_pth(net, trunk(net), weights), *pair())

    def error(*images, **variant):
        expected = in_torch(net, trunk(net), weights, *images, **variant)
        return np.max(np.abs(found / expected - 1))

    x, y = pair()
    assert error(x, y) < 1e-5
    assert error(x, y, shift=(0, 0, 0)) > 1e-4
    assert error(x, y, root=False) > 1e-4
    assert error((x + 1) / 2, (y + 1) / 2) > 1e-4  # images in [0, 1]
    assert error(x[..., ::-1].copy(), y[..., ::-1].copy()) > 1e-4


@pytest.mark.parametrize("net", NETS)
def test_symmetric_zero_for_equal_images_and_grey_repeated(net):
    variables = lpips.from_pth(net, trunk(net), random_heads(net))
    distance = functools.partial(lpips.distance, net, variables)
    x, y = pair()
    np.testing.assert_array_equal(distance(x, x), np.zeros(2))
    np.testing.assert_allclose(distance(x, y), distance(y, x), rtol=1e-6)
    grey = x[..., :1], y[..., :1]
    colour = [np.repeat(g, 3, axis=-1) for g in grey]
    np.testing.assert_allclose(distance(*grey), distance(*colour), rtol=1e-6)


def test_squared_distances_of_the_features_are_the_distance():
    net = "alex"
    variables = lpips.from_pth(net, trunk(net), random_heads(net))
    files = {"trunk": "a", "heads": "b"}
    extractor = lpips.make(net, variables, sha256=files)
    assert extractor.name == "lpips_alex" and extractor.protocol["weights"] == files
    bytes_ = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    features = extractor.apply(variables, bytes_)["features"]
    x = bytes_.astype(np.float32) / 127.5 - 1
    for i, j in ((0, 1), (1, 2), (2, 2)):
        expected = lpips.distance(net, variables, x[i : i + 1], x[j : j + 1])
        squared = jnp.sum((features[i] - features[j]) ** 2)
        np.testing.assert_allclose(squared, expected[0], rtol=1e-5)
    # 15x15, 7x7 and three times 3x3 positions of 64x64 pixels.
    assert features.shape == (3, 225 * 64 + 49 * 192 + 9 * (384 + 256 + 256))


def test_gradients_are_finite_where_features_are_zero():
    # Biases of -100 silence the first layer, and with it the position's norm.
    arrays = trunk("alex") | {"features.0.bias": np.full(64, -100, np.float32)}
    variables = lpips.from_pth("alex", arrays, random_heads("alex"))
    x, y = pair(size=(32, 32))
    total = jax.jit(lambda x: lpips.distance("alex", variables, x, y).sum())
    assert jnp.isfinite(jax.grad(total)(x)).all()


def test_images_out_of_range_are_rejected():
    for good in (pair()[0], np.ones((1, 8, 8, 3), np.float32)):
        lpips.check_range(good)
    with pytest.raises(ValueError, match=r"over \[0, 255\], accepted is \[-1, 1\]"):
        lpips.check_range(np.array([0.0, 255.0], np.float32))
    for bad in ([-1.01, 0], [0, np.nan], [0, np.inf]):
        with pytest.raises(ValueError, match=r"accepted is \[-1, 1\]"):
            lpips.check_range(np.array(bad, np.float32))
    with pytest.raises(ValueError, match="uint8, accepted are floats"):
        lpips.check_range(np.zeros((1, 8, 8, 3), np.uint8))


def test_weights_that_do_not_fit_are_named():
    weights = random_heads("squeeze")
    cut = {k: v for k, v in weights.items() if "lin6" not in k}
    with pytest.raises(ValueError, match="did you mean 'alex'"):
        lpips.from_pth("alexnet", trunk("alex"), weights)
    with pytest.raises(ValueError, match="heads of squeeze: no weights 'lin6"):
        lpips.from_pth("squeeze", trunk("squeeze"), cut)
    with pytest.raises(ValueError, match=r"heads of vgg: weights 'lin1.*\(1, 192, 1"):
        lpips.from_pth("vgg", trunk("vgg"), random_heads("alex"))
    with pytest.raises(ValueError, match=r"'features.0.weight' have shape \(64, 3, 11"):
        lpips.from_pth("squeeze", trunk("alex"), weights)
    holey = {
        k: v for k, v in trunk("squeeze").items() if k != "features.9.squeeze.bias"
    }
    with pytest.raises(
        ValueError, match=r"no weights 'features.9.squeeze.bias'.*\(48,"
    ):
        lpips.from_pth("squeeze", holey, weights)
    # The classifier of torchvision's file is of no use, and no harm.
    whole = trunk("squeeze") | {"classifier.1.weight": np.zeros((1000, 512, 1, 1))}
    lpips.from_pth("squeeze", whole, weights)
    # The Caffe trunk has other names, so that it does not get these heads by accident.
    caffe = {"conv1/kernel": np.zeros((3, 3, 3, 64)), "conv1/bias": np.zeros(64)}
    with pytest.raises(ValueError, match="no weights 'features.0.bias'"):
        lpips.from_pth("squeeze", caffe, weights)
