"""Results that were written in an older form can still be read."""

import json
import pathlib
import shutil

import pytest

from configs.ablations import mode_collapse
from experiments.ablations import document, results

ARM = {"steps": 4, "batch_size": 8, "seconds": 1.0, "program": 0, "seeds": []}


def test_former_names_of_keys(tmp_path):
    path = tmp_path / "results.json"
    overrides = {"loss": "hinge", "critic.optimizer.b1": 0.5, "generator.norm": None}
    overrides["critic.layers"] = [[8, 4, 2]]
    network = {"norm": "virtual", "n_reference": 16, "layers": [[4, 4, 2]]}
    network["penalties"] = ["r1(weight=2.0)"]
    base = {"critic": network, "n_critic": 5}
    written = {
        "protocol": {"base": base, "scores": {}},
        "arms": {"critic_norm": ARM | {"overrides": overrides}},
    }
    path.write_text(json.dumps(written))
    found = results.read(path)
    # n_critic is the papers' own word, and names of arms are their own.
    assert found["protocol"]["base"] == {
        "discriminator": {
            "norm": {"name": "virtual", "n_reference": 16},
            "convolutions": ((4, 4, 2),),
            "penalties": ({"name": "r1", "weight": 2.0},),
        },
        "n_critic": 5,
    }
    assert found["arms"]["critic_norm"]["overrides"] == {
        "loss": "hinge",
        "discriminator.optimizer.b1": 0.5,
        "generator.norm": None,
        "discriminator.convolutions": [[8, 4, 2]],
    }
    # Today's form stays as it is.
    path.write_text(json.dumps(found))
    assert results.read(path) == found


def test_former_programs_are_recognised():
    record = {"arm": "base", "seed": 0}
    assert results.is_former({"lanes": [record], "seconds": 1.0})
    assert not results.is_former({"replicas": [record], "seconds": 1.0})


def test_no_results(tmp_path):
    with pytest.raises(FileNotFoundError):
        results.read(tmp_path / "results.json")


# --- the results of mode collapse that are kept in docs -------------------------------

DOCS = pathlib.Path(__file__).parents[3] / "docs"
PRESETS = ("ring8", "grid25", "stacked_digits", "stacked_mnist")


def kept(preset):
    return DOCS / f"ablation_mode_collapse_{preset}.json"


@pytest.mark.parametrize("preset", PRESETS)
def test_kept_results_are_those_of_the_config(preset):
    found, config = results.read(kept(preset)), mode_collapse.get_config(preset)
    for key in ("seeds", "evaluations", "baseline"):
        assert found[{"seeds": "n_seeds"}.get(key, key)] == config[key]
    assert list(found["arms"]) == found["planned"] == list(config.order)
    for name, arm in found["arms"].items():
        overrides = json.loads(json.dumps(config.arms[name].to_dict()))
        assert arm["overrides"] == overrides, name
        assert [seed["seed"] for seed in arm["seeds"]] == [*range(config.seeds)]
        assert (arm["steps"], arm["batch_size"]) == (
            config.base.steps,
            config.base.batch_size,
        )


@pytest.mark.slow
def test_the_document_is_made_from_the_kept_results(tmp_path):
    """Made again it is the same, and has the values of the seeds."""
    page = tmp_path / "stabilisers.md"
    shutil.copy(DOCS / page.name, page)
    for picture in DOCS.glob("ablation_mode_collapse_*_samples.png"):
        shutil.copy(picture, tmp_path)
    for preset in PRESETS:
        document.put(page, kept(preset))
    text = page.read_text(encoding="utf-8")
    assert text == (DOCS / page.name).read_text(encoding="utf-8")
    # By hand, of ring8: 3, 7, 8, 8, 8 modes without a stabiliser.
    seeds = results.read(kept("ring8"))["arms"]["base"]["seeds"]
    modes = [seed["curve"][0]["values"]["eval/modes/modes"] for seed in seeds]
    assert sorted(modes) == [3, 7, 8, 8, 8]
    assert "| base | 5 | 0 | 6.8 ± 2.2 |" in text
    # Negative control: another value is another document.
    other = json.loads(kept("ring8").read_text())
    other["arms"]["base"]["seeds"][0]["curve"][0]["values"]["eval/modes/modes"] = 0
    (tmp_path / "other.json").write_text(json.dumps(other))
    document.put(page, tmp_path / "other.json")
    assert page.read_text(encoding="utf-8") != text
