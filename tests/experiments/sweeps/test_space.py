import pytest

from configs import gan, wgan_gp
from experiments import config as configs
from experiments.sweeps import space

TEXT = (
    "discriminator.optimizer.learning_rate=log(1e-5, 1e-2); n_critic=int(1, 5);"
    "discriminator.penalties[0].weight=log(0.1, 100)"
)


def test_entries_are_separated_by_semicolons_or_lines(tmp_path):
    found = space.parse(TEXT)
    assert {key: str(x) for key, x in found.items()} == {
        "discriminator.optimizer.learning_rate": "log(1e-05, 0.01)",
        "n_critic": "int(1, 5)",
        "discriminator.penalties[0].weight": "log(0.1, 100.0)",
    }
    file = tmp_path / "space.txt"
    lines = TEXT.replace(";", "\n  ")
    file.write_text(
        f"# rates\n{lines}  # WGAN-GP's\n\nloss=choice('a;b', # two\n 'c')\n"
    )
    again = space.parse(str(file))
    assert str(again.pop("loss")) == "choice('a;b', 'c')"
    assert again == found


@pytest.mark.parametrize(
    "text, said",
    [
        ("n_critic=itn(1, 2)", "did you mean 'int'?"),
        ("n_critic=int(1.5, 2)", "two whole numbers"),
        ("n_critic=int(True, 2)", "two whole numbers"),
        ("n_critic=int(1)", "two whole numbers"),
        ("n_critic=int(3, 3)", "the lowest must be below the highest"),
        ("latent=log(0, 1)", "must be above 0"),
        ("latent=uniform(0, 1e999)", "the lowest must be below"),
        ("latent=uniform('a', 'b')", "two numbers"),
        ("loss=choice()", "is not KEY="),
        ("loss=choice('a')", "has one value, so nothing varies: --config.loss=a"),
        ("loss=choice('a', 'a')", "a choice twice"),
        ("loss=choice(a, b)", "is not KEY="),
        ("loss=uniform(low=1, high=2)", "is not KEY="),
        ("loss=3", "is not KEY="),
        ("loss=ema=uniform(0, 1)", "is not KEY="),
        ("loss(3)=int(1, 2)", "is not KEY="),
        ("loss['a']=int(1, 2)", "is not KEY="),
        ("loss int(1, 2)=", "'loss int(1, 2)=' is not KEY="),
        ("n_critic=int(1, 2); n_critic=int(1, 3)", "n_critic appears twice"),
        ("#=", "is empty"),
        ("spaces.txt", "'spaces.txt' is neither a file nor"),
    ],
)
def test_what_cannot_be_read_is_said(text, said):
    with pytest.raises(ValueError) as caught:
        space.parse(text)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("--space")


def test_values_reach_into_tuples_and_what_is_written_as_a_call():
    config = wgan_gp.get_config()
    assert config.discriminator.penalties == ("gradient_penalty(weight=10)",)
    changed = space.changes(
        config,
        {
            "discriminator.penalties[0].weight": 0.25,
            "discriminator.optimizer.b1": 0,  # as in a flag, ...b1=0
            "generator.widths[1]": 32,
        },
    )
    widths = config.generator.widths
    assert changed == {
        "discriminator.penalties": ("gradient_penalty(weight=0.25)",),
        "discriminator.optimizer.b1": 0.0,
        "generator.widths": (widths[0], 32, *widths[2:]),
    }
    assert isinstance(changed["discriminator.optimizer.b1"], float)
    # The config itself stays as it was.
    assert config.discriminator.penalties == ("gradient_penalty(weight=10)",)


def test_an_option_is_added_to_the_value_that_another_key_has_chosen():
    config = gan.get_config()
    values = {"loss.smooth_real": 0.1, "loss": "minimax"}  # parts come after the whole
    assert space.changes(config, values) == {"loss": "minimax(smooth_real=0.1)"}
    config.loss = "minimax(smooth_real=0.1, smooth_fake=0)"
    changed = space.changes(config, {"loss.smooth_real": 0.2})
    assert changed == {"loss": "minimax(smooth_real=0.2, smooth_fake=0)"}


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("n_critik", 1, "did you mean 'n_critic'?"),
        ("discriminator.optimizer.learning_rat", 1.0, "did you mean 'learning_rate'?"),
        ("discriminator.optimiser.b1", 1.0, "did you mean 'optimizer'?"),
        (
            "discriminator.penalties[3].weight",
            1.0,
            "there is no [3] in ('gradient_penalty",
        ),
        ("n_critic[0]", 1, "there is no [0] in 1"),
        ("n_critic.x", 1, "1 has no 'x'"),
        ("loss.a.b", 1, "has no 'a'"),
        ("n_critic", 1.5, "1.5 is of type float, while the config's 1 is of type int"),
        ("loss", None, "is of type NoneType"),
        ("discriminator", 1, "has keys of its own"),
    ],
)
def test_a_key_that_is_not_there_is_said_with_the_nearest(key, value, said):
    with pytest.raises(ValueError) as caught:
        space.changes(wgan_gp.get_config(), {key: value})
    assert said in str(caught.value)
    assert str(caught.value).startswith("--space: ")


