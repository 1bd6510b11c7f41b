"""DCGAN's two layouts: sizes worked out, statistics, torch, labels, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.core import Bound
from gans.layers import Layers
from gans.networks.dcgan import Discriminator, Generator

KEY = jax.random.key(0)
KEYS = {"params": KEY, "dropout": KEY}
LABEL = jnp.array([1, 0, 2], jnp.int32)
BATCH, SPECTRAL = Layers(norm="batch"), Layers(spectral=True)
SMALL_G = Generator((8, 8, 3), widths=(6, 4))  # 2x2 to 8x8
SMALL_D = Discriminator(convolutions=((4, 4, 2), (6, 4, 2)))
Z = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
X = np.random.default_rng(1).uniform(-1, 1, size=(3, 8, 8, 3)).astype(np.float32)

LAYOUT_32 = {
    "g": Generator(
        (32, 32, 3), (256, 128, 128, 128), final="conv", slope=0.2, layers=Layers()
    ),
    "d": Discriminator(
        ((64, 3, 1), (128, 3, 2), (128, 3, 2), (256, 3, 2)), layers=Layers(dropout=0.4)
    ),
}  # fmt: skip


def sizes(module, *inputs):
    """Shapes of the output, of the parameters, and how many there are; not computed."""
    inputs = [jnp.zeros(s, jnp.float32) for s in inputs]
    y, variables = jax.eval_shape(
        functools.partial(module.init_with_output, train=True), KEYS, *inputs
    )
    shapes = jax.tree.map(jnp.shape, dict(variables["params"]))
    count = sum(p.size for p in jax.tree.leaves(variables["params"]))
    return y.shape, shapes, count


def test_64x64_layout():
    shape, p, count = sizes(Generator((64, 64, 3)), (2, 100))
    assert shape == (2, 64, 64, 3)
    kernels = [(1024, 512), (512, 256), (256, 128), (128, 3)]
    for name, io in zip(("deconv1", "deconv2", "deconv3", "out"), kernels, strict=True):
        assert p[name]["kernel"] == (4, 4, *io)
    # z to 4 x 4 x 1024; gains and biases of 1024, 512, 256, 128 channels;
    # 4 x 4 kernels with biases.
    dense = 100 * 16384 + 16384
    norms = 2 * (1024 + 512 + 256 + 128)
    assert count == dense + norms + sum(16 * i * o + o for i, o in kernels)

    shape, p, count = sizes(Discriminator(layers=BATCH), (2, 64, 64, 3))
    assert shape == (2,)
    kernels = [(3, 128), (128, 256), (256, 512), (512, 1024)]
    assert [p[f"conv{i}"]["kernel"] for i in range(4)] == [
        (4, 4, *io) for io in kernels
    ]
    assert {name for name in p if "norm" in name} == {"norm1", "norm2", "norm3"}
    # 4 x 4 x 1024 = 16384 numbers to one logit.
    norms = 2 * (256 + 512 + 1024)
    assert count == 16385 + norms + sum(16 * i * o + o for i, o in kernels)


def test_32x32_layout():
    shape, p, count = sizes(LAYOUT_32["g"], (2, 100))
    assert shape == (2, 32, 32, 3)
    assert p["out"]["kernel"] == (3, 3, 128, 3)
    # Dense 100 -> 4096: 413,696; 4 x 4 kernels 256 -> 128: 524,416 and twice
    # 128 -> 128: 262,272; 3 x 3 to 3: 3,459.
    assert count == 413_696 + 524_416 + 2 * 262_272 + 3_459 == 1_466_115

    shape, p, count = sizes(LAYOUT_32["d"], (2, 32, 32, 3))
    assert shape == (2,)
    # 3 x 3 kernels 3 -> 64, 64 -> 128, 128 -> 128, 128 -> 256; 4 x 4 x 256 -> 1.
    assert count == 1_792 + 73_856 + 147_584 + 295_168 + 4_097 == 522_497


def first(module, x):
    """The first parameters, compiled with little effort; [(name, values)]."""
    init = functools.partial(module.init, train=True)
    quick = {"xla_backend_optimization_level": 0}
    params = jax.jit(init, compiler_options=quick)(KEYS, x)["params"]
    flat = jax.tree_util.tree_leaves_with_path(params)
    return [(path[-1].key, np.asarray(p)) for path, p in flat]


@pytest.mark.parametrize(
    "module, x",
    [
        (Generator((8, 8, 3), widths=(64, 32)), Z),
        (Discriminator(((32, 4, 2), (64, 4, 2)), layers=BATCH), X),
        (Discriminator(((32, 4, 2), (64, 4, 2)), layers=SPECTRAL), X),
    ],
)
def test_initial_statistics(module, x):
    params = first(module, x)
    kernels, scales, biases = (
        np.concatenate([np.ravel(p) for name, p in params if name == kind] or [[]])
        for kind in ("kernel", "scale", "bias")
    )
    # N(0, 0.02), also under spectral norm: more than 30,000 numbers, so the deviation
    # is known to 1 / sqrt(2 n) = 0.4 %.
    assert kernels.size > 30_000
    assert abs(kernels.mean()) < 5 * 0.02 / np.sqrt(kernels.size)
    np.testing.assert_allclose(kernels.std(), 0.02, rtol=0.02)
    assert not biases.any()
    if not module.layers.spectral:
        # Gains N(1, 0.02), of 64 and more channels: 5 standard errors are 0.0125.
        assert scales.size >= 64
        assert abs(scales.mean() - 1) < 0.0125 and 0.01 < scales.std() < 0.03


def test_ranges_and_features(bound, run):
    y = run(bound(SMALL_G, Z, train=True), 100 * Z)
    assert y.shape == (3, 8, 8, 3) and jnp.abs(y).max() <= 1
    d = bound(SMALL_D, X)
    features = jax.jit(d.features)(X)
    assert {k: v.shape for k, v in features.items()} == {
        "hidden0": (3, 4, 4, 4),
        "hidden1": (3, 2, 2, 6),
    }
    # LeakyReLU 0.2 has been applied: the logit is the dense layer on the last of them.
    out = d.params["out"]
    logits = features["hidden1"].reshape(3, -1) @ out["kernel"] + out["bias"]
    np.testing.assert_allclose(run(d, X), logits[:, 0], rtol=1e-4, atol=1e-6)


def test_dropout_in_training_only(bound, run):
    network = SMALL_D.copy(layers=Layers(dropout=0.4))
    d, still = bound(network, X, train=True), bound(network, X)
    first, again, other = (run(d, X, key=jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(run(still, X), run(still, X, key=KEYS["dropout"]))
    np.testing.assert_array_equal(run(still, X), run(bound(SMALL_D, X), X))


def torch_weights(p, flip=False):
    """[kh, kw, i, o] as torch has it: [o, i, kh, kw], transposed [i, o, kh, kw]."""
    import torch

    w = np.asarray(p["kernel"], np.float64)
    # Torch's transposed convolution turns the kernel round.
    w = w[::-1, ::-1].transpose(2, 3, 0, 1) if flip else w.transpose(3, 2, 0, 1)
    return torch.tensor(w.copy()), torch.tensor(np.asarray(p["bias"], np.float64))


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_generator_against_torch(bound, run, slope):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    net = bound(SMALL_G.copy(slope=slope), Z, train=True)
    p, y = net.params, run(net, Z)

    def reference(slope, flip=True):
        def activate(h, name):
            gain, bias = (
                torch.tensor(np.asarray(p[name]["batch"][k], np.float64))
                for k in ("scale", "bias")
            )
            h = f.batch_norm(h, None, None, gain, bias, training=True)
            return f.leaky_relu(h, slope)

        w, b = (torch.tensor(np.asarray(p["dense"][k], np.float64)) for k in
                ("kernel", "bias"))  # fmt: skip
        h = (torch.tensor(Z, dtype=torch.float64) @ w + b).reshape(3, 2, 2, 6)
        h = activate(h.permute(0, 3, 1, 2), "norm0")
        h = f.conv_transpose2d(h, *torch_weights(p["deconv1"], flip), 2, 1)
        h = activate(h, "norm1")
        h = f.conv_transpose2d(h, *torch_weights(p["out"], flip), 2, 1)
        return torch.tanh(h).permute(0, 2, 3, 1).numpy()

    np.testing.assert_allclose(y, reference(slope), rtol=1e-3, atol=1e-4)
    assert np.abs(y - reference(0.5)).max() > 0.1


def test_discriminator_against_torch(bound, run):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    net = bound(SMALL_D.copy(layers=BATCH), X, train=True)
    p, y = net.params, run(net, X)

    def reference(slope):
        h = torch.tensor(X, dtype=torch.float64).permute(0, 3, 1, 2)
        h = f.leaky_relu(f.conv2d(h, *torch_weights(p["conv0"]), 2, 1), slope)
        h = f.conv2d(h, *torch_weights(p["conv1"]), 2, 1)
        gain, bias = (torch.tensor(np.asarray(p["norm1"]["batch"][k], np.float64))
                      for k in ("scale", "bias"))  # fmt: skip
        h = f.leaky_relu(f.batch_norm(h, None, None, gain, bias, training=True), slope)
        h = h.permute(0, 2, 3, 1).reshape(3, -1).numpy()
        return h @ np.asarray(p["out"]["kernel"][:, 0]) + np.asarray(p["out"]["bias"])

    np.testing.assert_allclose(y, reference(0.2), rtol=1e-3, atol=1e-3)
    assert np.abs(y - reference(0.0)).max() > 0.1


def test_tanh_in_place_of_leaky_relu(bound, run):
    d = bound(SMALL_D.copy(activation="tanh", slope=0.5), X)
    h = jax.jit(d.features)(X)["hidden1"]
    relu = jax.jit(Bound(SMALL_D, d.params, {}, False).features)(X)["hidden1"]
    # The second layer by hand, from the first: tanh of a convolution, whatever `slope`.
    np.testing.assert_allclose(h, tanh_layers(d.params), rtol=1e-4, atol=1e-6)
    assert np.abs(relu - tanh_layers(d.params)).max() > 1e-3

    # Only tanh is odd: without biases, so is all of the generator.
    network = SMALL_G.copy(activation="tanh", slope=0.5, layers=Layers())
    g = bound(network, Z)
    params = jax.tree.map(lambda p: p if p.ndim > 1 else 0 * p, g.params)
    odd = Bound(network, params, {}, False)
    np.testing.assert_allclose(run(odd, -Z), -run(odd, Z), rtol=1e-4, atol=1e-6)
    not_odd = Bound(network.copy(activation="leaky_relu"), params, {}, False)
    assert np.abs(run(not_odd, -Z) + run(not_odd, Z)).max() > 1e-3


def tanh_layers(p):
    """SMALL_D's second hidden layer [3, 2, 2, 6] with tanh, in float64, by loops."""
    h = np.asarray(X, np.float64)
    for name in ("conv0", "conv1"):
        w, b = (np.asarray(p[name][k], np.float64) for k in ("kernel", "bias"))
        n = h.shape[1] // 2
        h = np.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)))
        out = np.zeros((3, n, n, w.shape[-1]))
        for i in range(n):
            for j in range(n):
                patch = h[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
                out[:, i, j] = np.tensordot(patch, w, 3) + b
        h = np.tanh(out)
    return h


def test_spectral_norm_of_every_kernel(bound, run):
    network = SMALL_D.copy(layers=SPECTRAL, condition="projection", n_classes=3)
    d = bound(network, X, LABEL, train=True)
    kernels = [p for p in jax.tree.leaves(d.params) if p.ndim > 1]
    vectors = jax.tree.leaves(d.stats["spectral"])
    # Two convolutions, the dense layer, the embedding.
    assert sorted(v.size for v in vectors) == sorted(w.shape[-1] for w in kernels)
    assert len(kernels) == 4
    # Divided by its largest singular value, a kernel does not know its scale.
    scaled = jax.tree.map(lambda p: 3 * p if p.ndim > 1 else p, d.params)
    y = run(Bound(network, scaled, d.stats, True), X, LABEL)
    np.testing.assert_allclose(y, run(d, X, LABEL), rtol=1e-4, atol=1e-6)
    plain = bound(SMALL_D, X)
    scaled = jax.tree.map(lambda p: 3 * p, plain.params)
    assert np.abs(run(Bound(SMALL_D, scaled, {}, True), X) - run(plain, X)).max() > 1e-3


def test_projection_discriminator_by_hand(bound, run):
    # psi(phi) + <embed(y), phi>, phi the flattened last map.
    d = bound(SMALL_D.copy(condition="projection", n_classes=3), X, LABEL)
    phi = jax.jit(d.features)(X, LABEL)["hidden1"].reshape(3, -1)
    out, table = d.params["out"], d.params["label"]["embedding"]
    assert table.shape == (3, 24)
    psi = phi @ out["kernel"][:, 0] + out["bias"]
    np.testing.assert_allclose(
        run(d, X, LABEL), psi + (table[LABEL] * phi).sum(1), rtol=1e-4, atol=1e-6
    )
    wrong = psi + (table[(LABEL + 1) % 3] * phi).sum(1)
    assert np.abs(run(d, X, LABEL) - wrong).max() > 1e-3


def test_projection_generator_starts_the_same_for_all_classes(bound, run):
    network = SMALL_G.copy(condition="projection", n_classes=3)
    learnt = bound(network, Z, LABEL, train=True)
    assert (run(learnt, Z, LABEL) != run(learnt, Z, (LABEL + 1) % 3)).any()
    zero = {"gamma", "beta"}
    params = jax.tree_util.tree_map_with_path(
        lambda path, p: 0 * p if path[-1].key in zero else p, learnt.params
    )
    g = Bound(network, params, learnt.stats, True)
    # Gains of 1 + 0: as without condition but for its gains, and not black.
    y = run(g, Z, LABEL)
    assert jnp.abs(y).max() > 0.01
    np.testing.assert_array_equal(y, run(g, Z, (LABEL + 1) % 3))


def test_concatenated_labels(bound, run):
    options = {"condition": "concat", "n_classes": 3}
    g = bound(SMALL_G.copy(**options), Z, LABEL, train=True)
    d = bound(SMALL_D.copy(**options), X, LABEL)
    # z and an embedding of 50; the image and one map.
    assert g.params["dense"]["kernel"].shape == (55, 2 * 2 * 6)
    assert d.params["conv0"]["kernel"].shape == (4, 4, 4, 4)
    assert (run(g, Z, LABEL) != run(g, Z, (LABEL + 1) % 3)).any()
    assert (run(d, X, LABEL) != run(d, X, (LABEL + 1) % 3)).any()


@pytest.mark.parametrize(
    "network", [SMALL_G, SMALL_D.copy(layers=BATCH.replace(spectral=True))]
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
    np.testing.assert_allclose(y, run(full, x), atol=0.05)
    assert (y != run(full, x)).any()


@pytest.mark.parametrize(
    "network, message",
    [
        (Generator((48, 40, 3)), "enlarge by 16.*not divide the resolution 48x40"),
        (SMALL_G.copy(shape=(9, 8, 3)), "enlarge by 4.*9x8"),
        (
            SMALL_G.copy(final="dense"),
            "final='dense' is neither 'transpose' nor 'conv'",
        ),
        (
            SMALL_G.copy(layers=Layers("layer")),
            "norm, if not None: 'layer' is not one of batch",
        ),
        (
            SMALL_D.copy(layers=Layers("pixel")),
            "norm, .*'pixel' is not one of batch, instance, virtual",
        ),
        (SMALL_G.copy(activation="gelu"), "activation: 'gelu' is not one of leaky_"),
        (SMALL_D.copy(activation="gelu"), "activation: 'gelu' is not one of leaky_"),
        (
            SMALL_D.copy(layers=Layers(kernel_init="xavier")),
            "kernel_init: 'xavier' is not one of",
        ),
        (SMALL_G.copy(condition="concat"), "'concat' needs data with labels"),
        (SMALL_D.copy(condition="projection", n_classes=3), "needs data with labels"),
        (SMALL_D.copy(condition="film"), "condition='film': this network knows"),
        (
            SMALL_G.copy(condition="projection", n_classes=3, layers=Layers()),
            "condition='projection': this network knows .'concat'",
        ),
        (
            SMALL_G.copy(condition="projection", n_classes=3, layers=Layers("pixel")),
            "condition='projection': this network knows .'concat'",
        ),
    ],
)
def test_errors(network, message):
    x = Z if isinstance(network, Generator) else X
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(functools.partial(network.init, train=True), KEYS, x)
