"""Inputs of the benchmarks: configs without data, batches, images, features."""

import subprocess
import sys

import numpy as np
import pytest

from experiments import config as configs
from experiments.benchmarks import workload
from gans.data.spec import Field, to_json


def test_a_config_is_resolved_without_its_data():
    config = workload.load("configs/wgan_gp.py:cifar10", batch_size=2)
    assert config.batch_size == 2 and config.shape == (32, 32, 3)
    assert workload.load("configs/wgan_gp.py:cifar10").batch_size == 64
    with pytest.raises(ValueError, match="did you mean 'circle'"):
        workload.load("configs/gan.py:cicle")


def test_data_without_a_known_form_are_loaded(tmp_path):
    np.savez(tmp_path / "mine.npz", image=np.zeros((5, 9, 9, 1), np.uint8))
    file = tmp_path / "mine.py"
    file.write_text(
        "from configs import gan\n\ndef get_config():\n"
        "    config = gan.get_config()\n"
        f"    config.data = 'array:{tmp_path}/mine.npz'\n"
        "    return config\n"
    )
    config = workload.load(str(file), batch_size=3)
    (image,) = workload.example(config).values()
    assert image.shape == (3, 9, 9, 1) and config.spec.image.kind == "image"
    (tmp_path / "mine.npz").unlink()
    with pytest.raises(ValueError, match="mine.npz"):
        workload.load(str(file))


@pytest.mark.parametrize("name", ["circle", "ring8", "grid25", "digits"])
def test_a_stand_in_is_as_the_data(name):
    module = "configs/dcgan.py" if name == "digits" else "configs/gan.py"
    config, _ = configs.load_file(f"{module}:{name}")
    made = configs.resolve(config, workload.source(config))
    loaded = configs.resolve(config, configs.load_data(config))
    assert made.to_dict() == loaded.to_dict()


def test_a_batch_is_as_stored_and_decoded_on_the_device():
    config = workload.load("configs/wgan_gp.py:cifar10", batch_size=50)
    stored = workload.example(config)
    assert stored["image"].shape == (50, 32, 32, 3)
    assert {x.dtype.name for x in stored.values()} == {"uint8", "int32", "bool"}
    assert set(stored["label"]) == set(range(10)) and any(stored["flip/0"])
    batch = workload.decoder(config)(stored)
    image, label = batch.pop("image"), batch.pop("label")
    assert not batch
    assert image.dtype == np.float32 and image.min() == -1 and image.max() == 1
    np.testing.assert_array_equal(label, stored["label"])
    config.flip = False
    assert "flip/0" not in workload.example(config)


def test_a_batch_of_any_spec():
    config = workload.load("configs/gan.py:circle", batch_size=99)
    (point,) = workload.example(config).values()
    assert point.shape == (99, 2) and point.dtype == np.float32
    fields = {
        "words": Field("tokens", (7,), "int32", 5),
        "clip": Field("video", (3, 8, 8, 1), "uint8"),
        "signal": Field("series", (16, 2), "float32"),
    }
    with config.unlocked(), config.ignore_type():
        config.spec = to_json(fields)
    stored = workload.example(config)
    assert stored["words"].shape == (99, 7) and set(stored["words"].flat) == {*range(5)}
    assert stored["clip"].shape == (99, 3, 8, 8, 1) and stored["clip"].max() == 255
    assert stored["signal"].shape == (99, 16, 2) and stored["signal"].min() < -0.9
    decoded = workload.decoder(config)(stored)
    assert decoded["clip"].dtype == np.float32 and decoded["clip"].min() == -1


def test_a_run_has_whole_calls_and_every_update():
    config = workload.load("configs/wgan_gp.py:cifar10")
    config.n_critic, config.steps_per_call = 5, 1
    assert workload.steps_per_run(config) == 5
    config.steps_per_call = 10  # two rounds of updates in one call
    assert workload.steps_per_run(config) == 10
    config.steps_per_call = 4  # five calls until they begin with the same update
    assert workload.steps_per_run(config) == 20


def test_images_are_noise():
    images = workload.images(2)
    assert images.shape == (2, 32, 32, 3) and images.dtype == np.uint8
    assert 100 < images.mean() < 155 and images.std() > 60


def test_features_are_mostly_of_few_directions():
    real, fake, logits = workload.features(500, 64, 10)
    assert real.shape == fake.shape == (500, 64) and logits.shape == (500, 10)
    assert {x.dtype for x in (real, fake, logits)} == {np.dtype("float32")}
    values = np.linalg.eigvalsh(np.cov(real, rowvar=False))
    # A sixteenth of 64 are large. The noise has the variance 0.01, whose eigenvalues
    # spread over 0.01 (1 +- (64 / 500)^(1/2))^2, about [0.004, 0.018]: none is 0.
    assert values[-4:].sum() > 0.95 * values.sum()
    assert 0.003 < values[0] < values[-5] < 0.02 and values[-4] > 0.2


@pytest.mark.parametrize(
    "module", ["workload", "timing", "convolution", "machine", "seeds", "report"]
)
def test_importing_it_starts_no_library(module):
    """Processes import these before their settings are made, or are PyTorch's."""
    code = (
        f"import sys, experiments.benchmarks.{module};"
        "print([m for m in ('jax', 'torch', 'flax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_values_can_be_changed_and_lazy_terms_make_a_run():
    """R1 every 16 steps, path length every 4 of the generator's."""
    changes = ["--config.resolution=16", "--config.augment=()"]
    config = workload.load("configs/stylegan2.py:folder", 8, changes)
    assert config.shape == (16, 16, 3) and not config.augment
    assert workload.steps_per_run(config) == 16
    config.n_critic = 3
    assert workload.steps_per_run(config) == 48
    with pytest.raises(ValueError, match="resolution"):
        workload.load("configs/stylegan2.py", None, ["--config.resolutio=16"])
