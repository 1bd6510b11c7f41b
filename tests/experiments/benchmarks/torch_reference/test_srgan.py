"""SRGAN's first stage: our networks and update, and PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from experiments.benchmarks import inference, workload
from gans import core, networks
from gans.networks import msrresnet, srresnet

pytest.importorskip("torch", reason="extra `reference`")
import torch  # noqa: E402

from experiments.benchmarks.torch_reference import (  # noqa: E402
    candidates,
    srgan,
    translation,
)

QUICK = {"xla_backend_optimization_level": 0}


def arrays(module):
    state = {k: x.detach().numpy().copy() for k, x in module.state_dict().items()}
    return {k: x for k, x in state.items() if not k.endswith("num_batches_tracked")}


def channels_last(x):
    return x.detach().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("module", [srresnet, msrresnet])
def test_networks_are_ours(module):
    name = module.__name__.rpartition(".")[2]
    part = {"network": name, "width": 3, "blocks": 1, "scale": 2}
    theirs = translation.make(part, (8, 8, 2), 2).eval()
    with torch.no_grad():
        for p in theirs.parameters():
            p.normal_(0.0, 0.3) if p.ndim > 1 else p.normal_(0.5, 0.2)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 6, 5, 2)).astype(np.float32)
    expected = channels_last(theirs(torch.tensor(x).permute(0, 3, 1, 2)))
    options, variables = module.from_torch(arrays(theirs))
    assert options["scale"] == 2
    ours = networks.make("Generator", name, shape=(8, 8, 2), **options)
    found = jax.jit(lambda v, x: ours.apply(v, x, train=False))(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert np.abs(found).max() > 0.1


@pytest.mark.slow
def test_losses_of_a_step_agree(tiny):
    changes = {"generator.network": "srresnet", "pretrain_rate": None}
    config = configs.override(tiny("srgan", batch_size=2), changes)
    training, gan = srgan.Training(config), configs.build(config)
    params = srresnet.from_torch(arrays(training.g))[1]["params"]
    state = core.init(gan, jax.random.key(0))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, state.params["g"])
    state = state.replace(params={"g": jax.tree.map(jnp.asarray, params)})
    draw = np.random.default_rng(0)
    shapes = {x: (2, *config.spec[x]["shape"]) for x in "ab"}
    batch = {k: draw.uniform(-1, 1, s).astype(np.float32) for k, s in shapes.items()}
    step = jax.jit(core.make_step(gan), compiler_options=QUICK)
    tensors = {k: torch.tensor(x).permute(0, 3, 1, 2) for k, x in batch.items()}
    for _ in range(2):
        state, metrics = step(state, batch, jax.random.key(0))
        wanted = float(training.step(tensors))
        assert float(metrics["g/loss"]) == pytest.approx(wanted, rel=2e-3)


def test_the_second_stage_has_no_counterpart(tiny):
    config = configs.override(tiny("srgan"), {"pretrain": 0})
    with pytest.raises(ValueError, match="second stage has no counterpart"):
        srgan.Training(config)


@pytest.mark.slow
def test_whole_pictures(tiny):
    """Both make bytes of a size; the table has both."""
    config, sides = tiny("srgan"), (64, 96)
    text = configs.to_json(config)
    one = inference.ours(text, sides)
    other = candidates.inference(text, sides=sides, channels_last=True, device="cpu")
    for runner in (one, other):
        for side in sides:
            made = runner.cases[str(side)]()
            assert made.dtype == np.uint8 and made.shape == (side, side, 3)
    rows = {
        "jax": {"seconds": {"64": (1.0, 2.0, 3.0), "96": (2.0, 4.0, 5.0)}},
        "torch": {"seconds": {"64": (1.0, 3.0, 3.0), "96": (2.0, 2.0, 5.0)}},
        "torch allocator": {"error": "no memory"},
    }
    text = inference.table({"config": "x", "pictures": rows})
    assert "3 (1.50)" in text and "2 (0.50)" in text and "failed: no memory" in text


def test_the_steps_config_needs_no_data():
    config = workload.load("configs/srgan.py:paper", 4)
    assert config.generator.network == "srresnet"
    assert {k: x["shape"][0] for k, x in config.spec.items()} == {"a": 24, "b": 96}
