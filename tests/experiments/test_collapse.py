"""The laboratory: its arms, its seeds, what it keeps, and what it says of it."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import collapse
from experiments import config as configs
from experiments.sampling import sampler
from experiments.studies import collapse_report, stabilisers
from experiments.training.programs import Programs
from experiments.training.vmapped import lane
from gans import core
from gans.data import pipeline
from gans.data.source import Source
from gans.data.spec import Field

ARMS = {"base": {}, "hinge": {"loss": "hinge"}}
SGD = {"name": "sgd", "learning_rate": 0.05}
BASE, TABLE = stabilisers.base, stabilisers.table


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Networks of 8 units, batches of 8, calls of 2 steps, few samples, two arms."""

    def base(data):
        config = BASE(data)
        if data in stabilisers.POINTS:
            config.generator.widths = config.critic.widths = (8, 8)
        else:
            config.generator.widths = (8, 8, 8)
            config.critic.convolutions = ((8, 4, 2), (8, 4, 2))
        config.batch_size, config.steps, config.steps_per_call = 8, 4, 2
        return config

    monkeypatch.setattr(stabilisers, "base", base)
    monkeypatch.setattr(stabilisers, "table", lambda config: dict(ARMS))
    monkeypatch.setattr(collapse, "N_POINTS", 600)
    monkeypatch.setattr(collapse, "N_IMAGES", 40)
    monkeypatch.setattr(collapse, "BATCH", 40)


def leaves(tree):
    return {jax.tree_util.keystr(k): v for k, v in jax.tree.leaves_with_path(tree)}


# --- training ------------------------------------------------------------------------


def test_seeds_at_once_are_the_runs_of_these_seeds():
    # Under SGD, as Adam turns the rounding of gradients near 0 into whole moves.
    lab = collapse.laboratory("ring8", n_seeds=2, steps=4)
    cure = {"generator.optimizer": SGD, "critic.optimizer": SGD, "ema": 0.5}
    config = configs.override(lab.config, cure)
    gan = configs.build(config)
    together, diverged = collapse.train(gan, config, lab.sources)
    assert diverged == [None, None] and together.step.shape == ()
    config.seed = 1
    batches = pipeline.batches(configs.load_data(config), 8, seed=1)
    programs = Programs(
        gan,
        seed=1,
        batch=batches[0],
        prepare=batches.prepare,
        per_call=1,
        n_samples=1,
    )
    first = state = programs.init(0)
    step = jax.jit(core.make_step(gan))
    for i in range(4):
        state, _ = step(state, batches[i], programs.key(0))
    other, one = (leaves(lane(together, i)) for i in range(2))
    first = leaves(first)
    for name, x in leaves(state).items():
        np.testing.assert_allclose(one[name], x, rtol=1e-5, atol=1e-6, err_msg=name)
        if ".params" in name:  # training, and another seed, move them ten times more
            error = np.abs(one[name] - x).max()
            assert np.abs(x - first[name]).max() > max(10 * error, 1e-5), name
            assert np.abs(other[name] - x).max() > max(10 * error, 1e-3), name


def test_samples_are_those_of_each_state():
    lab = collapse.laboratory("ring8", n_seeds=2, steps=2)
    gan = configs.build(lab.config)
    state, _ = collapse.train(gan, lab.config, lab.sources)
    states = [lane(state, seed) for seed in range(2)]
    samples = collapse.draw(gan, states, 50)  # more than one batch, and a part of one
    assert samples.shape == (2, 50, 2)
    for seed, one in enumerate(states):
        latents = [sampler.inputs(gan, jax.random.key(i), 40)["z"] for i in range(2)]
        latents = {"z": jnp.concatenate(latents)[:50]}
        expected = jax.jit(functools.partial(sampler.sample, gan))(one, latents)
        np.testing.assert_allclose(samples[seed], expected, rtol=1e-4, atol=1e-6)


def test_a_seed_that_diverges_is_recorded_and_the_other_goes_on(monkeypatch):
    lab = collapse.laboratory("ring8", n_seeds=2, steps=6)
    alone, _ = collapse.arm(lab, {})
    bad = lab.sources[1].take(np.arange(len(lab.sources[1])))["point"]

    class Spoilt(Source):
        """From its third batch, step 2, on nothing is finite."""

        name, spec = "spoilt", {"point": Field("point", (2,), "float32")}
        seen = 0

        def __len__(self):
            return len(bad)

        def take(self, rows):
            points = bad[rows].copy()
            self.seen += len(rows)
            if self.seen > 2 * 8:
                points[:] = np.nan
            return {"point": points}

    lab.sources[1] = Spoilt()
    result, shown = collapse.arm(lab, {})
    assert result["seeds"][1] == {"seed": 1, "diverged_by_step": 4}
    assert result["seeds"][0] == alone["seeds"][0]
    assert shown.shape == (500, 2) and np.isfinite(shown).all()
    lab.sources[0] = Spoilt()
    result, shown = collapse.arm(lab, {})
    assert shown is None and "diverged_by_step" in result["seeds"][0]
    real = dict.fromkeys(collapse_report.QUANTITIES, 1.0)
    report = {"protocol": {"n_seeds": 2}, "n_modes": 8, "real": real}
    report["arms"] = {"base": result}
    assert collapse_report.table(report).splitlines()[2].split()[:5] == (
        ["base", "-", "-", "-", "2"]
    )


