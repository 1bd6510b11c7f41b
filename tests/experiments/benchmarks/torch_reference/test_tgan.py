"""TGAN in PyTorch: losses, gradients, and clipping as our update has them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import core
from gans.variants import tgan

pytest.importorskip("torch", reason="extra `reference`")
import torch  # noqa: E402

from experiments.benchmarks.torch_reference.tgan import Training  # noqa: E402
from experiments.benchmarks.torch_reference.weights import convert, copy_to  # noqa: E402

torch.set_num_threads(1)  # these are small
KEY = jax.random.key(3)
QUICK = {"xla_backend_optimization_level": 0}


def random(shapes):
    """Parameters of these shapes; no bias or gain is 0 or 1."""
    draw = np.random.default_rng(0).normal

    def one(x):
        if x.ndim < 2:
            return jnp.asarray(draw(0.5, 0.2, x.shape), x.dtype)
        fan_in = x.size // x.shape[-1]
        return jnp.asarray(draw(0.0, fan_in**-0.5, x.shape), x.dtype)

    return jax.tree.map(one, shapes)


def joined(params):
    """Parameters of the generator with one first kernel of both branches."""
    params = dict(params)
    branches = [params.pop(f"deconv1_{x}")["kernel"] for x in ("clip", "frame")]
    return params | {"deconv1": {"kernel": jnp.concatenate(branches, axis=-2)}}


@pytest.fixture(scope="module")
def game(tiny):
    """(gan, state, clips, PyTorch's with the same weights)."""
    config = tiny("tgan")
    gan = configs.build(config)
    state = jax.eval_shape(lambda: core.init(gan, KEY))
    params, stats = random(state.params), random(state.stats)
    state = state.replace(step=jnp.int32(0), params=params, stats=stats)
    training = Training(config)
    copy_to(training.g, joined(params["g"]))
    # PyTorch has a bias that is 0 and not trained, where batch norm has none.
    copy_to(training.d, with_biases(params["d"]))
    clips = jax.random.uniform(KEY, (4, *config.spec.video.shape), minval=-1.0)
    return gan, state, clips, training


def with_biases(params):
    """Parameters of the critic with a bias of 0 beside each gain."""
    params = {name: dict(layer) for name, layer in params.items()}
    for layer in params.values():
        if "batch" in layer:
            layer["batch"] = {**layer["batch"], "bias": layer["batch"]["scale"] * 0}
    return params


def ours(game, name):
    """(loss, gradients of the network that the update `name` trains)."""
    gan, state, clips, _ = game
    update = next(u for u in gan.updates if u.name == name)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def loss_and_gradients(params):
        def loss(params):
            with_params = state.replace(params={**state.params, name: params})
            nets = core.bind(gan, with_params, train=True)
            return update.loss(nets, {"video": clips}, KEY, with_params)[0]

        return jax.value_and_grad(loss)(params)

    return loss_and_gradients(state.params[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["g", "d"])
def test_losses_and_gradients_agree(game, name):
    *_, clips, training = game
    key = jax.random.split(jax.random.split(KEY, 4)[0])[0]  # see `gans.game`
    z = jax.random.normal(key, (len(clips), training.config.latent))
    z, real = torch.tensor(np.asarray(z)), torch.tensor(np.asarray(clips))
    loss = training.generator_loss(z)
    if name == "d":
        loss = training.discriminator_loss(real.movedim(-1, 1), z, None)
    module = getattr(training, name)
    module.zero_grad()
    loss.backward()
    found, gradients = ours(game, name)
    expected = {k: p.grad for k, p in module.named_parameters() if p.requires_grad}
    change = joined if name == "g" else with_biases
    gradients = convert(change(gradients), module)
    scale = max(float(x.abs().max()) for x in expected.values())
    # The critic's is a small difference of scores of about 1.
    assert abs(float(found) - loss.item()) < 2e-5
    for k, x in expected.items():
        assert float((gradients[k] - x).abs().max()) < 5e-4 * scale, k


def test_clipping_agrees(game):
    _, state, _, training = game
    clipped = tgan.clipped(state.params["d"], state.stats["d"]["batch_stats"])
    for path, x in state.stats["d"]["batch_stats"].items():
        norm = getattr(training.d, path)
        norm.running_var.copy_(torch.tensor(np.asarray(x["batch"]["var"])))
    training.clip()
    expected = convert(with_biases(clipped), training.d)
    for name, p in training.d.named_parameters():
        np.testing.assert_allclose(p.detach(), expected[name], atol=1e-5, err_msg=name)
    first = convert(with_biases(state.params["d"]), training.d)
    assert any((first[x] - expected[x]).abs().max() > 0.01 for x in first)
