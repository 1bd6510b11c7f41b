import types

import pytest
from ml_collections import ConfigDict

from experiments import config as configs
from gans.core import GAN


@pytest.fixture
def config(tiny):
    return tiny("gan", "circle")


def test_accepts_the_configs(config):
    configs.check(config)


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("variant", "wgan_pg", "config.variant: 'wgan_pg'.*did you mean 'wgan_gp'"),
        ("on_nan", "rolback", "config.on_nan: 'rolback'.*did you mean 'rollback'"),
        ("dtype", "float16", "config.dtype: 'float16' is not one of bfloat16, float32"),
        ("steps", 0, "config.steps=0 must be at least 1"),
        ("log_every", 150, "config.log_every=150 .* config.steps_per_call=100"),
        ("evaluate_every", 50, "config.evaluate_every=50 .* config.steps_per_call=100"),
        ("steps", 250, "config.steps=250 .* config.steps_per_call=100"),
    ],
)
def test_refuses_what_cannot_be_run(config, key, value, said):
    config[key] = value
    with pytest.raises(ValueError, match=said):
        configs.check(config)


def test_refuses_a_config_without_a_shared_key(config):
    del config.seed
    with pytest.raises(ValueError, match="no key 'seed'"):
        configs.check(config)


def test_resolves_what_the_data_knows(config):
    source = types.SimpleNamespace(shape=(16, 16, 3), n_classes=7)
    resolved = configs.resolve(config, source)
    assert resolved.shape == (16, 16, 3) and resolved.n_classes == 7
    assert config.n_classes is None, "the caller's config must not change"
    config.n_classes = 4
    assert configs.resolve(config, source).n_classes == 4


def test_json_brings_back_the_same_config_with_tuples(config):
    again = configs.from_json(configs.to_json(config))
    assert again.to_dict() == config.to_dict()
    assert isinstance(again.generator.widths, tuple)


def test_builds_a_gan(config):
    gan = configs.build(config)
    assert isinstance(gan, GAN) and set(gan.nets) == {"g", "d"}


def keep(path, config):
    path.write_text(configs.to_json(config))
    return configs.from_json(configs.to_json(config))


def test_a_change_that_trains_otherwise_is_shown(tmp_path, config):
    new = keep(tmp_path / "config.json", config)
    configs.compare(tmp_path / "config.json", new)
    old = config.generator.optimizer.learning_rate
    new.generator.optimizer.learning_rate = 0.5
    new.extra = 1
    with pytest.raises(ValueError) as caught:
        configs.compare(tmp_path / "config.json", new)
    lines = str(caught.value).splitlines()
    assert f"  generator.optimizer.learning_rate: {old} -> 0.5" in lines
    assert "  extra: (absent) -> 1" in lines
    assert len(lines) == 4 and "--allow-config-change" in lines[-1]


@pytest.mark.parametrize("key", sorted(configs.FREE))
def test_a_change_that_trains_the_same_is_free(tmp_path, config, key):
    new = keep(tmp_path / "config.json", config)
    with new.ignore_type():
        new[key] = "other"
    configs.compare(tmp_path / "config.json", new)


def test_checkpoints_without_their_config_are_refused(tmp_path, config):
    with pytest.raises(ValueError, match="config.json is missing"):
        configs.compare(tmp_path / "config.json", config)


def test_loads_a_file_with_its_default_preset(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config(preset='first'):\n"
        "    return ConfigDict({'preset': preset})\n"
    )
    for spec, preset in ((f"{path}", "first"), (f"{path}:second", "second")):
        config, name = configs.load_file(spec)
        assert config.preset == name == preset
    with pytest.raises(ValueError, match="smal.py.*did you mean .*small.py"):
        configs.load_file(str(tmp_path / "smal.py"))


@pytest.mark.parametrize(
    "flag, said",
    [
        ("--config.stepz=3", "--config: 'stepz'.*did you mean 'steps'"),
        ("--config.a.lr", "--config.a: 'lr' is not one of rate"),
        ("--config.steps.x=3", "--config.steps: 'x'"),
    ],
)
def test_names_of_flags(flag, said):
    config = ConfigDict({"steps": 1, "a": {"rate": 2.0}, "widths": (1, 2)})
    configs.check_flag(config, "--config.a.rate=1.5")
    configs.check_flag(config, "--config.widths[0]=4")
    with pytest.raises(ValueError, match=said):
        configs.check_flag(config, flag)


def test_options_that_stabilise_are_each_player_s_own():
    """Flags can set them, and set them once."""
    from configs import gan

    one, other = gan.get_config("ring8"), gan.get_config("ring8")
    one.generator.norm = "batch"
    one.critic.minibatch = "stddev"
    one.critic.penalties = ("r1",)
    assert one.critic.norm is None and other.generator.norm is None
    assert other.critic.minibatch is None and other.critic.penalties == ()
    with pytest.raises(TypeError):
        one.generator.norm = 3