# --- the report ----------------------------------------------------------------------


def test_resumes_and_keeps_what_is_finished(tmp_path, monkeypatch):
    out, ran = tmp_path / "deep" / "collapse", []
    real = collapse.arm

    def arm(lab, cure):
        ran.append(cure)
        return real(lab, cure)

    monkeypatch.setattr(collapse, "arm", arm)
    first = collapse.run("ring8", ["hinge"], n_seeds=2, out=out, command="one")
    # 3 sigma hold 98.9 % of a Gaussian in the plane; 600 points of 8 modes.
    assert first["real"]["modes"] == 8 and first["real"]["kl"] < 0.03
    assert abs(first["real"]["high_quality"] - 0.989) < 0.015
    assert ran == [ARMS["hinge"]]
    kept = json.loads((out.parent / "collapse.json").read_text())
    assert kept["ring8"] == json.loads(json.dumps(first))
    seeds = kept["ring8"]["arms"]["hinge"]["seeds"]
    assert [x["seed"] for x in seeds] == [0, 1]
    assert all({"modes", "high_quality", "kl"} < set(x) for x in seeds)

    both = collapse.run("ring8", n_seeds=2, out=out, command="two")
    assert ran == [ARMS["hinge"], ARMS["base"]]
    assert list(both["arms"]) == ["base", "hinge"]  # the table's order
    assert both["arms"]["hinge"] == first["arms"]["hinge"]
    runs = both["runs"]
    assert runs[both["arms"]["hinge"]["run"]]["command"] == "one"
    assert runs[both["arms"]["base"]["run"]]["command"] == "two"
    assert runs[0]["versions"]["jax"] == jax.__version__
    with np.load(out.parent / "collapse_ring8.npz") as samples:
        assert {name: samples[name].shape for name in samples} == dict.fromkeys(
            ("base", "hinge"), (500, 2)
        )
    assert (out.parent / "collapse_ring8.png").read_bytes()[:4] == b"\x89PNG"

    # A cure that was changed is run again; other data have a part of their own.
    monkeypatch.setitem(ARMS, "hinge", {"loss": "least_squares"})
    collapse.run("ring8", n_seeds=2, out=out)
    assert ran[2:] == [{"loss": "least_squares"}]
    collapse.run("grid25", ["base"], n_seeds=2, out=out)
    kept = json.loads((out.parent / "collapse.json").read_text())
    assert set(kept) == {"ring8", "grid25"} and len(kept["ring8"]["arms"]) == 2


def test_arms_of_another_protocol_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        collapse, "arm", lambda lab, cure: ({"seeds": [], "seconds": 0.0}, None)
    )
    out = tmp_path / "collapse"
    collapse.run("ring8", ["base"], n_seeds=1, out=out)
    before = (tmp_path / "collapse.json").read_bytes()
    with pytest.raises(ValueError, match="config.steps: 4 -> 6"):
        collapse.run("ring8", ["hinge"], n_seeds=1, steps=6, out=out)
    with pytest.raises(ValueError, match="n_seeds: 1 -> 2"):
        collapse.run("ring8", ["base"], n_seeds=2, out=out)
    assert (tmp_path / "collapse.json").read_bytes() == before


def test_the_table_by_hand():
    # Modes 4, 6, 8: mean 6, deviation sqrt((4 + 0 + 4) / 2) = 2. Quality 0.5, 0.5, 0.8:
    # 0.6, sqrt((0.01 + 0.01 + 0.04) / 2) = 0.17. KL 1, 2, 3: 2 and 1. One seed lost.
    quality = zip((4, 6, 8), (0.5, 0.5, 0.8), (1, 2, 3), strict=True)
    seeds = [
        {"seed": i, "modes": m, "high_quality": q, "kl": k}
        for i, (m, q, k) in enumerate(quality)
    ]
    seeds.append({"seed": 3, "diverged_by_step": 500})
    one = [{"seed": 0, "modes": 12.0, "high_quality": 1.0, "kl": 0.25}]
    report = {
        "protocol": {"n_seeds": 4},
        "n_modes": 25,
        "real": {"modes": 25.0, "high_quality": 0.98912, "kl": 0.00123},
        "arms": {
            "base": {"seeds": seeds, "seconds": 12.4},
            "r1": {"seeds": one, "seconds": 7.0},
        },
    }
    head, real, base, r1 = collapse_report.table(report).splitlines()
    assert head.split("  ")[0] == "arm" and "modes of 25" in head
    assert real.split() == "(the data) 25 0.9891 0.00123 - -".split()
    assert base.split() == "base 6.00 ± 2.00 0.60 ± 0.17 2.00 ± 1.00 1 12".split()
    assert r1.split() == "r1 12.0 ± 0.0 1.00 ± 0.00 0.25 ± 0.00 3 7".split()