def test_corners_have_every_end_and_every_choice():
    found = space.parse(
        "loss=choice('a', 'b', 'c'); ema=uniform(0, 1); latent=int(2, 4)"
    )
    assert space.corners(found) == [
        {"loss": "a", "ema": 0.0, "latent": 2},
        {"loss": "c", "ema": 1.0, "latent": 4},
        {"loss": "b", "ema": 0.0, "latent": 2},
    ]


def test_draws_lie_in_the_range_and_choices_come_back_as_they_were():
    optuna = pytest.importorskip("optuna")
    text = (
        "a=log(1e-4, 1); b=int(1, 3); c=uniform(-1, 1); d=choice((8, 8), None, 'x', 2)"
    )
    found = space.parse(text)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    fixed = {key: x.distribution() for key, x in found.items()}
    drawn = [study.ask(fixed).params for _ in range(200)]
    values = [{key: x.value(d[key]) for key, x in found.items()} for d in drawn]
    assert {v["b"] for v in values} == {1, 2, 3}
    assert {v["d"] for v in values} == {(8, 8), None, "x", 2}
    assert all(1e-4 <= v["a"] <= 1 and -1 <= v["c"] <= 1 for v in values)
    # Half of log(1e-4, 1) lies below 1e-2, and a hundredth of uniform(1e-4, 1): of 200,
    # 100 +- 7 and 2 +- 1.4.
    assert 70 < sum(v["a"] < 1e-2 for v in values) < 130
    assert 70 < sum(v["c"] < 0 for v in values) < 130


@pytest.mark.parametrize(
    "module, values",
    [
        (wgan_gp, {"discriminator.penalties[0].weight": 0.1 + 0.2, "n_critic": 3}),
        (
            gan,
            {
                "loss.smooth_real": 1 / 3,
                "discriminator.optimizer.learning_rate": 1e-5 / 3,
            },
        ),
        (gan, {"generator.widths": (8, 8), "discriminator.norm": "layer"}),
        (gan, {"discriminator.norm": None, "discriminator.spectral": True}),
    ],
)
def test_the_flags_make_the_same_config(module, values):
    """As the command line of experiments.run reads them, to the last bit."""
    config = module.get_config()
    wanted = configs.override(config, space.changes(config, values))
    read, _ = configs.changed(config, space.flags(config, values))
    found, wanted, base = (
        configs.from_json(configs.to_json(x)).to_dict()  # expanded
        for x in (read, wanted, config)
    )
    assert found == wanted
    if None not in values.values():
        assert found != base


@pytest.mark.parametrize(
    "text, said",
    [
        (
            "seed=int(0, 9)",
            "seed cannot be searched: the best of several seeds is luck",
        ),
        ("log_every=int(1, 9)", "log_every cannot be searched: it leaves the training"),
        ("evaluate_every=int(1, 9)", "evaluate_every cannot be searched"),
        ("keep_checkpoints=int(1, 9)", "keep_checkpoints cannot be searched"),
        ("n_evaluate=int(1, 9)", "n_evaluate cannot be searched: .* measured alike"),
        ("extractor=choice('lpips', 'fid')", "extractor cannot be searched: .* alike"),
        ("steps_per_call=int(1, 9)", "steps_per_call cannot be searched: .*compiled"),
        ("loss=choice('hinge', 'hinge()')", "'hinge' and 'hinge\\(\\)' are the same"),
        ("ema=choice(0.5, 0.50)", "lists a choice twice"),
    ],
)
def test_keys_that_cannot_be_searched(text, said):
    config = gan.get_config("ring8")
    with pytest.raises(ValueError, match=said):
        space.check(config, space.parse(text))
    space.check(config, space.parse("n_critic=int(1, 5); loss=choice('hinge', 'ns')"))


def test_places_of_floats():
    found = space.parse(
        "n_critic=int(1, 5); ema=log(0.1, 0.9); a.b[0].c=choice(0.5, 1)"
    )
    assert space.floats(found) == [["ema"], ["a", "b", 0, "c"]]
