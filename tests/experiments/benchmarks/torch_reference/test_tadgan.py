"""TadGAN in PyTorch: its losses are ours, for the same parameters."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import core
from gans.data.sets.series import Windows
from gans.losses import penalties
from gans.variants.tadgan import TadGAN

pytest.importorskip("torch", reason="extra `reference`")
import torch  # noqa: E402

from experiments.benchmarks.torch_reference import tadgan  # noqa: E402

QUICK = {"xla_backend_optimization_level": 0}
KEY = jax.random.key(0)


def resolved():
    config = importlib.import_module("configs.tadgan").get_config()
    changes = {
        "batch_size": 3,
        "latent": 4,
        "encoder_width": 5,
        "latent_width": 6,
        "latent_dropout": 0.0,
        "generator.width": 5,
        "discriminator.width": 4,
        "discriminator.dropout": 0.0,
    }
    windows = Windows("x", (), np.zeros((23, 2), np.float32), np.arange(3), 21)
    return configs.resolve(configs.override(config, changes), windows)


def give(module, params):
    """Gives a network the parameters of ours."""
    with torch.no_grad():
        for name, tree in params.items():
            layer = getattr(module, name, None)
            if isinstance(layer, torch.nn.LSTM):
                for direction, end in (("forward", ""), ("backward", "_reverse")):
                    own = tree[direction]
                    for ours, theirs in (
                        (own["kernel"].T, "weight_ih_l0"),
                        (own["recurrent_kernel"].T, "weight_hh_l0"),
                        (own["bias"], "bias_ih_l0"),
                        (0 * own["bias"], "bias_hh_l0"),
                    ):
                        p = getattr(layer, theirs + end)
                        p.copy_(torch.tensor(np.asarray(ours)))
                continue
            if layer is None:  # of a sequence, in order
                own = [x for x in module if hasattr(x, "weight")]
                layer = own[list(params).index(name)]
            kernel = np.asarray(tree["kernel"])
            if isinstance(module, tadgan.Discriminator) and name == "out":
                # Features lie behind steps here, and before them in PyTorch.
                n = module[0].weight.shape[0]
                kernel = kernel.reshape(-1, n, 1).swapaxes(0, 1).reshape(-1, 1)
            layer.weight.copy_(torch.tensor(kernel.T.copy()))
            layer.bias.copy_(torch.tensor(np.asarray(tree["bias"])))


@pytest.mark.slow
def test_losses_agree(monkeypatch):
    config = resolved()
    gan, theirs = configs.build(config), tadgan.Training(config)
    state = jax.jit(lambda: core.init(gan, KEY), compiler_options=QUICK)()
    for name in gan.nets:
        give(getattr(theirs, name), state.params[name])
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (3, 21, 2)).astype(np.float32)
    z = random.standard_normal((3, 4)).astype(np.float32)
    monkeypatch.setattr(TadGAN, "draw", lambda self, key, n: jnp.asarray(z))
    monkeypatch.setattr(penalties, "_between", lambda a, b, key: (a + b) / 2)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def losses(state, x):
        nets = core.bind(gan, state, train=True)
        return [u.loss(nets, {"series": x}, KEY, state)[0] for u in gan.updates]

    found = losses(state, x)
    real, of_z = torch.tensor(x), torch.tensor(z)
    fakes = theirs.g(of_z).detach(), theirs.e(real).detach()
    expected = [
        theirs.critic_loss(theirs.c_x, real, fakes[0], 0.5),
        theirs.critic_loss(theirs.c_z, of_z, fakes[1], 0.5),
        theirs.generator_loss(real, of_z),
    ]
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, other.detach().numpy(), rtol=2e-4, atol=1e-5)
    # Twice the cycle would be seen.
    assert abs(float(found[2]) - 1.1 * float(expected[2].detach())) > 1e-3
    before = [p.clone() for p in theirs.g.parameters()]
    for _ in range(config.n_critic):
        theirs.step({"series": real})
    pairs = zip(theirs.g.parameters(), before, strict=True)
    assert all((p != q).any() for p, q in pairs)
