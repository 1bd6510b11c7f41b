"""SRGAN and ESRGAN: BasicSR's losses, two stages over one state, the content loss."""

import functools
import json
import pathlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import srgan
from experiments import config as configs
from experiments.contracts import promises, trial
from experiments.contracts.trial import random_batch
from gans import core, stages
from gans.data import spec as specs
from gans.losses import adversarial
from gans.metrics.features import content, pth, squeezenet

FIXTURE = (
    pathlib.Path(__file__).parents[3]
    / "shared/reference/parity/super_resolution/losses.json"
)
KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def basicsr():
    if not FIXTURE.exists():
        pytest.skip("no fixtures in ../shared/reference/parity")
    return json.loads(FIXTURE.read_text())


@pytest.mark.parametrize(
    "name, ours",
    [
        ("vanilla", adversarial.non_saturating()),
        ("lsgan", adversarial.least_squares(factor=1.0)),
        ("hinge", adversarial.hinge()),
        ("wgan", adversarial.wasserstein()),
    ],
)
def test_basicsrs_losses(name, ours, basicsr):
    real, fake = (jnp.array(basicsr[f"{x}_logits"]) for x in ("real", "fake"))
    wanted = basicsr[name]
    on_real, on_fake = (float(jnp.mean(x)) for x in ours.discriminator(real, fake))
    assert on_real == pytest.approx(wanted["d_real"], rel=1e-6)
    assert on_fake == pytest.approx(wanted["d_fake"], rel=1e-6)
    g = 0.005 * float(adversarial.total(ours.generator(fake)))
    assert g == pytest.approx(wanted["g_fake_weight_0_005"], rel=1e-6)


class Logits:
    """In the place of a network: the logits are the images."""

    module = None

    def __init__(self, real, fake):
        self.images = {"real": real, "fake": fake}

    def mutate(self, x, key=None):
        return x, {}

    def __call__(self, x, key=None):
        return x


@pytest.mark.parametrize("relative", [True, False])
def test_the_generators_adversarial_loss(relative, tiny, basicsr):
    """Of ESRGAN half the sum, of SRGAN the mean of -log D."""
    loss = "relativistic_average" if relative else "non_saturating"
    changes = {"pretrain": 0, "l1": 0.0, "adversarial_weight": 0.005, "loss": loss}
    config = configs.override(tiny("srgan"), changes)
    gan = configs.build(config)
    (_, update) = gan.updates
    real, fake = (np.array(basicsr[f"{x}_logits"]) for x in ("real", "fake"))
    nets = {"g": Logits(real, fake), "d": Logits(real, fake)}
    batch = {"a": jnp.array(fake), "b": jnp.array(real)}
    state = types.SimpleNamespace(step=0, aux={})
    value, out = update.loss(nets, batch, KEY, state)
    wanted = basicsr["esrgan_relativistic_average"]["g_weight_0_005"]
    if not relative:
        wanted = 0.005 * basicsr["srgan"]["adversarial_g_mean_minus_log_sigmoid"]
    assert float(value) == pytest.approx(wanted, rel=1e-6)
    # Negative control: real and fake exchanged.
    swapped = {"a": batch["b"], "b": batch["a"]}
    assert abs(float(update.loss(nets, swapped, KEY, state)[0]) / wanted - 1) > 1e-2


def test_the_discriminators_loss_is_basicsrs(basicsr):
    """Half the sum, as `Adversary` has it."""
    loss = adversarial.relativistic_average()
    real, fake = (jnp.array(basicsr[f"{x}_logits"]) for x in ("real", "fake"))
    on_real, on_fake = (float(x.mean()) / 2 for x in loss.discriminator(real, fake))
    wanted = basicsr["esrgan_relativistic_average"]
    assert on_real == pytest.approx(wanted["d_real"], rel=1e-6)
    assert on_fake == pytest.approx(wanted["d_fake"], rel=1e-6)


@pytest.fixture(scope="module")
def second(tiny):
    """The first steps of the second stage, by itself."""
    config = configs.override(tiny("srgan"), {"pretrain": 0, "l1": 0.01})
    spec = specs.from_json(config.spec.to_dict())

    def batch(i):
        return random_batch(spec, config.batch_size, jax.random.key(i))

    return trial.begin(config, configs.build(config), batch)


