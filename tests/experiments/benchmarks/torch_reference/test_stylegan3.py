"""StyleGAN3 in PyTorch: the authors' images, and a step of the benchmark."""

import pathlib

import numpy as np
import pytest

from experiments import config as configs
from experiments.benchmarks import workload

pytest.importorskip("torch", reason="extra `reference`")
import torch  # noqa: E402

from experiments.benchmarks.torch_reference import alias_free  # noqa: E402
from experiments.benchmarks.torch_reference.stylegan3 import Training  # noqa: E402

torch.set_num_threads(1)  # these are small
STYLE = pathlib.Path(__file__).parents[5] / "shared/reference/parity/style"


def far(found, wanted):
    """The largest difference, as a share of the largest value."""
    return np.abs(found.detach().numpy() - wanted).max() / np.abs(wanted).max()


@pytest.mark.slow
def test_the_generator_is_that_of_the_fixture():
    if not STYLE.is_dir():
        pytest.skip("no fixtures in ../shared/reference/parity")
    with np.load(STYLE / "sg3_T_16_short.npz") as file:
        arrays = {name: file[name] for name in file.files}
    state = {x[2:]: torch.tensor(y) for x, y in arrays.items() if x[:2] == "G/"}
    widths = {"channel_base": 256, "channel_max": 16}
    life = -2 * np.log(2) / np.log(0.999)  # the fixture's decay, for batches of 2
    g = alias_free.Generator(
        (16, 16, 3), 16, w_dim=16, depth=6, magnitude_images=life, **widths
    )
    g.load_state_dict(state)
    z = torch.tensor(arrays["in/z"])
    ws = g.eval().styles(z, track=False)
    assert far(ws[:, 0], arrays["out/ws"]) < 1e-5
    assert far(g.synthesis(ws), arrays["out/img"]) < 1e-4
    g.train()(z)
    for name in ("mapping.w_avg", "synthesis.L3_36_16.magnitude_ema"):
        wanted = arrays[f"out/after_update/{name}"]
        assert far(g.get_buffer(name), wanted) < 1e-5
    g.eval().synthesis.L2_36_16.rates = (2, 2, (8, 9))  # moved by half a pixel
    assert far(g.synthesis(ws), arrays["out/img"]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["folder", "folder_r"])
def test_a_step(preset):
    config = configs.load_file(f"configs/stylegan3.py:{preset}")[0]
    config.resolution, config.batch_size, config.latent = 16, 4, 6
    with config.unlocked(), config.ignore_type():
        for player in (config.generator, config.discriminator):
            player.update({"channel_base": 64, "channel_max": 8})
        config.generator.update({"depth": 4, "w_dim": 8})
    config = configs.resolve(config, workload.source(config))
    with pytest.raises(ValueError, match="no counterpart in PyTorch"):
        Training(config)
    config.augment = ()
    training = Training(config)
    before = training.g.mapping.fc0.weight.detach().clone()
    batch = {"image": torch.rand(4, 3, 16, 16)}
    losses = [training.step(batch) for _ in range(16)]
    assert np.isfinite(losses).all()
    assert not torch.equal(before, training.g.mapping.fc0.weight)
