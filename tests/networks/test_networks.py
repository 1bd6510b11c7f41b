"""Networks by name, names that are not known, and what every option has to keep."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import networks
from gans.core import Bound
from gans.layers import Layers
from gans.networks import dcgan, mlp


def test_make_returns_the_module_of_that_file():
    g = networks.make("Generator", "mlp", shape=(2,), widths=(4,), n_classes=3)
    assert g == mlp.Generator((2,), (4,), n_classes=3)
    assert networks.make("Discriminator", "mlp", slope=0.2) == mlp.Discriminator(
        slope=0.2
    )


def test_flat_options_are_those_of_the_module_and_of_its_layers():
    options = {"final": "conv", "norm": None, "spectral": True, "kernel_init": "he"}
    g = networks.make("Generator", "dcgan", shape=(8, 8, 3), **options)
    layers = Layers(spectral=True, kernel_init="he")
    assert g == dcgan.Generator((8, 8, 3), final="conv", layers=layers)
    # What is not given stays as the network has it; a default needs no slot.
    g = networks.make("Generator", "dcgan", shape=(8, 8, 3), dropout=0.0)
    assert g.layers == Layers(norm="batch")
    d = networks.make("Discriminator", "resnet", norm=None, minibatch="stddev")
    assert d.layers == Layers(minibatch="stddev") and d.mixes_batch


def test_every_file_holds_both_players():
    for name in ("mlp", "dcgan", "resnet"):
        options = {"n_classes": 3, "condition": "concat", "dtype": "bfloat16"}
        g = networks.make("Generator", name, shape=(8, 8, 1), **options)
        d = networks.make("Discriminator", name, **options)
        assert (type(g).__name__, type(d).__name__) == ("Generator", "Discriminator")
        assert g.__module__ == d.__module__ == f"gans.networks.{name}"


@pytest.mark.parametrize(
    "role, network, options, message",
    [
        (
            "Generator",
            "dcgann",
            {},
            "^network: 'dcgann'.*dcgan, joint, mlp, .*did you mean 'dcgan'",
        ),
        (
            "Discriminator",
            "resnett",
            {},
            "^network: 'resnett'.*did you mean 'resnet'",
        ),
        (
            "Discriminator",
            "mlp",
            {"width": (4,)},
            "mlp.Discriminator has no option 'width'; acc.*slope, .*mean 'widths'",
        ),
        ("Generator", "dcgan", {"minibatch": "stddev"}, "dcgan.Generator has .*'minib"),
        # A residual discriminator is normalised by its weights alone.
        (
            "Discriminator",
            "resnet",
            {"norm": "virtual"},
            "resnet.Discriminator has no option 'norm'; .*minibatch, n_cl",
        ),
        ("Critic", "mlp", {}, "role: 'Critic' is not one of Discriminator, Generator"),
        ("Generator", "mlp", {"layers": Layers()}, "has no option 'layers'"),
        ("Discriminator", "mlp", {"widths": (8, "x")}, "widths=.*each element a whole"),
        ("Discriminator", "mlp", {"widths": 8}, "widths=8 must be a tuple"),
        (
            "Discriminator",
            "dcgan",
            {"convolutions": ((8, 4.0, 2),)},
            "convolutions=.*each element",
        ),
        # Flax's own fields are not options.
        (
            "Discriminator",
            "mlp",
            {"name": "d"},
            "mlp.Discriminator has no option 'name'",
        ),
        (
            "Discriminator",
            "mlp",
            {"parent": None},
            "mlp.Discriminator has no option 'parent'",
        ),
    ],
)
def test_unknown_names(role, network, options, message):
    with pytest.raises(ValueError, match=message):
        networks.make(role, network, **options)


SMALL = {
    ("Generator", "mlp"): {"shape": (4, 4, 1), "widths": (6, 5)},
    ("Discriminator", "mlp"): {"widths": (6, 5), "slope": 0.2},
    ("Generator", "dcgan"): {"shape": (4, 4, 1), "widths": (5,), "kernel_init": "he"},
    ("Discriminator", "dcgan"): {"convolutions": ((4, 3, 1), (5, 4, 2))},
    ("Generator", "resnet"): {"shape": (4, 4, 1), "widths": (5, 4)},
    ("Discriminator", "resnet"): {"widths": (4, 8), "n_down": 1},
}
R, B = 3, 5
LABEL = jnp.array([2, 0, 1, 1, 2], jnp.int32)
INPUTS = {
    "Generator": np.random.default_rng(0).normal(size=(B, 3)).astype(np.float32),
    "Discriminator": np.random.default_rng(0)
    .uniform(-1, 1, (B, 4, 4, 1))
    .astype(np.float32),
}
LABELLED = {"condition": "projection", "n_classes": 3}


def small(role, network, **options):
    if options.get("norm") == "virtual":
        options["norm"] = {"name": "virtual", "n_reference": R}
    return networks.make(role, network, **SMALL[role, network], **options)


@pytest.mark.parametrize(
    "role, network, options",
    [
        ("Generator", "mlp", {"norm": "batch", "spectral": True}),
        ("Generator", "mlp", {"norm": "virtual", "equalised": True}),
        ("Generator", "mlp", {"norm": "pixel"}),
        ("Discriminator", "mlp", {"norm": "batch", "spectral": True}),
        ("Discriminator", "mlp", {"norm": "virtual", "equalised": True}),
        ("Discriminator", "mlp", {"minibatch": "stddev"}),
        (
            "Discriminator",
            "mlp",
            {"norm": "virtual", "minibatch": "discrimination", "dropout": 0.3},
        ),
        ("Generator", "dcgan", {"norm": "virtual", "spectral": True}),
        ("Generator", "dcgan", {"norm": "pixel", "equalised": True}),
        ("Generator", "dcgan", {"norm": None, "equalised": True}),
        ("Discriminator", "dcgan", {"norm": "virtual", "spectral": True}),
        (
            "Discriminator",
            "dcgan",
            {"minibatch": "stddev", "equalised": True, **LABELLED},
        ),
        (
            "Discriminator",
            "dcgan",
            {"minibatch": "discrimination", "norm": "batch", "dropout": 0.3},
        ),
        ("Generator", "resnet", {"norm": "virtual", "equalised": True}),
        ("Generator", "resnet", {"norm": "pixel", "spectral": True}),
        ("Generator", "resnet", {"norm": None}),
        ("Discriminator", "resnet", {"equalised": True, **LABELLED}),
        (
            "Discriminator",
            "resnet",
            {"minibatch": "stddev", "spectral": True, "dropout": 0.3},
        ),
        ("Discriminator", "resnet", {"minibatch": "discrimination", "equalised": True}),
    ],
)
def test_options_keep_the_contract(bound, role, network, options):
    module, x = small(role, network, **options), INPUTS[role]
    net, key = bound(module, x, LABEL, train=True), jax.random.key(0)
    collections = {
        "batch_stats": options.get("norm") == "batch",
        "reference": options.get("norm") == "virtual",
        "spectral": options.get("spectral", False),
    }
    assert set(net.stats) == {name for name, there in collections.items() if there}

    def passes(module, x, others):
        """A pass in training, then two: the first example is the other's last."""
        _, stats = Bound(module, net.params, net.stats, True).mutate(x, LABEL, key=key)
        later = Bound(module, net.params, stats, True)
        run = jax.vmap(lambda x: later.mutate(x, LABEL, key=key))
        return stats, *run(jnp.stack([x, others]))

    others = np.concatenate([-0.7 * x[:0:-1], x[:1]])
    quick = {"xla_backend_optimization_level": 0}
    stats, y, later = jax.jit(
        functools.partial(passes, module), compiler_options=quick
    )(x, others)
    assert y.shape[1:] == ((B, 4, 4, 1) if role == "Generator" else (B,))
    assert np.isfinite(y).all() and np.abs(y[0] - y[1]).max() > 1e-4
    # What an example gets depends on its company where the network says so.
    mixes = options.get("norm") == "batch"
    if role == "Discriminator":
        mixes |= "minibatch" in options
        assert module.mixes_batch == mixes
    assert (np.abs(y[0, 0] - y[1, -1]).max() > 1e-5) == mixes
    if "reference" in stats:
        np.testing.assert_array_equal(stats["reference"]["x"], x[:R])
        for new in jax.tree.leaves(later["reference"]["x"]):
            np.testing.assert_array_equal(new, [x[:R]] * 2)
    # In bfloat16 too, what is kept is float32, and so is what comes out.
    half = functools.partial(
        passes, module.copy(layers=module.layers.replace(dtype=jnp.bfloat16))
    )
    kept = jax.eval_shape(half, x, others)
    assert {a.dtype.name for a in jax.tree.leaves((net.params, kept))} == {"float32"}
    if role == "Discriminator":
        features = jax.eval_shape(lambda x: net.features(x, LABEL, key=key), x)
        assert {len(h) for h in features.values()} == {B}


