"""What is checked before a workdir is written to, also one with a run in it."""

import json

import pytest

from experiments import config as configs
from experiments.config import ConfigError
from experiments.training.loop import train
from experiments.training.opening import opened


@pytest.fixture(scope="module")
def begun(tiny, tmp_path_factory):
    """The config, and the workdir, of a run of ten steps that can go on to twenty."""
    options = {"steps_per_call": 5, "log_every": 10, "sample_every": 10}
    options |= {"checkpoint_every": 10, "diagnose_every": 0, "metrics": ()}
    config = tiny("gan", "circle", steps=10, **options)
    workdir = tmp_path_factory.mktemp("begun")
    train(config, workdir)
    config.steps = 20
    return config, workdir


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("loss", "hing", "did you mean 'hinge'"),
        ("loss", {"name": "hinge", "margin": 1}, "has no option 'margin'"),
        ("discriminator.penalties", ("r1(weight=-1)",), "weight=-1"),
        ("discriminator.network", "mpl", "did you mean 'mlp'"),
        ("discriminator.widths", (8, "x"), r"widths=\(8, 'x'\)"),
        (
            "generator.optimizer",
            {"name": "adm", "learning_rate": 1.0},
            "did you mean 'adam",
        ),
        ("metrics", ("modez",), "did you mean 'modes'"),
        ("data", "circel", "unknown data set 'circel'"),
        ("variant", "gam", "'gam' is not one of"),
    ],
)
def test_a_wrong_value_is_called_wrong_not_different(begun, key, value, said):
    config, workdir = begun
    kept = (workdir / "config.json").read_text()
    wrong = configs.override(config, {key: value, "batch_size": 6})
    with pytest.raises(ConfigError, match=said) as caught:
        train(wrong, workdir)
    assert "another config" not in str(caught.value)
    assert (workdir / "config.json").read_text() == kept


def test_a_right_value_that_is_different_is_shown(begun):
    """The control: the comparison comes second, it is not gone."""
    config, workdir = begun
    with pytest.raises(ConfigError, match="batch_size: 4 -> 6"):
        train(configs.override(config, {"batch_size": 6}), workdir)


def test_channels_that_are_left_to_the_data_stay_those_of_the_run(begun):
    """Presets once had channels for other data than their own, too."""
    config, workdir = begun
    path = workdir / "config.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(kept | {"channels": 1}))
    with opened(config, workdir) as found:
        assert found.config.channels == 1 and config.channels is None
    with pytest.raises(ConfigError, match="channels: 1 -> 3"):
        with opened(configs.override(config, {"channels": 3}), workdir):
            pass


def test_nothing_is_written_where_it_is_refused(begun, tmp_path):
    wrong = configs.override(begun[0], {"loss": "hing"})
    with pytest.raises(ConfigError), opened(wrong, tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
