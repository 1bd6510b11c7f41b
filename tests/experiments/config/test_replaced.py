"""Another network or optimiser than the preset's, by a flag or in an arm."""

import inspect
import sys

import optax
import pytest

from configs import gan, wgan_gp
from experiments import config as configs
from experiments.config import parts

OWN = """
import math
from flax import linen as nn
from gans.networks import mlp
class Generator(nn.Module):
    shape: tuple
    width: int = 8

    @nn.compact
    def __call__(self, z, label=None, *, train):
        return nn.Dense(math.prod(self.shape))(z).reshape(-1, *self.shape)

class Deeper(Generator):
    depth: int = 2

class Ours(mlp.Generator):
    extra: int = 1
"""
LOST = "from somewhere import Unknown\n\nclass Generator(Unknown):\n    pass\n"


@pytest.fixture
def fourier(tmp_path, monkeypatch):
    (tmp_path / "fourier.py").write_text(OWN)
    (tmp_path / "lost.py").write_text(LOST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    parts._tree.cache_clear()
    yield
    sys.modules.pop("fourier", None)


def changed(*flags, config=None):
    return configs.changed(config or gan.get_config("ring8"), list(flags))[0]


def test_options_of_a_users_network_are_read_off_its_source(fourier):
    assert list(parts.network("generator", "fourier")) == ["width"]
    assert list(parts.network("generator", "fourier:Deeper")) == ["width", "depth"]
    assert parts.network("generator", "lost") is None
    assert parts.network("generator", "fourier.Gone") is None
    assert "fourier" not in sys.modules, "nothing is imported"


def test_what_the_presets_network_had_is_left_out_and_said(fourier, capsys):
    config = changed("--config.generator.network=fourier")
    assert "widths" not in config.generator and "spectral" not in config.generator
    assert config.generator.optimizer == gan.get_config("ring8").generator.optimizer
    assert capsys.readouterr().err == (
        "--config.generator.network='fourier' in place of 'mlp': it has no widths, "
        "which is left out\n"
    )
    source = configs.load_data(config)
    configs.build(configs.resolve(config, source))
    # The same network again replaces nothing.
    assert changed("--config.generator.network=mlp").generator.widths
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("turn", [1, -1])
def test_what_is_given_beside_it_is_kept_or_an_error(fourier, turn):
    name = "--config.generator.network=fourier"
    config = changed(*[name, "--config.generator.width=4"][::turn])
    assert config.generator.width == 4
    for given in ("widths=(8,)", "widht=4"):
        with pytest.raises(ValueError, match="has no option .*accepted.* width;.*did"):
            changed(*[name, f"--config.generator.{given}"][::turn])


def test_the_same_holds_in_an_arm_and_between_networks_of_ours(fourier):
    said = []
    config = wgan_gp.get_config("digits")
    for network in ("fourier.Deeper", "mlp"):
        own = configs.override(config, {"generator.network": network}, say=said.append)
        configs.build(configs.resolve(own, configs.load_data(own)))
    assert said[0].startswith("generator.network='fourier.Deeper' in place of 'dcgan'")
    assert "final, kernel_init, norm, widths, which are left out" in said[0]
    assert "it has no final, which is left out" in said[1]
    wrong = {"generator.network": "fourier", "generator.widths": (8,)}
    own = configs.override(config, wrong)
    with pytest.raises(ValueError, match="fourier.Generator has no option 'widths'"):
        configs.build(configs.resolve(own, configs.load_data(own)))
    colon = {"generator.network": "fourier:Generator", "generator.widths": (8,)}
    own = configs.override(config, colon)
    with pytest.raises(ValueError, match="fourier:Generator has no option 'widths'"):
        configs.build(configs.resolve(own, configs.load_data(own)))


def test_another_optimiser_has_no_options_of_the_one_before(capsys):
    config = changed("--config.generator.optimizer.name=sgd")
    assert set(config.generator.optimizer) == {"name", "learning_rate", "schedule"}
    assert "in place of 'adam': it has no b1, b2, which are" in capsys.readouterr().err
    assert changed("--config.generator.optimizer.name=adamw").generator.optimizer.b1
    with pytest.raises(ValueError, match="sgd has no option 'b1'"):
        config = changed(
            "--config.generator.optimizer.name=sgd",
            "--config.generator.optimizer.b1=0.5",
        )
        configs.build(configs.resolve(config, configs.load_data(config)))


def test_options_of_optimisers_are_those_of_optax():
    for name in (*parts.optimisers(), "optax.nadam"):
        factory = getattr(optax, name.removeprefix("optax."))
        found = parts.options_of_optimiser(name)
        if found is None:  # of a function that is made of another
            assert name == "optax.nadam"
            continue
        own = set(inspect.signature(factory).parameters)
        assert own | set(parts.optimiser()) == found, name


def test_an_option_of_a_term_has_a_place_of_its_own():
    config = wgan_gp.get_config("digits")
    place = "discriminator.penalties[0].weight"
    own = configs.override(config, {place: 3.0})
    (penalty,) = own.discriminator.penalties
    assert penalty["name"] == "gradient_penalty" and penalty["weight"] == 3.0
    (flagged,) = changed(f"--config.{place}=3.0", config=config).discriminator.penalties
    assert dict(flagged) == dict(penalty)
    loss = configs.override(config, {"loss.x": 1}).loss
    assert loss.to_dict() == {"name": "wasserstein", "x": 1}
    with pytest.raises(ValueError, match=r"there is no \[1\] in"):
        configs.override(config, {"discriminator.penalties[1].weight": 3.0})
    with pytest.raises(ValueError, match="16 has no 'x'|has no 'x'"):
        configs.override(config, {"resolution.x": 3.0})
