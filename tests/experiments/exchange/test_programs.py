"""Exported outputs: run where our code is not, equal to `sample`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import experiments
from experiments import origin
from experiments.exchange import formats, programs

DOCS = Path(__file__).parents[3] / "docs/export.md"
# Systems of tests, and what they make: latents, classes and noise; two pictures each
# way; a picture of a picture with dropout; series and scores of them.
SYSTEMS = {
    "styled": ("sample",),
    "cycle": ("a_to_b", "cycle_a"),
    "paired": ("sample",),
    "series": ("sample", "reconstruct", "score"),
}


def script():
    """The script of the documentation that runs an exported program."""
    return re.findall(r"```python script\n(.*?)```", DOCS.read_text(), re.DOTALL)[0]


def run_apart(folder, out, inputs, program="n"):
    """What the script makes, in a process that cannot import our code."""
    np.savez(folder / "inputs.npz", **inputs)
    code = script().replace("program/n", f"program/{program}")
    (folder / "run.py").write_text(
        "import sys\n"
        "for name in ('gans', 'experiments', 'configs', 'flax'):\n"
        "    sys.modules[name] = None\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-I", "run.py", str(out), "inputs.npz", "made.npz"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "made.npz") as found:
        return {name: found[name] for name in found.files}


def inputs_of(model, output, n):
    """The inputs of n samples, as an exported program takes them."""
    inputs = model.inputs(n, seed=3, output=output)
    schema = model.schema(output)
    found = {name: inputs[name] for name in schema["inputs"]}
    if schema["draws"]:
        import jax

        found["key"] = np.asarray(jax.random.key_data(model.keys(3, range(n))))
    return found


def test_the_script_runs_without_our_code(untrained, tmp_path):
    model = experiments.load(untrained("styled", tmp_path))
    out = tmp_path / "x.stablehlo"
    said = formats.write(tmp_path, out, sizes=[2])
    assert said[0].startswith("sample: ") and "program for 2" in said[2]
    wanted = model.sample(3, seed=3)["image"]
    inputs = inputs_of(model, "sample", 3)
    made = run_apart(tmp_path, out, inputs)
    np.testing.assert_allclose(made["image"], wanted, atol=1e-4)
    inputs["z"] = inputs["z"][::-1]  # the control: other latents, other images
    assert np.abs(run_apart(tmp_path, out, inputs)["image"] - wanted).max() > 0.01
    with safe_open(out, "numpy") as file:
        said = {k: json.loads(x) for k, x in file.metadata().items()}
        assert file.get_tensor("program/2").dtype == np.uint8
    assert said["origin"]["source"] == origin.MADE and said["origin"]["step"] == "7"
    assert said["schema"]["platforms"] == ["cpu", "cuda", "tpu"]
    assert out.stat().st_mode & 0o077  # not for its owner alone


def called(out, program, inputs):
    from jax import export

    with safe_open(out, "numpy") as file:
        schema = json.loads(file.metadata()["schema"])
        weights = {name: file.get_tensor(name) for name in schema["weights"]}
        content = bytearray(file.get_tensor(f"program/{program}").tobytes())
    return export.deserialize(content).call(weights, inputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_output_for_any_number_and_a_fixed_one(name, untrained, tmp_path):
    model, out = experiments.load(untrained(name, tmp_path)), tmp_path / "x.stablehlo"
    for output in SYSTEMS[name]:
        programs.write(model, out, output, sizes=[4])
        wanted = model.sample(4, seed=3, output=output)
        inputs = inputs_of(model, output, 4)
        for program, n in (("n", 4), ("n", 1), ("4", 4)):
            some = {k: x[:n] for k, x in inputs.items()}
            made = called(out, program, some)
            for field, x in wanted.items():
                np.testing.assert_allclose(made[field], x[:n], atol=2e-5)
        if name == "styled":  # a control: the wrong key is other noise
            other = inputs | {"key": inputs["key"] + 1}
            made = called(out, "n", other)["image"]
            assert np.abs(made - wanted["image"]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant, preset",
    [("dcgan", "digits"), ("sagan", None), ("tgan", None), ("srgan", None)],
)
def test_convolutions_of_variants(variant, preset, tiny, tmp_path):
    """Clips, attention, spectral norms, and images larger than what they are given."""
    import functools

    import jax

    from experiments import config as configs
    from experiments.rundir import restore
    from experiments.sampling.model import Model
    from gans import core
    from gans.data.source import InMemory

    config = tiny(variant, preset)
    gan, spec = configs.build(config), restore.spec_of(config)
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    model, out = Model(config, spec, gan, state), tmp_path / "x.stablehlo"
    drawn = np.random.default_rng(0)
    arrays = {
        name: drawn.integers(0, 3, (4, *x.shape)).astype(x.dtype)
        for name, x in spec.items()
    }
    model.samplers.__dict__.update(conditions=InMemory("drawn", arrays, spec))
    programs.write(model, out)
    inputs, wanted = inputs_of(model, "sample", 3), model.sample(3, seed=3)
    for field, x in wanted.items():
        found = called(out, "n", inputs)[field]
        np.testing.assert_allclose(found, x, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name, n_outputs", [("cycle", 1), ("series", 3)])
def test_onnx(name, n_outputs, untrained, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="extra onnx")
    pytest.importorskip("jax2onnx", reason="extra onnx")
    from experiments.exchange import onnx

    model, out = experiments.load(untrained(name, tmp_path)), tmp_path / "x.onnx"
    for output in SYSTEMS[name][:n_outputs]:
        onnx.write(model, out, output)
        session = runtime.InferenceSession(out)
        for n in (1, 3):
            inputs = inputs_of(model, output, n)
            made = session.run(None, inputs)
            wanted = model.sample(n, seed=3, output=output)
            for found, x in zip(made, wanted.values(), strict=True):
                np.testing.assert_allclose(found, x, atol=1e-4)
        control = {k: x + 1 for k, x in inputs.items()}
        assert np.abs(session.run(None, control)[0] - made[0]).max() > 1e-3
        known = session.get_modelmeta().custom_metadata_map
        assert json.loads(known["origin"])["output"] == output


def test_what_cannot_be_exported(untrained, tmp_path):
    untrained("series", tmp_path)
    for out, options, message in (
        ("x.pt", {}, "must end in .stablehlo, .onnx, .safetensors, .md"),
        ("x.stablehlo", {"sizes": ["many"]}, "--sizes: 'many' is not a number"),
        ("x.onnx", {"sizes": [2]}, "--sizes has no effect on .onnx files"),
        ("x.safetensors", {"output": "score"}, "--output has no effect"),
        ("x.stablehlo", {"output": "scores"}, "output: must be|'scores'"),
    ):
        with pytest.raises(ValueError, match=message):
            formats.write(tmp_path, tmp_path / out, **options)
    assert not [*tmp_path.glob("x.*")]


def test_onnx_refuses_what_draws(styled_run, tmp_path):
    pytest.importorskip("jax2onnx", reason="extra onnx")
    with pytest.raises(ValueError, match="'sample' draws numbers itself"):
        formats.write(styled_run, tmp_path / "x.onnx")


def test_a_model_card(untrained, tmp_path):
    untrained("series", tmp_path)
    line = {"step": 7, "results": {"fid": {"value": 12.5, "better": "lower", "n": 5}}}
    line["results"]["memorisation_share"] = {"value": 0.01, "better": "lower"}
    (tmp_path / "evaluations.jsonl").write_text(json.dumps(line) + "\n{half")
    command = "python -m experiments.run --config=/home/me/x.py --workdir runs/me"
    (tmp_path / "run.json").write_text(json.dumps({"command": command}))
    out = tmp_path / "MODEL_CARD.md"
    (said,) = formats.write(tmp_path, out)
    assert "are not known to the run" in said
    text = out.read_text()
    assert "| fid | 12.5 | lower | n: 5 |" in text.partition("## Memorisation")[0]
    assert "memorisation_share | 0.01" in text.partition("## Memorisation")[2]
    assert "| source and licence | _not known to the run" in text
    assert "/home" not in text and "runs/me" not in text and str(tmp_path) not in text
    formats.write(tmp_path, out)  # as it was written, it may be replaced
    out.write_text(text.replace("_not known to the run: to be filled in_", "MIT"))
    with pytest.raises(FileExistsError, match="may have been edited"):
        formats.write(tmp_path, out)
