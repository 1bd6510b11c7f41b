"""Results that were written in an older form can still be read."""

import json

import pytest

from experiments.ablations import results

ARM = {"steps": 4, "batch_size": 8, "seconds": 1.0, "program": 0, "seeds": []}


def test_former_names_of_keys(tmp_path):
    path = tmp_path / "results.json"
    overrides = {"loss": "hinge", "critic.optimizer.b1": 0.5, "generator.norm": None}
    base = {"critic": {"norm": "batch"}, "n_critic": 5}
    written = {
        "protocol": {"base": base, "scores": {}},
        "arms": {"critic_norm": ARM | {"overrides": overrides}},
    }
    path.write_text(json.dumps(written))
    found = results.read(path)
    # n_critic is the papers' own word, and names of arms are their own.
    assert found["protocol"]["base"] == {
        "discriminator": {"norm": "batch"},
        "n_critic": 5,
    }
    assert found["arms"]["critic_norm"]["overrides"] == {
        "loss": "hinge",
        "discriminator.optimizer.b1": 0.5,
        "generator.norm": None,
    }
    # Today's form stays as it is.
    path.write_text(json.dumps(found))
    assert results.read(path) == found


def test_former_programs():
    record = {"arm": "base", "seed": 0}
    assert results.program({"lanes": [record], "seconds": 1.0}) == (
        {"replicas": [record], "seconds": 1.0}
    )
    new = {"replicas": [record], "seconds": 1.0}
    assert results.program(new) == new


def test_no_results(tmp_path):
    with pytest.raises(FileNotFoundError):
        results.read(tmp_path / "results.json")