@pytest.mark.parametrize(
    "promise",
    [
        promise
        for promise in promises.PROMISES
        if promise not in (promises.devices_agree, promises.metrics_are_measured)
    ],
    ids=lambda x: x.__name__,
)
def test_the_second_stage_keeps_its_promises(promise, second):
    try:
        assert list(promise(second)) == []
    except promises.Skipped as skipped:
        pytest.skip(str(skipped))


@pytest.mark.slow
def test_the_second_stage_begins_with_the_generator_of_the_first(tiny):
    config = tiny("srgan")
    found = configs.stages(config)
    assert [x.steps for x in found] == [config.pretrain, config.steps - config.pretrain]
    assert [x.reset_optimisers for x in found] == [False, True]
    one, two = (
        jax.jit(functools.partial(core.init, configs.build(config, i)))(
            jax.random.key(i)
        )
        for i in range(2)
    )
    assert one.params.keys() == {"g"} and two.params.keys() == {"g", "d"}
    carried = stages.carry(one, two, reset_optimisers=True)
    for ours, theirs in ((carried.params, one.params), (carried.ema, one.ema)):
        jax.tree.map(np.testing.assert_array_equal, ours["g"], theirs["g"])
    jax.tree.map(np.testing.assert_array_equal, carried.params["d"], two.params["d"])
    # Either stage by itself.
    for changes, n in (({"pretrain": config.steps}, 1), ({"pretrain": 0}, 2)):
        alone = configs.override(config, changes)
        assert len(configs.stages(alone)) == 1
        assert len(configs.build(alone).nets) == n
    with pytest.raises(ValueError, match="pretrain=5000 is more than steps=3000"):
        configs.stages(configs.override(config, {"pretrain": 5000}))


def rates(net, n):
    """The learning rates of n updates of an optimiser that is SGD."""
    found, kept = [], net.tx.init(jnp.zeros(()))
    for _ in range(n):
        update, kept = net.tx.update(jnp.ones(()), kept, jnp.zeros(()))
        found.append(-float(update))
    return found


def test_the_learning_rate_falls_in_each_stage(tiny):
    sgd = {"name": "sgd", "learning_rate": 2.0, "drops": (1, 2), "drop": 0.5}
    changes = {"pretrain_rate": 8.0, "pretrain_drops": (2,)}
    config = configs.override(tiny("srgan"), {"generator.optimizer": sgd, **changes})
    one, two = (configs.build(config, i).nets["g"] for i in range(2))
    assert rates(one, 4) == [8, 8, 4, 4] and rates(two, 4) == [2, 1, 0.5, 0.5]
    # As in the papers; a run of before has no such key.
    esrgan = srgan.get_config("esrgan")
    assert esrgan.pretrain_drops == (200_000, 400_000, 600_000, 800_000)
    for player in (esrgan.generator, esrgan.discriminator):
        drops = player.optimizer.drops, player.optimizer.drop
        assert drops == ((50_000, 100_000, 200_000, 300_000), 0.5)
    optimizer = srgan.get_config("paper").generator.optimizer
    assert (optimizer.drops, optimizer.drop) == ((100_000,), 0.1)
    former = config.to_dict()
    del former["pretrain_drops"]
    assert configs.convert(former)["pretrain_drops"] == ()


def test_networks_that_do_not_enlarge_are_refused(tiny):
    with pytest.raises(ValueError, match="'unet' makes images as large as .* 4 times"):
        configs.build(configs.override(tiny("srgan"), {"generator.network": "unet"}))


# --- the content loss ----------------------------------------------------------------


@pytest.fixture
def weights(tmp_path):
    """A file of random weights of SqueezeNet."""
    module, rng = squeezenet.SqueezeNet(head=False), np.random.default_rng(0)
    x = jax.ShapeDtypeStruct((1, 227, 227, 3), jnp.float32)
    shapes = jax.eval_shape(module.init, KEY, x)["params"]
    arrays = {
        "/".join(p.key for p in path): rng.normal(0, 0.1, x.shape).astype(np.float32)
        for path, x in jax.tree_util.tree_leaves_with_path(shapes)
    }
    np.savez(tmp_path / "squeezenet.npz", **arrays)
    return str(tmp_path / "squeezenet.npz")


