"""Systems of other shapes, through the commands: run, killed and resumed, and so on.

The systems are those of tests/systems. Shared code knows nothing of them, nor of any
variant; a test reads it for their names.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from experiments.rundir.checkpoint import Checkpoints
from gans import variants

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
# {system: (flags, outputs that have pictures)}
SYSTEMS = {
    "cycle": ([], ["a_to_b", "b_to_a"]),
    "paired": ([], ["sample"]),
    "growing": ([], ["sample"]),
    "styled": ([], ["sample"]),
    "series": ([], ["sample", "reconstruct"]),
    "solids": ([], ["sample"]),
    "solids:cubes": ([], ["sample"]),
    "perceptual": (["--config.features=FEATURES"], ["sample"]),
}
STEPS, EVERY = 240, 24
SQUEEZENET = ROOT.parent / "shared/data/weights/squeezenet_v1.1_full_fp16_ncnn.npz"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """command(name, *flags) -> a running process, which can import the systems."""
    path = os.pathsep.join([str(ROOT), str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}

    def start(name, *flags):
        return subprocess.Popen(
            [sys.executable, "-m", f"experiments.{name}", *flags],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finished(process):
    """What it printed; it must have ended well."""
    out, said = process.communicate()
    assert process.returncode == 0, said[-3000:]
    return out


def flags_of(system, tmp_path, workdir):
    name, _, preset = system.partition(":")
    kernel = np.random.default_rng(0).standard_normal((256, 32)).astype(np.float32)
    np.savez(tmp_path / "features.npz", kernel=kernel / 16)
    extra = [
        flag.replace("FEATURES", str(tmp_path / "features.npz"))
        for flag in SYSTEMS[system][0]
    ]
    spec = f"{TESTS / 'systems' / name}.py" + (f":{preset}" if preset else "")
    return [
        f"--config={spec}",
        f"--config.steps={STEPS}",
        f"--config.log_every={EVERY}",
        f"--config.checkpoint_every={EVERY}",
        f"--config.sample_every={STEPS // 2}",
        f"--workdir={workdir}",
        *extra,
    ]


def contents(folder):
    """The bytes of all arrays of a run's last checkpoint, by name."""
    import orbax.checkpoint as ocp

    last = Checkpoints(folder, keep=None).latest()
    assert last == STEPS
    arrays = ocp.PyTreeCheckpointer().restore(folder / "checkpoints" / str(last))
    return {name: np.asarray(x).tobytes() for name, x in arrays.items()}


