"""TadGAN, against Orion 0.7.1 (Keras): networks, losses and one step of each update."""

import functools
import importlib
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.expressions import expand
from gans import core, terms
from gans.core import Net
from gans.data.spec import Field
from gans.layers import Layers
from gans.losses import penalties
from gans.networks import series
from gans.variants import tadgan

FILE = (
    pathlib.Path(__file__).parents[3]
    / "shared/reference/parity/tadgan/networks_and_step.npz"
)
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
KEY = jax.random.key(0)
WINDOW, LATENT = 20, 5
NETS = {"e": "encoder", "g": "generator", "c_x": "critic_x", "c_z": "critic_z"}


@pytest.fixture(scope="module")
def keras():
    if not FILE.exists():
        pytest.skip("the fixtures are not at hand")
    return np.load(FILE)


def ours(file, net, prefix):
    """The parameters of a network: Keras has them in the order of its layers."""
    start = f"{prefix}/{NETS[net]}/"
    arrays = [file[k] for k in sorted(file.files) if k.startswith(start)]
    take = iter(arrays)

    def layer(*names):
        return {name: next(take) for name in names}

    def lstm():
        names = ("kernel", "recurrent_kernel", "bias")
        return {"forward": layer(*names), "backward": layer(*names)}

    def dense():
        return layer("kernel", "bias")

    make = {
        "e": {"lstm": lstm, "out": dense},
        "g": {"dense": dense, "lstm0": lstm, "lstm1": lstm, "out": dense},
        "c_x": {**{f"conv{i}": dense for i in range(4)}, "out": dense},
        "c_z": {"dense0": dense, "dense1": dense, "out": dense},
    }[net]
    found = {name: read() for name, read in make.items()}
    assert next(take, None) is None
    return found


def game():
    """The game of the fixture, in float64 and with Keras' Adam.

    Keras adds eps to the root of the uncorrected variance, which in the first step is
    eps / sqrt(1 - b2) in the usual form.
    """
    layers = Layers(dtype=jnp.float64)
    modules = {
        "e": series.Encoder(LATENT, 7, layers),
        "g": series.Generator((WINDOW, 1), 6, layers=layers),
        "c_x": series.Discriminator(6, layers=layers),
        "c_z": series.LatentDiscriminator(LATENT, layers),
    }
    x = jax.ShapeDtypeStruct((1, WINDOW, 1), jnp.float64)
    z = jax.ShapeDtypeStruct((1, LATENT), jnp.float64)
    inputs = {"e": x, "g": z, "c_x": x, "c_z": z}
    tx = optax.adam(5e-4, eps=1e-7 / (1 - 0.999) ** 0.5)
    nets = {name: Net(modules[name], (inputs[name],), tx) for name in modules}
    penalty = terms.make(("gradient_penalty",), "discriminator")
    return tadgan.TadGAN(nets=nets, latent=LATENT, terms=penalty, n_critic=1)


@pytest.fixture(scope="module")
def first(keras):
    """(gan, the state before the step, {"series": x}), in float64."""
    with jax.enable_x64(True):
        gan = game().gan()
        shapes = jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
        state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        state = state.replace(params={net: ours(keras, net, "w") for net in NETS})
        for name, x in shapes.params.items():
            found = jax.tree.map(np.shape, state.params[name])
            assert found == jax.tree.map(lambda x: x.shape, x)
        return gan, state, {"series": keras["x"]}


@pytest.mark.slow
def test_networks_of_orion(keras, first):
    gan, state, batch = first
    with jax.enable_x64(True):

        @quick
        def outputs(state, x, z):
            nets = core.bind(gan, state, train=False)
            inputs = {"series": x, "z": z}
            call = {k: f(nets, inputs, None) for k, f in gan.outputs.items()}
            return call, nets["e"](x), nets["c_z"](z)

        found, code, of_z = outputs(state, batch["series"], keras["z"][..., 0])
    for ours, theirs in (
        (found["sample"]["series"], keras["generator(z)"]),
        (found["reconstruct"]["series"], keras["predict/y_hat"]),
        (found["score"]["score"][:, None], keras["critic_x(x)"]),
        (found["score"]["score"][:, None], keras["predict/critic"]),
        (code[..., None], keras["encoder(x)"]),
        (of_z[:, None], keras["critic_z(z)"]),
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)


