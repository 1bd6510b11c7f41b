"""StyleGAN2 in PyTorch: the fixtures' networks, and the losses of our updates."""

import functools
import pathlib

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.benchmarks import workload
from gans import core
from gans.networks import stylegan2

pytest.importorskip("torch", reason="extra `reference`")
import torch  # noqa: E402

from experiments.benchmarks.torch_reference import styled  # noqa: E402
from experiments.benchmarks.torch_reference.stylegan2 import Training  # noqa: E402

torch.set_num_threads(1)  # these are small
STYLE = pathlib.Path(__file__).parents[5] / "shared/reference/parity/style"
KEY = jax.random.key(3)
QUICK = {"xla_backend_optimization_level": 0}
SIZES = {"channel_base": 512, "channel_max": 32}  # of the fixtures


def fixture(name):
    """(arrays, state dict without the filters' buffers)."""
    if not STYLE.is_dir():
        pytest.skip("no fixtures in ../shared/reference/parity")
    with np.load(STYLE / f"{name}.npz") as file:
        arrays = {x: file[x] for x in file.files}
    own = {x[2:]: torch.tensor(y) for x, y in arrays.items() if x[:2] in ("G/", "D/")}
    return arrays, {x: y for x, y in own.items() if "resample" not in x}


def far(found, wanted):
    """The largest difference, as a share of the largest value."""
    return np.abs(found.detach().numpy() - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("modulated", styled.MODULATED)
def test_the_generator_is_that_of_the_fixture(modulated, monkeypatch):
    monkeypatch.setattr(styled.StyledConv, "modulated", modulated)
    arrays, state = fixture("sg2_G_32")
    g = styled.Generator((32, 32, 3), 16, w_dim=16, mixing=0.0, **SIZES)
    g.load_state_dict(state)
    z = torch.tensor(arrays["in/z"])
    ws = g.styles(z, track=False)
    assert far(ws[:, 0], arrays["out/ws"]) < 1e-5
    assert far(g.synthesis(ws, "const"), arrays["out/img"]) < 1e-4
    assert far(g.synthesis(ws, "none"), arrays["out/img_noise_none"]) < 1e-4
    assert far(g.synthesis(ws, "random"), arrays["out/img"]) > 0.01
    g.styles(z)
    assert far(g.mapping.w_avg, arrays["out/w_avg_after_one_update"]) < 1e-5


def test_the_discriminator_is_that_of_the_fixture():
    arrays, state = fixture("sg2_D_32")
    d = styled.Discriminator((32, 32, 3), **SIZES)
    d.load_state_dict(state)
    x = torch.tensor(arrays["in/img"])
    assert far(d(x), arrays["out/logits"][:, 0]) < 1e-4
    d.b4.group = 8
    assert far(d(x), arrays["out/logits"][:, 0]) > 0.001


def random_state(module):
    """Arrays in which nothing has its first value, but for noise, which is off."""
    draw = np.random.default_rng(0).normal
    return {
        name: np.zeros(x.shape, np.float32)
        if name.endswith("noise_strength")
        else draw(0.0, 100.0 if "fc" in name and x.ndim == 2 else 1.0, x.shape)
        for name, x in module.state_dict().items()
    }


@pytest.fixture(scope="module")
def training():
    """PyTorch's, narrow and without style mixing."""
    config = configs.load_file("configs/stylegan2.py:folder")[0]
    config.resolution, config.batch_size, config.latent = 16, 4, 6
    config.augment = ()
    with config.unlocked(), config.ignore_type():
        for player in (config.generator, config.discriminator):
            player.update({"channel_base": 64, "channel_max": 8})
        config.generator.update({"w_dim": 8, "mixing": 0.0, "mapping_layers": 2})
        config.generator.penalties = ("path_length(weight=2, every=4)",)
        config.discriminator.penalties = ("r1(weight=3, every=16)",)
    config = configs.resolve(config, workload.source(config))
    return Training(config)


@pytest.fixture(scope="module")
def game(training):
    """(gan, state, batch, PyTorch's with the same weights)."""
    gan = configs.build(training.config)
    params, stats = {}, {}
    for name in "gd":
        module = getattr(training, name)
        random = {x: np.float32(y) for x, y in random_state(module).items()}
        module.load_state_dict({x: torch.tensor(y) for x, y in random.items()})
        variables = stylegan2.from_torch(random)[1]
        params[name] = variables.pop("params")
        stats[name] = variables
    shapes = jax.eval_shape(lambda: core.init(gan, KEY))
    for ours, theirs in ((shapes.params, params), (shapes.stats, stats)):
        assert jax.tree.map(np.shape, ours) == jax.tree.map(np.shape, theirs)
    init = jax.jit(functools.partial(core.init, gan), compiler_options=QUICK)
    state = init(KEY).replace(params=params, stats=stats)
    x = jax.random.uniform(KEY, (4, 16, 16, 3), minval=-1.0)
    return gan, state, {"image": x}, training


def draws(training, n, slot):
    """(z of an update, and the images of noise of its lazy term)."""
    keys = jax.random.split(KEY, 5)
    z = jax.random.normal(jax.random.split(keys[0])[0], (4, training.config.latent))
    key = jax.random.split(keys[2], 3)[2]
    noise = jax.random.normal(key, (n, 16, 16, 3))
    return [torch.tensor(np.asarray(x)) for x in (z[:n], np.moveaxis(noise, -1, 1))]


def ours(game, index):
    """(loss, gradients by their names) of an update."""
    gan, state, batch, _ = game
    update = gan.updates[index]
    (name,) = update.trains

    def loss(params):
        with_params = state.replace(params={**state.params, name: params})
        nets = core.bind(gan, with_params, train=True)
        return update.loss(nets, batch, KEY, with_params)[0]

    run = jax.jit(jax.value_and_grad(loss), compiler_options=QUICK)
    value, grads = run(state.params[name])
    grads = stylegan2.to_torch({}, {"params": grads, **state.stats[name]})
    return float(value), grads


def theirs(game, index):
    gan, _, batch, training = game
    name = gan.updates[index].name
    real = torch.tensor(np.asarray(batch["image"])).permute(0, 3, 1, 2)
    z, _ = draws(training, 4, name)
    loss = {
        "d": lambda: training.discriminator_loss(real, z),
        "g": lambda: training.generator_loss(z),
        "path_length": lambda: training.path_length_loss(*draws(training, 2, name)),
        "r1": lambda: training.r1_loss(real),
    }[name.partition("/")[0].removeprefix("g_").removeprefix("d_")]()
    (trained,) = gan.updates[index].trains
    module = getattr(training, trained)
    module.zero_grad()
    loss.backward()
    return loss.item(), {x: p.grad for x, p in module.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("index", range(4))
def test_losses_and_gradients_agree(game, index):
    value, grads = ours(game, index)
    expected, wanted = theirs(game, index)
    np.testing.assert_allclose(value, expected, rtol=1e-3)
    assert abs(value) > 1e-3
    scale = max(float(x.abs().max()) for x in wanted.values() if x is not None)
    for name, x in wanted.items():
        if x is None:  # an image's bias moves with no style
            assert np.abs(grads[name]).max() == 0
            continue
        if name.endswith("noise_strength"):  # the noise is drawn by each
            continue
        size = max(float(x.abs().max()), 1e-2 * scale)
        assert np.abs(grads[name] - x.numpy()).max() < 2e-3 * size, name


@pytest.mark.slow
def test_other_weights_disagree(game):
    training = game[-1]
    value, _ = ours(game, 3)
    with torch.no_grad():
        training.d.b8.skip.weight.mul_(1.05)
    expected, _ = theirs(game, 3)
    assert abs(value / expected - 1) > 0.01


def test_a_cycle_updates_what_is_due(training):
    real = torch.rand(4, 3, 16, 16)
    before = training.mean_length.clone()
    for _ in range(3):
        training.step({training.field: real})
    assert torch.equal(before, training.mean_length)
    training.step({training.field: real})
    assert not torch.equal(before, training.mean_length)
    assert all(p.requires_grad for p in training.d.parameters())
    own = dict(training.g.named_parameters())
    averaged = dict(training.average.named_parameters())
    assert any(not torch.equal(own[x], averaged[x]) for x in own)


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"conditional": True}, "options have no counterpart"),
        ({"generator.architecture": "resnet"}, "only stylegan2, skip"),
        ({"discriminator.penalties": ({"name": "r1"},)}, "every above 1"),
    ],
)
def test_configs_without_a_counterpart_are_rejected(training, changes, named):
    config = training.config.copy_and_resolve_references()
    with config.ignore_type():
        config.update_from_flattened_dict(changes)
    with pytest.raises(ValueError, match=named):
        Training(config)
