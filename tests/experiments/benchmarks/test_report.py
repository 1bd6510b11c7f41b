"""Tables are printed and written config by config."""

import json
from types import SimpleNamespace

import pytest

from experiments.benchmarks import report


def stand_in(benchmark):
    specs = ("configs/gan.py:circle", "configs/gan.py:ring8")
    return SimpleNamespace(
        SPECS=specs, benchmark=benchmark, table=lambda found: f"table {found['ms']}"
    )


@pytest.fixture
def use(monkeypatch):
    def use(module):
        found = SimpleNamespace(import_module=lambda name: module)
        monkeypatch.setattr(report, "importlib", found)

    return use


def test_every_config_is_printed_and_written(use, tmp_path, capsys):
    out, written = tmp_path / "figures.json", []

    def benchmark(config, *, progress, rounds):
        written.append(out.exists() and len(json.loads(out.read_text())["configs"]))
        progress("round 1")
        return {"ms": rounds * config.batch_size}

    use(stand_in(benchmark))
    report.run("steps", out=out, rounds=3, batch_size=7)
    assert capsys.readouterr().out == "table 21\ntable 21\n"
    assert written == [False, 1]  # after each config
    found = json.loads(out.read_text())
    assert {"cpu", "cores", "python", "jax", "numpy"} <= set(found["hardware"])
    assert [x["config"] for x in found["configs"]] == [*stand_in(None).SPECS]
    assert found["configs"][0]["batch_size"] == 7


def test_configs_may_be_chosen_and_a_failure_names_its_config(use):
    def benchmark(config, *, progress):
        raise RuntimeError("fell over")

    use(stand_in(benchmark))
    with pytest.raises(RuntimeError, match="configs/gan.py:grid25: fell over"):
        report.run("steps", specs=["configs/gan.py:grid25"])