@pytest.mark.slow
def test_one_step_of_orion(keras, first, monkeypatch):
    gan, state, batch = first
    meta = json.loads(str(keras["meta"]))["losses"]
    given = {}

    def between(real, fake, key):  # Keras' weight is that of the real example
        share = given["alpha"].reshape(-1, *(1,) * (real.ndim - 1))
        return share * real + (1 - share) * fake

    @quick
    def step(state, batch, z, alpha):
        given.update(z=z, alpha=alpha)
        return core.make_step(gan)(state, batch, KEY)

    monkeypatch.setattr(tadgan.TadGAN, "draw", lambda self, key, n: given["z"])
    monkeypatch.setattr(penalties, "_between", between)
    with jax.enable_x64(True):
        draws = keras["z"][..., 0], keras["alpha"]
        after, found = step(state, batch, *draws)
        # The penalty is that of these points, and not of their mirror images.
        other = step(state, batch, draws[0], 1 - draws[1])[1]
    x, of_z, eg = meta.values()
    wanted = {
        "c_x/loss": x[0],
        "c_x/score_real": -x[1],
        "c_x/score_fake": x[2],
        "c_x/gradient_penalty": x[3],
        "c_z/loss": of_z[0],
        "c_z/gradient_penalty": of_z[3],
        "g/loss": eg[0],
        "g/fooled_x": eg[1],
        "g/fooled_z": eg[2],
        "g/cycle": eg[3],
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=2e-6), name
    apart = other["c_x/gradient_penalty"] - found["c_x/gradient_penalty"]
    assert abs(apart) > 1e-4
    stages = {"c_x": "critic_x", "c_z": "critic_z"}
    for net in NETS:
        stage = f"after_{stages.get(net, 'encoder_generator')}"
        expected, before = ours(keras, net, stage), ours(keras, net, "w")
        moved = 0.0
        for a, b, c in zip(
            *map(jax.tree.leaves, (after.params[net], expected, before)), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-7, err_msg=net)
            moved = max(moved, np.abs(b - c).max())
        assert moved > 1e-4  # it is compared with what a step changes


def test_several_channels_and_odd_windows():
    gan = series.Generator((15, 3), 2, recurrent_dropout=0.5)
    made = jax.eval_shape(
        lambda z: gan.init_with_output(KEY, z, train=False)[0], jnp.ones((2, 4))
    )
    assert made.shape == (2, 15, 3)
    d = series.Discriminator()
    with pytest.raises(ValueError, match="need at least 17 steps; the series have 15"):
        jax.eval_shape(lambda x: d.init(KEY, x, train=False), jnp.ones((2, 15, 3)))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"penalties": ("r1(every=16)",)}, "r1: a critic has terms of its own inputs"),
        ({"width": 0}, "discriminator: width=0 must be sizes"),
    ],
)
def test_parts_that_do_not_fit_are_rejected(change, message):
    config = importlib.import_module("configs.tadgan").get_config().to_dict()
    config["discriminator"] |= change
    config = expand(config, "config")
    spec = {"series": Field("series", (20, 1), "float32")}
    with pytest.raises(ValueError, match=message):
        tadgan.build(config, spec)


def test_data_that_are_no_series_are_rejected():
    config = importlib.import_module("configs.tadgan").get_config().to_dict()
    spec = {"image": Field("image", (8, 8, 1), "uint8")}
    with pytest.raises(ValueError, match="kind series.*it has image"):
        tadgan.build(config, spec)