def numbers(folder):
    """The lines of metrics.jsonl, without the clock's."""
    clock = {"seconds", "steps_per_s", "images_per_s"}
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(x).items() if k not in clock} for x in lines]


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_goes_through_the_commands(system, command, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finished(command("run", *flags_of(system, tmp_path, whole)))

    # Killed after a checkpoint, and begun again.
    process = command("run", *flags_of(system, tmp_path, cut))
    while not Checkpoints(cut, keep=None).steps() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run had ended already"
    finished(command("run", *flags_of(system, tmp_path, cut)))
    before, after = contents(whole), contents(cut)
    arrays = {name for name in before if name != "extra"}
    assert arrays == {name for name in after if name != "extra"}
    assert [name for name in arrays if before[name] != after[name]] == []
    assert numbers(whole) == numbers(cut)

    outputs = SYSTEMS[system][1]
    drawn = {path.name for path in (cut / "samples").glob(f"step_{STEPS:08d}*.png")}
    assert len(drawn) == len(outputs), drawn
    for output in outputs:
        out = tmp_path / f"{output}.npz"
        flags = [f"--workdir={cut}", "--n=5", f"--output={output}", f"--out={out}"]
        finished(command("sample", *flags))
        with np.load(out) as file:
            arrays = [name for name in file.files if not name.endswith("_names")]
            assert all(len(file[name]) == 5 for name in arrays) and arrays

    finished(command("report", f"--workdir={cut}"))
    assert (cut / "report.html").read_text().count("data:image") >= len(outputs)

    # Features of images need labels or weights; nothing else has been asked for.
    process = command("evaluate", f"--workdir={cut}", "--metrics=modes")
    _, said = process.communicate()
    assert process.returncode == 1
    assert said.startswith("error: ") and said.count("\n") == 1, said


@pytest.mark.slow
def test_a_system_is_evaluated_by_the_features_of_its_data(command, tmp_path):
    folder = tmp_path / "styled"
    finished(command("run", *flags_of("styled", tmp_path, folder)))
    flags = ["--metrics=fid,pr", "--extractor=classifier", "--n=600"]
    out = finished(command("evaluate", f"--workdir={folder}", *flags))
    assert "fd_classifier" in out
    report = json.loads((folder / "evaluations.jsonl").read_text().splitlines()[-1])
    assert report["results"]["fd_classifier"]["value"] > 0


@pytest.mark.slow
@pytest.mark.skipif(
    not SQUEEZENET.exists(), reason="no SqueezeNet weights in ../shared/data/weights"
)
@pytest.mark.parametrize(
    "system, output, n_real", [("cycle", "a_to_b", 14), ("paired", "sample", 8)]
)
def test_a_system_is_evaluated_against_the_field_it_makes(
    system, output, n_real, command, tmp_path
):
    folder = tmp_path / system
    short = ["--config.steps=24", "--config.sample_every=24"]
    finished(command("run", *flags_of(system, tmp_path, folder), *short))
    flags = [f"--metrics=fid(output='{output}')", "--extractor=squeezenet", "--n=14"]
    flags += [f"--squeezenet-weights={SQUEEZENET}"]
    finished(command("evaluate", f"--workdir={folder}", *flags))
    report = json.loads((folder / "evaluations.jsonl").read_text().splitlines()[-1])
    prefix = "" if output == "sample" else f"{output}/"
    result = report["results"][f"{prefix}fd_squeezenet"]
    assert np.isfinite(result["value"]) and result["value"] > 0
    # Each side has its own test images, none of them twice.
    assert report["protocol"][f"{prefix}n_real"] == n_real
    assert "images repeat others" not in " ".join(report["warnings"])


@pytest.mark.slow
def test_a_frozen_network_is_not_in_the_checkpoint(command, tmp_path):
    folder = tmp_path / "run"
    flags = flags_of("perceptual", tmp_path, folder)
    finished(command("run", *flags))
    assert not [name for name in contents(folder) if "features" in name]
    # Another file of the same shape is rejected, and named.
    other = np.ones((256, 32), np.float32)
    np.savez(tmp_path / "features.npz", kernel=other)
    _, said = command("sample", f"--workdir={folder}", "--n=2").communicate()
    assert said.startswith("error: ") and "features" in said


def shared_files():
    found = []
    for package in ("gans", "experiments"):
        for path in (ROOT / package).rglob("*.py"):
            if path.parent.name != "variants":
                found.append(path)
    return found


def mentions(text, name):
    """Whether code, not prose, has the name of a variant as a string or an import."""
    code = rf"""["']{name}["']|variants\.{name}\b|variants import .*\b{name}\b"""
    return re.search(code, text) is not None


def test_no_shared_file_knows_a_variant():
    names = {p.stem for p in Path(variants.__path__[0]).glob("*.py")} - {"__init__"}
    names |= {p.stem for p in (TESTS / "systems").glob("*.py")} - {"__init__"}
    assert {"wgan_gp", "cycle"} <= names
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in shared_files()
        for name in sorted(names)
        # Networks, data sets, kinds and metrics may have the name of a paper or system.
        if name not in ("dcgan", "series", "paired", "cycle", "perceptual", "solids")
        and mentions(path.read_text(), name)
    ]
    assert found == []


def test_a_mention_would_be_found():
    assert mentions('if config.variant == "wgan_gp":', "wgan_gp")
    assert mentions("from gans.variants import wgan", "wgan")
    assert not mentions("WGAN-GP's penalty, wgan_gp in the configs", "wgan_gp")