def test_stacked_digits_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("experiments.evaluation.extractors.CLASSIFIER_STEPS", 150)
    lab = collapse.laboratory("stacked:digits", n_seeds=2, steps=2)
    assert lab.n_modes == 1000 and lab.protocol["classifier"]["test_accuracy"] > 0.9
    # Judged by it, the data's own labels come back.
    taken = lab.sources[0].take(np.arange(300))
    seen = []
    monkeypatch.setattr(collapse.modes, "stacked", lambda p: seen.append(p) or {})
    lab.judge(taken["image"])
    guesses = seen[0].argmax(-1) @ np.array([100, 10, 1])
    assert seen[0].shape == (300, 3, 10)
    assert np.mean(guesses == taken["label"]) > 0.9
    np.testing.assert_allclose(seen[0].sum(-1), 1, atol=1e-5)
    monkeypatch.undo()

    monkeypatch.setattr(collapse, "laboratory", lambda *args, **options: lab)
    report = collapse.run("stacked:digits", ["base"], n_seeds=2, out=tmp_path / "out")
    assert collapse_report.table(report).startswith("arm")
    for seed in report["arms"]["base"]["seeds"]:
        assert 1 <= seed["modes"] <= 40 and 0 <= seed["high_quality"] <= 1
    with np.load(tmp_path / "out_stacked_digits.npz") as samples:
        assert samples["base"].shape == (16, 16, 16, 3)
        assert samples["base"].dtype == np.uint8
    assert (tmp_path / "out_stacked_digits.png").is_file()


# --- the cures -----------------------------------------------------------------------


@pytest.mark.parametrize("data", [*stabilisers.POINTS[1:], *stabilisers.STACKED[:1]])
def test_every_cure_can_be_run(data):
    """Traced, not run: each has its own value somewhere, and a finite name."""
    config = BASE(data)
    config.shape = (2,) if data in stabilisers.POINTS else (16, 16, 3)
    name = "point" if data in stabilisers.POINTS else "image"
    shape = (config.batch_size, *config.shape)
    batch = {name: jax.ShapeDtypeStruct(shape, jnp.float32)}
    table = TABLE(config)
    assert list(table)[0] == "base"
    seen = {}
    for arm, cure in table.items():
        cured = configs.override(config, cure)
        gan = configs.build(cured)
        state = jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
        after, _ = jax.eval_shape(core.make_step(gan), state, batch, jax.random.key(0))
        assert jax.tree.structure(after) == jax.tree.structure(state), arm
        assert configs.to_json(cured) not in seen, (arm, "is the same as another")
        seen[configs.to_json(cured)] = arm
    assert configs.to_json(config) in seen  # the base is as it was


def test_a_cure_may_be_new_to_a_network_alone():
    config = BASE("ring8")
    del config.critic["dropout"]
    cured = configs.override(config, {"critic.dropout": 0.5, "n_critic": 3})
    assert cured.critic.dropout == 0.5 and cured.n_critic == 3
    assert "dropout" not in config.critic and config.n_critic == 1
    other = configs.override(
        config, {"critic.optimizer": stabilisers.rmsprop(1e-4, clip=0.1)}
    )
    assert other.critic.optimizer.to_dict() == {
        "name": "rmsprop",
        "learning_rate": 1e-4,
        "decay": 0.99,
        "clip": 0.1,
    }
    with pytest.raises(ValueError, match="'n_critc' is not one of.*'n_critic'"):
        configs.override(config, {"n_critc": 3})
    with pytest.raises(ValueError, match="'critik' is not one of.*'critic'"):
        configs.override(config, {"critik.dropout": 0.1})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"wanted": ["hing"]}, "--arms: 'hing' is not one of base, hinge.*'hinge'"),
        ({"data": "circle"}, "--data: 'circle' is not one of"),
        ({"n_seeds": 0}, "--seeds=0"),
        ({"steps": 0}, "--steps=0"),
        ({"steps": 5}, "--steps=5 must be a multiple of 2"),
    ],
)
def test_what_cannot_be_run(options, message, tmp_path):
    given = {"data": "ring8", "wanted": None, "n_seeds": 1, "steps": None} | options
    with pytest.raises(ValueError, match=message):
        collapse.run(**given, out=tmp_path / "out")


def test_an_arm_that_cannot_be_built_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(ARMS, "typo", {"critic.dropuot": 0.1})
    with pytest.raises(ValueError, match="arm typo: .*did you mean 'dropout'"):
        collapse.run("ring8", n_seeds=1, out=tmp_path / "out")
    assert not list(tmp_path.iterdir())
