"""Arms: read from a config, and put together into programs."""

import re
from pathlib import Path

import pytest

from configs import gan, presets
from experiments import config as configs
from experiments.ablations import arms
from experiments.ablations.config import check_flags
from experiments.sweeps import space as spaces


def ablation(changes, **options):
    base = gan.get_config("ring8")
    base.generator.widths = base.discriminator.widths = (8, 8)
    base.batch_size, base.steps, base.steps_per_call = 8, 100, 10
    options = {"baseline": "base", "evaluations": 5} | options
    return presets.ablation(base, {"base": {}} | changes, **options)


def resolved(changes, **options):
    return arms.resolve(ablation(changes, **options), configs.load_data)


def together(changes, n_seeds=1, most=64, missing=None):
    """The programs' names of arms, and the numbers left open in each."""
    found = resolved(changes)
    everything = {(arm.name, seed) for arm in found for seed in range(n_seeds)}
    wanted = everything if missing is None else missing
    return [
        ([name for name, _ in p.names], sorted(p.values))
        for p in arms.programs(found, wanted, most)
    ]


# --- which go together ----------------------------------------------------------------


def test_floats_share_a_program_and_integers_do_not():
    rate = "discriminator.optimizer.learning_rate"
    assert together({"slow": {rate: 1e-5}, "n2": {"n_critic": 2}}) == [
        (["base", "slow"], [rate]),
        (["n2"], []),
    ]
    one, ten = (
        {"discriminator.penalties": (f"r1(weight={w})",)} for w in ("1", "10.0")
    )
    assert together({"r1": one, "r10": ten}) == [
        (["base"], []),
        (["r1", "r10"], ["discriminator.penalties[0].weight"]),
    ]
    # Both integers: nothing says that they are not counts.
    ten = {"discriminator.penalties": ("r1(weight=10)",)}
    assert len(together({"r1": one, "r10": ten})) == 3
    # Another name, another option, another number of them: other programs.
    for other in ("r2(weight=1.5)", "r1(weight=1.5, every=2)", "r1"):
        assert (
            len(together({"a": one, "b": {"discriminator.penalties": (other,)}})) == 3
        )
    two = {"discriminator.penalties": ("r1(weight=1.5)", "lecam")}
    assert len(together({"a": one, "b": two})) == 3


def test_a_float_that_must_be_known_is_compiled_apart():
    # Whether there is dropout at all is part of the network.
    changes = {
        "half": {"discriminator.dropout": 0.5},
        "slow": {"discriminator.optimizer.b1": 0.25},
        "both": {"discriminator.dropout": 0.5, "discriminator.optimizer.b1": 0.0},
    }
    assert together(changes) == [
        (["base", "slow"], ["discriminator.optimizer.b1"]),
        (["half", "both"], ["discriminator.optimizer.b1"]),
    ]


def test_replicas_are_split_evenly_and_only_what_is_missing_is_run():
    rate = {"generator.optimizer.learning_rate": 1e-5}
    found = together({"slow": rate}, n_seeds=5, most=4)
    assert [len(names) for names, _ in found] == [4, 4, 2]
    assert sum((names for names, _ in found), []) == ["base"] * 5 + ["slow"] * 5
    missing = {("slow", 1), ("slow", 3)}
    assert together({"slow": rate}, missing=missing) == [(["slow", "slow"], [])]
    (program,) = arms.programs(resolved({"slow": rate}), missing, 64)
    assert program.names == [("slow", 1), ("slow", 3)]
    assert program.config.generator.optimizer.learning_rate == 1e-5


def test_digests_say_what_a_result_depends_on():
    a, b = resolved({"other": {"ema": 0.99}})
    assert a.digest != b.digest
    again = resolved({}, evaluations=10)[0]
    assert again.digest != a.digest


# --- the budget -----------------------------------------------------------------------


def test_the_budget():
    base, small = resolved({"small": {"batch_size": 4}}, images=800)
    assert (base.config.steps, small.config.steps) == (100, 200)
    assert (base.interval, small.interval) == (20, 40)
    assert base.config.steps_per_call == 10 and small.config.steps_per_call == 10
    base, own = resolved({"own": {"steps": 35}}, steps=50)
    assert (base.config.steps, own.config.steps) == (50, 35)
    assert own.interval == 7 and own.config.steps_per_call == 7
    assert base.config.shape == (2,) and base.config.seed == 0


def test_the_baseline_comes_first_and_the_order_is_kept():
    changes = {"z": {"ema": 0.1}, "a": {"ema": 0.2}, "m": {"ema": 0.3}}
    names = [arm.name for arm in resolved(changes, baseline="a")]
    assert names == ["a", "base", "z", "m"]


