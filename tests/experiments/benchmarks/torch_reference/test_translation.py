"""Systems of translation: our updates and PyTorch's agree, and their networks."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import core, networks
from gans.networks import patch, translator, unet

pytest.importorskip("torch", reason="extra `reference`")
import torch  # noqa: E402

from experiments.benchmarks.torch_reference import translation  # noqa: E402

QUICK = {"xla_backend_optimization_level": 0}


def arrays(module):
    return {k: v.detach().numpy() for k, v in module.state_dict().items()}


def randomised(module):
    """With weights that leave no activation small."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.normal_(0.0, 0.3) if p.ndim > 1 else p.normal_(0.5, 0.2)
    return module


@pytest.mark.parametrize(
    "part, from_torch",
    [
        ({"network": "unet", "dropout": 0.0, "norm": "batch"}, unet.from_torch),
        ({"network": "translator", "blocks": 1}, translator.from_torch),
        ({"network": "patch", "n_layers": 2}, patch.from_torch),
    ],
)
def test_networks_are_ours(part, from_torch):
    part = {"width": 3, **part}
    shape = None if part["network"] == "patch" else (32, 32, 2)
    theirs = randomised(translation.make(part, shape, 3))
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    expected = theirs(torch.tensor(x).permute(0, 3, 1, 2)).detach()
    options, variables = from_torch(arrays(theirs))
    options |= {"shape": shape, "dropout": 0.0} if shape else {}
    role = "Generator" if shape else "Discriminator"
    ours = networks.make(role, part["network"], **options)
    run = jax.jit(
        lambda v, x: ours.apply(v, x, train=True, mutable=["batch_stats"])[0],
        compiler_options=QUICK,
    )
    found = run(variables, x)
    found = found if found.ndim == 4 else found[..., None]
    expected = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert np.abs(found).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant, options, parts",
    [
        (
            "pix2pix",
            {
                "generator.norm": "batch",
                "generator.dropout": 0.0,
                "discriminator.norm": "batch",
            },
            {"g": "g", "d": "d"},
        ),
        ("cyclegan", {}, {x: x for x in ("g_ab", "g_ba", "d_a", "d_b")}),
    ],
)
def test_losses_of_a_step_agree(tiny, variant, options, parts):
    config = tiny(variant, batch_size=1)
    config.discriminator.n_layers = 1
    with config.unlocked(), config.ignore_type():
        for path, value in options.items():
            part, name = path.split(".")
            config[part][name] = value
    package = translation.__name__.rpartition(".")[0]
    training = importlib.import_module(f"{package}.{variant}").Training(config)
    gan = configs.build(config)
    state = core.init(gan, jax.random.key(0))
    readers = {"g": unet.from_torch, "d": patch.from_torch}
    readers |= {"g_ab": translator.from_torch, "g_ba": translator.from_torch}
    params = {
        name: readers.get(name, patch.from_torch)(
            arrays(randomised(getattr(training, part)))
        )[1]["params"]
        for name, part in parts.items()
    }
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, state.params)
    shapes = {side: tuple(config.spec[side]["shape"]) for side in "ab"}
    draw = np.random.default_rng(0)
    batch = {
        side: draw.uniform(-1, 1, (1, *shape)).astype(np.float32)
        for side, shape in shapes.items()
    }
    params = jax.tree.map(jnp.asarray, params)
    step = jax.jit(core.make_step(gan), compiler_options=QUICK)
    _, metrics = step(state.replace(params=params), batch, jax.random.key(0))
    found = sum(float(metrics[f"{name}/loss"]) for name in parts if name[0] == "d")
    loss_d, loss_g = training.step(
        {side: torch.tensor(x).permute(0, 3, 1, 2) for side, x in batch.items()}
    )
    np.testing.assert_allclose(found, float(loss_d), rtol=2e-3)
    np.testing.assert_allclose(float(metrics["g/loss"]), float(loss_g), rtol=2e-3)
    assert abs(float(loss_d) / float(loss_g) - 1) > 0.1


def test_what_has_no_counterpart_is_named():
    with pytest.raises(ValueError, match="mlp.* has no counterpart"):
        translation.make({"network": "mlp"}, (8, 8, 1), 1)
    with pytest.raises(ValueError, match="PyTorch's unet.*'depth'"):
        translation.make({"network": "unet", "depth": 3}, (8, 8, 1), 1)
