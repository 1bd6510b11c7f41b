"""Our updates and PyTorch's agree: losses and gradients of both networks."""

import functools

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import core

pytest.importorskip("torch", reason="extra `reference`")
import torch  # noqa: E402

from experiments.benchmarks.torch_reference.training import Training  # noqa: E402
from experiments.benchmarks.torch_reference.weights import convert, copy_to  # noqa: E402

KEY = jax.random.key(3)
# variant, preset: networks, losses, normalisations and penalties, each at least once.
GAMES = (
    ("gan", "circle"),
    ("gan", "digits"),
    ("dcgan", "digits"),
    ("dcgan", "folder"),
    ("lsgan", "digits"),
    ("wgan", "digits"),
    ("wgan_gp", "digits"),
    ("wgan_gp", "cifar10"),
    ("sngan", "digits"),
    ("sngan", "cifar10"),
    ("sagan", "digits"),
)


QUICK = {"xla_backend_optimization_level": 1}  # to compile


def random(shapes):
    """Parameters of these shapes; no bias or gain is 0 or 1, its first value."""
    draw = np.random.default_rng(0).normal

    def one(x):
        if x.ndim < 2:
            return jnp.asarray(draw(0.5, 0.2, x.shape), x.dtype)
        fan_in = x.size // x.shape[-1]
        return jnp.asarray(draw(0.0, fan_in**-0.5, x.shape), x.dtype)

    return jax.tree.map(one, shapes)


def converged(params, stats):
    """The spectral vectors at the fixed point of their iteration."""
    kernels = {
        "/".join(p for p in path if p != "layer"): x
        for path, x in flax.traverse_util.flatten_dict(params).items()
    }
    flat = flax.traverse_util.flatten_dict(stats)
    for path in flat:
        if path[0] == "spectral":
            # ("spectral", "conv0", "kernel/u")
            kernel = kernels["/".join(path[1:]).removesuffix("/u")]
            matrix = np.asarray(kernel).reshape(-1, kernel.shape[-1])
            flat[path] = jnp.asarray(np.linalg.svd(matrix)[2][0])
    return flax.traverse_util.unflatten_dict(flat)


@pytest.fixture(scope="module", params=GAMES, ids="-".join)
def game(request, tiny):
    """(gan, state, batch, PyTorch's with the same weights)."""
    variant, preset = request.param
    config = tiny(variant, preset, batch_size=6)
    for player in (config.generator, config.discriminator):
        if "dropout" in player:
            player.dropout = 0.0
    gan = configs.build(config)
    state = jax.eval_shape(lambda: core.init(gan, KEY))
    params = random(state.params)
    stats = {n: converged(params[n], random(state.stats[n])) for n in params}
    state = state.replace(step=jnp.int32(0), params=params, stats=stats)
    training = Training(config)
    for name in "gd":
        copy_to(getattr(training, name), params[name])
    x = jax.random.uniform(KEY, (6, *config.shape), minval=-1.0)
    batch = {"image" if x.ndim == 4 else "point": x}
    return gan, state, batch, training


def ours(game, name):
    """(loss, gradients of the network that the update `name` trains)."""
    gan, state, batch, _ = game
    update = next(u for u in gan.updates if u.name == name)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def loss_and_gradients(params):
        def loss(params):
            with_params = state.replace(params={**state.params, name: params})
            nets = core.bind(gan, with_params, train=True)
            return update.loss(nets, batch, KEY, with_params)[0]

        return jax.value_and_grad(loss)(params)

    return loss_and_gradients(state.params[name])


def noise(game, name):
    """(z, alpha) that our update draws from KEY (see `gans.game`)."""
    gan, _, batch, training = game
    n = len(next(iter(batch.values())))
    keys = jax.random.split(KEY, 3)
    z = jax.random.normal(jax.random.split(keys[0])[0], (n, training.config.latent))
    alpha = jax.random.uniform(keys[-1], (n, 1, 1, 1)).ravel()
    return torch.tensor(np.asarray(z)), torch.tensor(np.asarray(alpha))


def theirs(game, name):
    *_, batch, training = game
    real = torch.tensor(np.asarray(next(iter(batch.values()))))
    if real.ndim == 4:
        real = real.permute(0, 3, 1, 2)
    z, alpha = noise(game, name)
    module = getattr(training, name)
    loss = (
        training.discriminator_loss(real, z, alpha)
        if name == "d"
        else training.generator_loss(z)
    )
    module.zero_grad()
    loss.backward()
    return loss.item(), {name: p.grad for name, p in module.named_parameters()}


def largest_difference(game, name):
    """Of a loss or a gradient, relative to the largest number of that gradient."""
    loss, gradients = ours(game, name)
    expected_loss, expected = theirs(game, name)
    gradients = convert(gradients, getattr(game[-1], name))
    scale = max(float(x.abs().max()) for x in expected.values())
    differences = [abs(float(loss) - expected_loss) / abs(expected_loss)]
    for name, x in expected.items():
        # A gradient that is 0 but for rounding (a bias before batch norm) has no scale.
        size = max(float(x.abs().max()), 1e-2 * scale)
        differences.append(float((gradients[name] - x).abs().max()) / size)
    return max(differences)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["d", "g"])
def test_losses_and_gradients_agree(game, name):
    # Rounding of float32, which depends on the processor: 1.6e-4 was seen.
    assert largest_difference(game, name) < 5e-4


@pytest.mark.slow
def test_other_weights_disagree(game):
    *rest, training = game
    before = {name: p.clone() for name, p in training.d.named_parameters()}
    with torch.no_grad():
        for p in training.d.parameters():
            p.mul_(1.01)
    different = largest_difference((*rest, training), "d")
    with torch.no_grad():
        for name, p in training.d.named_parameters():
            p.copy_(before[name])
    assert different > 1e-3


def test_a_step_updates_each_network_when_it_is_due(tiny):
    config = tiny("wgan_gp", "digits", n_critic=2)
    training = Training(config, channels_last=True)
    real = torch.rand(4, 1, 16, 16)
    copies = []
    for _ in range(3):
        copies.append(
            [p.clone() for p in [*training.g.parameters(), *training.d.parameters()]]
        )
        training.step({training.field: real})
    n = len(list(training.g.parameters()))
    changed = [
        [not torch.equal(a, b) for a, b in zip(x, y, strict=True)]
        for x, y in zip(copies, copies[1:], strict=False)
    ]
    assert not any(changed[0][:n]) and any(changed[1][:n])
    assert any(changed[0][n:]) and any(changed[1][n:])
    assert all(p.requires_grad for p in training.d.parameters())


def test_wgan_clips(tiny):
    training = Training(tiny("wgan", "digits"))
    training.step({training.field: torch.rand(4, 1, 16, 16)})
    assert max(float(p.detach().abs().max()) for p in training.d.parameters()) <= 0.01


@pytest.mark.parametrize(
    "variant, changes, named",
    [
        ("gan", {"loss": "unheard_of"}, "unheard_of"),
        ("gan", {"generator.optimizer.name": "sgd"}, "sgd"),
        ("gan", {"discriminator.network": "style"}, "style"),
        ("cgan", {}, "condition"),
    ],
)
def test_configs_without_a_counterpart_are_rejected(tiny, variant, changes, named):
    config = tiny(variant, "digits")
    config.update_from_flattened_dict(changes)
    with pytest.raises(ValueError, match=named):
        Training(config)
