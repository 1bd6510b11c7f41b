import json

import jax
import numpy as np

from experiments.rundir import manifest


def test_a_written_manifest_is_read_again(tmp_path):
    assert manifest.read(tmp_path) == {}
    known = manifest.begin("the command")
    manifest.write(tmp_path, {**known, "steps_per_s": 12.5})
    found = manifest.read(tmp_path)
    assert found == json.loads((tmp_path / "run.json").read_text())
    assert found["command"] == "the command" and found["steps_per_s"] == 12.5
    assert found["versions"]["jax"] == jax.__version__
    assert found["start"] <= found["stop"]


def test_peak_memory_is_in_bytes():
    before = manifest.peak_memory()
    block = np.ones(2**24)  # 128 MiB, touched
    assert 2**25 < before and manifest.peak_memory() < 2**40
    if jax.default_backend() == "cpu":
        assert manifest.peak_memory() >= block.nbytes


def test_speed():
    assert manifest.speed(10, 4.0, 8) == {"steps_per_s": 2.5, "images_per_s": 20.0}
    assert manifest.speed(0, 0.0, 8) == {}
