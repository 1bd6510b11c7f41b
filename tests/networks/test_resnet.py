"""Residual networks: sizes worked out, torch for their wiring, labels, attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.core import Bound
from gans.layers import Layers
from gans.networks.resnet import Discriminator, Generator

KEYS = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
LABEL = jnp.array([1, 0, 2], jnp.int32)
SMALL_G = Generator((8, 8, 3), widths=(6, 5, 4))  # 2x2 to 8x8
SMALL_D = Discriminator(widths=(4, 5, 5, 6), n_down=2)  # 8x8 to 2x2
Z = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
X = np.random.default_rng(1).uniform(-1, 1, size=(3, 8, 8, 3)).astype(np.float32)


def sizes(module, *inputs):
    """Shapes of the output and of the parameters, and how many; not computed."""
    inputs = [jnp.zeros(s, jnp.float32) for s in inputs]
    y, variables = jax.eval_shape(
        functools.partial(module.init_with_output, train=True), KEYS, *inputs
    )
    shapes = jax.tree.map(jnp.shape, dict(variables["params"]))
    count = sum(p.size for p in jax.tree.leaves(variables["params"]))
    return y.shape, shapes, count


def test_generator_of_sngan():
    shape, p, count = sizes(Generator((32, 32, 3)), (2, 128))
    assert shape == (2, 32, 32, 3)
    assert p["dense"]["kernel"] == (128, 4 * 4 * 256)
    # Dense: 128 x 4096 + 4096 = 528,384. Each of three blocks: 1x1 skip 65,792, two
    # norms of 512, two 3x3 kernels of 590,080: 1,246,976. Norm 512, 3x3 to 3: 6,915.
    assert count == 528_384 + 3 * 1_246_976 + 512 + 6_915 == 4_276_739


@pytest.mark.parametrize("spectral", [False, True])
def test_discriminator_of_sngan(spectral):
    shape, p, count = sizes(
        Discriminator(layers=Layers(spectral=spectral)), (2, 32, 32, 3)
    )
    assert shape == (2,)
    # Two blocks with a 1x1 skip, 512 and 16,512, two without; their 3x3 kernels are
    # 3,584 (3 -> 128) and seven times 147,584; dense 129. No norms.
    assert count == (512 + 16_512) + (3_584 + 7 * 147_584) + 129 == 1_053_825
    assert {name for name in p if "skip" in name} == {"block0_skip", "block1_skip"}


def test_networks_of_wgan_gp():
    # Its generator has 128 channels throughout. Dense 128 x 2048 + 2048 = 264,192; a
    # block is 16,512 + 2 x 256 + 2 x 147,584 = 312,192; norm 256; 3x3 to 3: 3,459.
    _, _, count = sizes(Generator((32, 32, 3), (128,) * 4), (2, 128))
    assert count == 264_192 + 3 * 312_192 + 256 + 3_459 == 1_204_483


def torch_of(a):
    import torch

    return torch.tensor(np.asarray(a, np.float64))


def conv(h, p):
    """A convolution of stride 1 that keeps the size, NCHW."""
    import torch

    w = torch_of(p["kernel"]).permute(3, 2, 0, 1)
    return torch.nn.functional.conv2d(
        h, w, torch_of(p["bias"]), padding=w.shape[-1] // 2
    )


def generator(p, z, shape, n_blocks):
    """Figure 7 of arXiv 1802.05957: BN, ReLU, up, conv, BN, ReLU, conv; up, 1x1."""
    import torch

    f = torch.nn.functional

    def activate(h, name):
        gain, bias = (torch_of(p[name]["batch"][k]) for k in ("scale", "bias"))
        return f.relu(f.batch_norm(h, None, None, gain, bias, training=True))

    def up(h):
        return f.interpolate(h, scale_factor=2, mode="nearest")

    h = torch_of(z) @ torch_of(p["dense"]["kernel"]) + torch_of(p["dense"]["bias"])
    h = h.reshape(len(z), *shape).permute(0, 3, 1, 2)
    for i in range(1, n_blocks + 1):
        skip = conv(up(h), p[f"block{i}_skip"])
        h = conv(up(activate(h, f"block{i}_norm1")), p[f"block{i}_conv1"])
        h = conv(activate(h, f"block{i}_norm2"), p[f"block{i}_conv2"]) + skip
    h = conv(activate(h, "norm"), p["out"])
    return torch.tanh(h).permute(0, 2, 3, 1).numpy()


def discriminator(p, x, n_blocks, n_down, pool="sum", eager=False):
    """ReLU (but before the first), conv, ReLU, conv, down; 1x1, down; ReLU, pool."""
    import torch

    f = torch.nn.functional
    h = torch_of(x).permute(0, 3, 1, 2)
    for i in range(n_blocks):
        r = f.relu(h) if i > 0 or eager else h
        r = conv(f.relu(conv(r, p[f"block{i}_conv1"])), p[f"block{i}_conv2"])
        skip = conv(h, p[f"block{i}_skip"]) if f"block{i}_skip" in p else h
        h = r + skip
        if i < n_down:
            h = f.avg_pool2d(h, 2)
    h = getattr(f.relu(h), pool)(dim=(2, 3))
    out = h @ torch_of(p["out"]["kernel"]) + torch_of(p["out"]["bias"])
    return out[:, 0].numpy()


def test_generator_against_torch(bound, run):
    pytest.importorskip("torch")
    net = bound(SMALL_G, Z, train=True)
    y = run(net, Z)
    assert y.shape == (3, 8, 8, 3) and jnp.abs(y).max() <= 1
    expected = generator(net.params, Z, (2, 2, 6), n_blocks=2)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)
    # With two norms exchanged it is another network.
    p = dict(net.params)
    p["block2_norm1"] = jax.tree.map(lambda a: a[::-1], p["block2_norm1"])
    assert np.abs(y - generator(p, Z, (2, 2, 6), n_blocks=2)).max() > 1e-2


@pytest.mark.parametrize("pool", ["sum", "mean"])
def test_discriminator_against_torch(bound, run, pool):
    pytest.importorskip("torch")
    net = bound(SMALL_D.copy(pool=pool), X)
    assert {name for name in net.params if "skip" in name} == {
        f"block{i}_skip" for i in (0, 1, 3)
    }
    y = run(net, X)
    np.testing.assert_allclose(
        y, discriminator(net.params, X, 4, 2, pool), rtol=1e-4, atol=1e-4
    )
    # An activation on the image, or the other pooling, is another network.
    assert np.abs(y - discriminator(net.params, X, 4, 2, pool, eager=True)).max() > 1e-2
    other = {"sum": "mean", "mean": "sum"}[pool]
    assert np.abs(y - discriminator(net.params, X, 4, 2, other)).max() > 1e-2


def test_features(bound, run):
    d = bound(SMALL_D, X)
    features = jax.jit(d.features)(X)
    assert {k: v.shape for k, v in features.items()} == {
        "hidden0": (3, 4, 4, 4),
        "hidden1": (3, 2, 2, 5),
        "hidden2": (3, 2, 2, 5),
        "hidden3": (3, 2, 2, 6),
    }
    phi = jax.nn.relu(features["hidden3"]).sum((1, 2))
    logits = phi @ d.params["out"]["kernel"] + d.params["out"]["bias"]
    np.testing.assert_allclose(run(d, X), logits[:, 0], rtol=1e-4, atol=1e-4)


def test_projection_discriminator_by_hand(bound, run):
    # psi(phi) + <embed(y), phi>, phi the last map after ReLU and pooling.
    d = bound(SMALL_D.copy(condition="projection", n_classes=3), X, LABEL)
    phi = jax.nn.relu(jax.jit(d.features)(X, LABEL)["hidden3"]).sum((1, 2))
    out, table = d.params["out"], d.params["label"]["embedding"]
    assert table.shape == (3, 6)
    psi = phi @ out["kernel"][:, 0] + out["bias"]
    y = run(d, X, LABEL)
    np.testing.assert_allclose(
        y, psi + (table[LABEL] * phi).sum(1), rtol=1e-4, atol=1e-4
    )
    wrong = psi + (table[(LABEL + 1) % 3] * phi).sum(1)
    assert np.abs(y - wrong).max() > 1e-2


@pytest.mark.parametrize("condition", ["concat", "projection"])
def test_labels_matter(bound, run, condition):
    options = {"condition": condition, "n_classes": 3}
    g = bound(SMALL_G.copy(**options), Z, LABEL, train=True)
    d = bound(SMALL_D.copy(**options), X, LABEL)
    if condition == "concat":  # z and an embedding of 50; the image and one map
        assert g.params["dense"]["kernel"].shape == (57, 2 * 2 * 6)
        assert d.params["block0_conv1"]["kernel"].shape == (3, 3, 4, 4)
    else:
        gammas = [p for p in g.params if "gamma" in g.params[p]]
        assert len(gammas) == 5  # two in each block, and the last
    assert (run(g, Z, LABEL) != run(g, Z, (LABEL + 1) % 3)).any()
    assert (run(d, X, LABEL) != run(d, X, (LABEL + 1) % 3)).any()


@pytest.mark.parametrize("network", [SMALL_G, SMALL_D])
def test_spectral_norm_of_every_kernel(bound, run, network):
    x = Z if network is SMALL_G else X
    layers = network.layers.replace(spectral=True)
    network = network.copy(layers=layers, condition="projection", n_classes=3)
    net = bound(network, x, LABEL, train=True)
    flat = jax.tree_util.tree_leaves_with_path(net.params)
    names = {path[-1].key: [] for path, _ in flat}
    for path, p in flat:
        names[path[-1].key].append(p.shape[-1])
    kernels = names["kernel"] + names.get("embedding", [])
    vectors = [u.size for u in jax.tree.leaves(net.stats["spectral"])]
    assert sorted(vectors) == sorted(kernels) and len(kernels) >= 8
    # Divided by its spectral norm, a kernel does not know its scale.
    scaled = jax.tree_util.tree_map_with_path(
        lambda path, p: 3 * p if path[-1].key in ("kernel", "embedding") else p,
        net.params,
    )
    y = run(Bound(network, scaled, net.stats, True), x, LABEL)
    np.testing.assert_allclose(y, run(net, x, LABEL), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("network", [SMALL_G, SMALL_D])
def test_attention_on_the_map_of_that_side(bound, run, network):
    # 4 x 4 is the map of one block of each: of 8 channels, so that maps have one.
    layers = network.layers.replace(spectral=True)
    network = network.copy(widths=(8, 8, 8), attention=4, layers=layers)
    x = Z if isinstance(network, Generator) else X
    net = bound(network, x, train=True)
    (found,) = (p for p in net.params if "Attention" in p)
    assert set(net.params[found]) == {"f", "g", "h", "v", "gamma"}
    assert set(net.stats["spectral"][found]) == set("fghv")
    # With gamma = 0 as at first it is the network without attention.
    without = network.copy(attention=None)
    params = {k: p for k, p in net.params.items() if k != found}
    spectral = {k: u for k, u in net.stats["spectral"].items() if k != found}
    plain = Bound(without, params, {**net.stats, "spectral": spectral}, True)
    gamma = {**net.params[found], "gamma": jnp.float32(0)}
    first = Bound(network, {**net.params, found: gamma}, net.stats, True)
    np.testing.assert_allclose(run(first, x), run(plain, x), rtol=1e-5, atol=1e-6)
    assert jnp.abs(run(net, x) - run(plain, x)).max() > 1e-4


@pytest.mark.parametrize(
    "network", [SMALL_G, SMALL_D.copy(layers=Layers(spectral=True))]
)
def test_half_precision_networks_give_float32(bound, run, network):
    x = Z if network is SMALL_G else X
    full = bound(network, x, train=True)
    half = Bound(
        network.copy(layers=network.layers.replace(dtype=jnp.bfloat16)),
        full.params,
        full.stats,
        True,
    )
    y, stats = jax.jit(half.mutate)(x)
    assert y.dtype == jnp.float32
    assert {a.dtype.name for a in jax.tree.leaves((full.params, stats))} == {"float32"}
    exact = run(full, x)
    np.testing.assert_allclose(
        y, exact, atol=0.05 * max(1, float(jnp.abs(exact).max()))
    )
    assert (y != exact).any()


@pytest.mark.parametrize(
    "network, message",
    [
        (SMALL_G.copy(shape=(8, 6, 3)), "2 doubling blocks .*resolution 8x6"),
        (SMALL_D.copy(pool="max"), "pool='max' is neither 'sum' nor 'mean'"),
        (
            SMALL_G.copy(layers=Layers("layer")),
            "norm, if not None: 'layer' is not one of batch",
        ),
        (
            SMALL_G.copy(condition="projection", n_classes=3, layers=Layers("pixel")),
            "condition='projection': this network knows .'concat'",
        ),
        (
            SMALL_D.copy(layers=Layers(kernel_init="xavier")),
            "kernel_init: 'xavier' is not one of",
        ),
        (SMALL_G.copy(condition="concat"), "'concat' needs data with labels"),
        (SMALL_D.copy(condition="projection", n_classes=3), "needs data with labels"),
        (SMALL_G.copy(condition="film"), "condition='film': this network knows"),
        # No block yields a map of this side: there would be no attention.
        (SMALL_G.copy(widths=(8, 8, 8), attention=5), "attention=5"),
        (SMALL_D.copy(widths=(8, 8, 8), attention=5), "attention=5"),
    ],
)
def test_errors(network, message):
    x = Z if isinstance(network, Generator) else X
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(functools.partial(network.init, train=True), KEYS, x)