@pytest.mark.parametrize(
    "changes, options, message",
    [
        ({"x": {"n_critc": 1}}, {}, "arm x: .*n_critc.*did you mean 'n_critic'"),
        ({"x": {"loss": "hing"}}, {}, "arm x: .*did you mean 'hinge'"),
        ({"x": {"discriminator.penalties": ("r1(wait=1)",)}}, {}, "arm x: .*'wait'"),
        ({"x": {"steps": 33}}, {}, "arm x: its 33 steps are not a multiple"),
        ({"x y": {}}, {}, "'x y' must consist of letters, digits"),
        ({}, {"baseline": "bas"}, "config.baseline: must be 'base', got 'bas'"),
        ({}, {"seeds": 0}, "config.seeds=0 must be a whole number from 1"),
        ({}, {"replicas_per_program": 0}, "config.replicas_per_program=0"),
        ({}, {"steps": 5, "images": 5}, "config.steps=5 and config.images=5"),
        ({"x": {"seed": 3}}, {}, "x sets 'seed', which has no effect in an ablation"),
        ({"x": {"log_every": 10}}, {}, "x sets 'log_every', .* no logs"),
        ({"x": {"evaluate_every": 10}}, {}, "x sets 'evaluate_every'.*evaluations"),
        ({"x": {"keep_checkpoints": 9}}, {}, "x sets 'keep_checkpoints'"),
        ({"x": {"on_nan": "rollback"}}, {}, "x sets 'on_nan'.*diverged"),
        ({"x": {"metrics": ("fid",)}}, {}, "x sets 'metrics'.*measured alike"),
        ({"x": {"n_evaluate": 9}}, {}, "x sets 'n_evaluate'.*measured alike"),
        ({"x": {"extractor": "lpips"}}, {}, "x sets 'extractor'.*measured alike"),
        ({"x": {"steps_per_call": 5}}, {}, "x sets 'steps_per_call'.*compiled"),
        ({"x": {"data_dir": "a"}}, {}, "x sets 'data_dir'.*where data are"),
        # The base's own values, under another name.
        ({"x": {"ema": 0.999}}, {}, "arm x is arm base under another name: ema=0.999"),
        ({"x": {}}, {}, "arm x is arm base under another name: it sets nothing"),
        (
            {"x": {"steps": 50}},
            {"images": 400},
            "arm x is arm base under another name: steps",
        ),
        (
            {"x": {"n_critic": 2}, "y": {"n_critic": 2}},
            {},
            "arm y is arm x under another name",
        ),
        (
            {"x": {"discriminator.penalties": ("r1",)}}
            | {"y": {"discriminator.penalties": ("r1()",)}},
            {},
            "arm y is arm x under another name",
        ),
    ],
)
def test_what_cannot_be_run(changes, options, message):
    with pytest.raises(ValueError, match=message):
        resolved(changes, **options)


def test_arms_that_would_train_alike_are_refused_though_their_configs_differ():
    # A half-life takes the place of the decay, and no schedule reads `ema_ramp`.
    half_life = {"ema_half_life": 100}
    both = resolved({"a": half_life, "b": half_life | {"ema": 0.5}})
    with pytest.raises(
        ValueError,
        match="arm b would be trained exactly as arm a: ema=0.5, .*changes nothing",
    ):
        arms.trace(both)
    (base, *_) = resolved({})
    arms.trace([base, *resolved({"c": {"ema": 0.5}, "d": {"flip": True}})[1:]])


@pytest.mark.parametrize(
    "flag, said",
    [
        ("seed=3", "base.seed has no effect in an ablation: every arm is trained with"),
        ("log_every=5", "base.log_every has no effect in an ablation"),
        ("evaluate_every", "base.evaluate_every has no effect in an ablation"),
        ("steps=5", "base.steps has no effect in an ablation: config.images=80 is the"),
    ],
)
def test_flags_of_the_base_that_an_ablation_does_not_use(flag, said):
    config = ablation({}, images=80)
    with pytest.raises(ValueError, match=said):
        check_flags(config, [f"--config.base.{flag}"])
    check_flags(config, ["--config.base.batch_size=4", "--config.seeds=2"])
    check_flags(ablation({}), ["--config.base.steps=5"])


def test_events_of_single_runs_need_not_fit_the_calls():
    config = ablation({})
    config.base.steps_per_call = 20
    config.base.log_every = 30
    arms.check(config)


def test_some_of_the_arms():
    config = ablation({"a": {"ema": 0.1}, "b": {"ema": 0.2}})
    config.order = ("b", "base")
    found = arms.resolve(config, configs.load_data)
    assert [arm.name for arm in found] == ["base", "b"]
    for order, message in [
        (("b", "a"), "lacks the baseline, base"),
        (("base", "b", "b"), "names an arm twice"),
        (("base", "c"), "config.order: 'c' is not one of a, b, base"),
    ]:
        config.order = order
        with pytest.raises(ValueError, match=message):
            arms.check(config)


def test_stages_are_rejected(monkeypatch):
    monkeypatch.setattr(configs, "stages", lambda config: (None, None))
    with pytest.raises(ValueError, match="arm base: gan trains in 2 stages"):
        resolved({})


def test_the_former_name_of_a_key():
    config = ablation({})
    config.lanes = 8
    with pytest.raises(ValueError, match="lanes is called .*replicas_per_program now"):
        arms.check(config)


def test_a_config_that_is_no_ablation():
    with pytest.raises(ValueError, match="no key 'base'"):
        arms.check(gan.get_config("ring8"))
    config = ablation({})
    config.base.metrics = ()
    with pytest.raises(ValueError, match="config.base.metrics"):
        arms.check(config)


def test_the_page_shows_how_an_option_of_a_penalty_is_an_arm():
    page = (Path(__file__).parents[3] / "docs/ablations.md").read_text()
    (code,) = re.findall(r"^```python\n(# mine/weights.*?)^```$", page, re.M | re.S)
    exec(code, found := {})
    config = found["get_config"]()
    config.order = ("lambda10", "lambda1")
    ten, one = arms.resolve(config, configs.load_data)
    for arm, weight in ((ten, 10), (one, 1)):
        (penalty,) = arm.config.discriminator.penalties
        assert penalty == {"name": "gradient_penalty", "weight": weight}
    (space,) = re.findall(r'--space="(discriminator.penalties.*?)"', page)
    (key,) = spaces.parse(space)
    (changed,) = spaces.changes(config.base, {key: 3.0}).values()
    assert changed == ("gradient_penalty(weight=3.0)",)
    (flag,) = re.findall(r"--config.discriminator.penalties\[0\].weight=1", page)
    own, _ = configs.changed(config.base, [flag])
    assert dict(own.discriminator.penalties[0])["weight"] == 1