def test_the_content_network_is_frozen_and_named(tiny, weights):
    changes = {
        "pretrain": 0,
        "content": "squeezenet_fire5",
        "content_weights": weights,
        "content_loss": "l1",
    }
    config = configs.override(tiny("srgan"), changes)
    gan = configs.build(config)
    assert gan.nets["content"].frozen
    assert gan.nets["content"].module.name == "squeezenet_fire5"  # for the protocol
    state = jax.eval_shape(functools.partial(core.init, gan), KEY)
    assert "content" not in state.params and "content" in state.frozen
    spec = specs.from_json(config.spec.to_dict())
    batch = jax.eval_shape(lambda: random_batch(spec, 4))
    _, metrics = jax.eval_shape(core.make_step(gan), state, batch, KEY)
    assert "g/content_squeezenet_fire5" in metrics


def test_features_of_squeezenet_are_those_of_the_extractor(weights):
    variables = content.from_file("squeezenet_fire5", weights)
    assert {*variables["params"]} == {"conv1", "fire2", "fire3", "fire4", "fire5"}
    x = np.random.default_rng(0).uniform(-1, 1, (2, 48, 40, 3)).astype(np.float32)
    module = content.Content("squeezenet_fire5")
    found = jax.jit(module.apply)(variables, x)
    # SqueezeNet itself, stopped after fire5, of levels in BGR less the mean.
    with np.load(weights) as file:
        whole = squeezenet.from_npz(dict(file))
    y = (x[..., ::-1] * 127.5 + 127.5) - np.array(squeezenet.MEAN_BGR)

    def taps(x):
        _, seen = squeezenet.SqueezeNet(head=False).apply(
            whole, x, capture_intermediates=lambda m, _: m.name == "fire5"
        )
        return seen["intermediates"]["fire5"]["__call__"][0]

    np.testing.assert_allclose(32 * found, jax.jit(taps)(y), rtol=1e-4, atol=1e-3)


def test_layers_of_vgg19_are_torchvisions(basicsr, monkeypatch):
    """Their numbers in `features`; the weights that a file of all of them has."""
    known = basicsr["vgg19_feature_indices"]
    for name, (layer, _) in content.NETS.items():
        if name.startswith("vgg19"):
            assert layer == known[name.removeprefix("vgg19_")]
    widths, state, last = {}, {}, 3
    for name, i in known.items():
        if name.startswith("conv"):
            width = min(64 * 2 ** (int(name[4]) - 1), 512)
            shapes = {"weight": (width, last, 3, 3), "bias": (width,)}
            for kind, shape in shapes.items():
                zero = np.zeros((), np.float32)
                state[f"features.{i}.{kind}"] = np.broadcast_to(zero, shape)
            widths[name], last = width, width
    state["classifier.0.weight"] = np.zeros((2, 2), np.float32)
    monkeypatch.setattr(pth, "read", lambda path: state)
    x = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    for name, side, width in (("vgg19_relu2_2", 32, 128), ("vgg19_conv5_4", 4, 512)):
        variables = content.from_file(name, "vgg19.pth")
        y = jax.eval_shape(content.Content(name).apply, variables, x)
        assert y.shape == (1, side, side, width)
    n = [k for k in variables["params"]["trunk"]]
    assert len(n) == 16


def test_content_that_cannot_be(tiny, tmp_path):
    def built(**changes):
        return configs.build(
            configs.override(tiny("srgan"), {"pretrain": 0, **changes})
        )

    with pytest.raises(ValueError, match="content: name: 'vgg' is not one of .*vgg19"):
        built(content="vgg")
    with pytest.raises(ValueError, match="needs its file of weights: content_weights"):
        built(content="vgg19_conv5_4")
    with pytest.raises(ValueError, match="no.npz': No such file"):
        built(content="squeezenet_fire5", content_weights=str(tmp_path / "no.npz"))