PLAYERS = list(SMALL)
NORMED = [player for player in PLAYERS if player != ("Discriminator", "resnet")]
REJECTED = [
    *((p, {"norm": "layer"}, "norm, if not None: 'layer'") for p in NORMED),
    *(
        (p, {"norm": "virtual", "condition": "concat", "n_classes": 3}, "no labels")
        for p in NORMED
    ),
    *(
        (p, {"minibatch": "std"}, "minibatch, if not None: 'std'")
        for p in PLAYERS[1::2]
    ),
    *((p, {"spectral": True, "equalised": True}, "one of the two") for p in PLAYERS),
]


@pytest.mark.parametrize("player, options, message", REJECTED)
def test_options_that_are_rejected(player, options, message):
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    with pytest.raises(ValueError, match=message):
        init = functools.partial(small(*player, **options).init, train=True)
        jax.eval_shape(init, keys, INPUTS[player[0]], LABEL)


@pytest.mark.parametrize("player", NORMED)
def test_batches_smaller_than_the_reference(bound, player):
    x = INPUTS[player[0]]
    net = bound(small(*player, norm="virtual"), x, train=True)
    with pytest.raises(ValueError, match="n_reference=3: the batch has 2 examples"):
        jax.eval_shape(net.mutate, x[:2])
    still = Bound(net.module, net.params, net.stats, False)
    assert len(jax.eval_shape(still, x[:2])) == 2
