import json
import types

import pytest
from ml_collections import ConfigDict
from PIL import Image

from configs import keys, presets
from experiments import config as configs
from gans import augment
from gans.core import GAN
from gans.data import spec as specs


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
        ("steps", 0, "config.steps=0 must be a whole number from 1"),
        ("log_every", 150, "config.log_every=150 .* config.steps_per_call=100"),
        ("evaluate_every", 50, "config.evaluate_every=50 .* config.steps_per_call=100"),
        ("steps", 250, "config.steps=250 .* config.steps_per_call=100"),
    ],
)
def test_rejects_what_cannot_be_run(config, key, value, said):
    config[key] = value
    with pytest.raises(ValueError, match=said):
        configs.check(config)


def test_rejects_a_config_without_a_shared_key(config):
    del config.seed
    with pytest.raises(ValueError, match="no key 'seed'"):
        configs.check(config)


def test_resolves_what_the_data_knows(config):
    fields = {"image": specs.Field("image", (16, 16, 3), "uint8")}
    source = types.SimpleNamespace(spec=fields, shape=(16, 16, 3), n_classes=7)
    resolved = configs.resolve(config, source)
    assert resolved.shape == (16, 16, 3) and resolved.n_classes == 7
    assert config.n_classes is None, "the caller's config must not change"
    config.n_classes = 7
    assert configs.resolve(config, source).n_classes == 7


@pytest.mark.parametrize("given", [20, 5])
def test_classes_unlike_those_of_the_data_are_refused(config, given):
    source = types.SimpleNamespace(spec={}, n_classes=10)
    config.n_classes = given
    with pytest.raises(ValueError, match=f"n_classes={given}, but .* has 10 classes"):
        configs.resolve(config, source)
    source.n_classes = None
    with pytest.raises(ValueError, match=f"n_classes={given}, but .* has no labels"):
        configs.resolve(config, source)


def test_the_spec_is_the_source_s(config):
    fields = {"image": specs.Field("image", (8, 8, 1), "uint8")}
    fields["label"] = specs.Field("label", (), "int32", 2, ("cat", "dog"))
    source = types.SimpleNamespace(spec=fields, n_classes=2)
    resolved = configs.resolve(config, source)
    assert specs.from_json(resolved.spec.to_dict()) == fields
    # What is kept in a file and opened again trains the same.
    again = configs.from_json(configs.to_json(resolved))
    assert configs.differences(resolved.to_dict(), again.to_dict()) == []


def with_names(names):
    source = {"label": specs.Field("label", (), "int32", 12, names)}
    return types.SimpleNamespace(spec=source, n_classes=12)


def test_a_run_without_class_names_goes_on_if_their_order_is_the_same(config, tmp_path):
    config.data = "folder:pets"
    path = tmp_path / "config.json"
    path.write_text(configs.to_json(configs.resolve(config, with_names(None))))
    letters = configs.resolve(config, with_names(tuple("abcdefghijkl")))
    configs.compare(path, letters)
    numbers = configs.resolve(config, with_names(tuple(map(str, range(12)))))
    with pytest.raises(ValueError, match="its class 2 is '10', today's '2'; another"):
        configs.compare(path, numbers)
    # Only folders were sorted as text.
    config.data = "tfds:twelve"
    path.write_text(configs.to_json(configs.resolve(config, with_names(None))))
    configs.compare(path, configs.resolve(config, with_names(tuple("zbcdefghijkl"))))
    # Once the names are kept, others are another config.
    path.write_text(configs.to_json(letters))
    with pytest.raises(ValueError, match="spec.label.names"):
        configs.compare(path, numbers)


def test_data_of_other_classes_than_the_model_s_is_refused(config, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "a.png")
    config.data = f"folder:{tmp_path}"
    resolved = configs.resolve(config, configs.load_data(config))
    assert configs.load_data(resolved).n_classes == 2
    (tmp_path / "bee").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "bee" / "a.png")
    with pytest.raises(ValueError, match="class 0 was 'cat', and is 'bee' now"):
        configs.load_data(resolved)


def test_a_run_on_one_class_folder_goes_on_without_classes(config, tmp_path):
    (tmp_path / "pets").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "pets" / "a.png")
    config.data, config.resolution = f"folder:{tmp_path}", 8
    today = configs.resolve(config, configs.load_data(config))
    assert today.n_classes is None and set(today.spec) == {"image"}
    # As it was kept when the folder was a class.
    old = json.loads(configs.to_json(today)) | {"n_classes": 1}
    label = specs.Field("label", (), "int32", 1, ("pets",))
    old["spec"] |= specs.to_json({"label": label})
    path = tmp_path / "config.json"
    path.write_text(json.dumps(old))
    assert configs.compare(path, today) == today


def test_a_picture_of_another_size_names_the_flag(config, tmp_path):
    for side in (8, 9):
        Image.new("L", (side, 8)).save(tmp_path / f"{side}.png")
    config.data, config.resolution = f"folder:{tmp_path}", None
    with pytest.raises(ValueError, match="8.png is 8x8.*--config.resolution=64"):
        configs.load_data(config)
    (tmp_path / "9.png").write_text("no picture")
    with pytest.raises(ValueError, match="9.png.*; --config.skip_corrupt leaves out"):
        configs.load_data(config)


def test_a_config_of_another_game_needs_the_keys_of_a_run_alone():
    config = presets.run("gan", "digits", presets.IMAGES)
    config.cycle_weight = 10.0
    config.d_a = {"network": "dcgan"}
    configs.check(config)
    assert not {"generator", "latent", "loss", "n_critic"} & set(config)
    assert set(keys.RUN) == set(config) - {"cycle_weight", "d_a"}


def test_old_names_of_keys(config):
    with pytest.raises(ValueError, match="'critic' is called 'discriminator' now"):
        configs.override(config, {"critic.optimizer.b1": 0.5})
    with pytest.raises(ValueError, match="'critic' is called 'discriminator' now"):
        configs.changed(config, ["--config.critic.spectral=True"])
    config.critic = config.discriminator
    with pytest.raises(ValueError, match="config.critic is called config.discrim"):
        configs.check(config)


def test_the_config_of_an_old_workdir_is_converted(config):
    old = {
        "loss": "non_saturating(smooth_real=0.1)",
        "shape": [8, 8, 1],
        "n_classes": 3,
        "critic": {
            "layers": [[8, 4, 2]],
            "penalties": ["r1(weight=1)"],
            "norm": "virtual",
            "n_reference": 16,
        },
    }
    new = configs.from_json(json.dumps(old))
    assert new.loss.to_dict() == {"name": "non_saturating", "smooth_real": 0.1}
    assert "critic" not in new
    d = new.discriminator.to_dict()
    assert d["convolutions"] == ((8, 4, 2),) and "layers" not in d
    assert d["penalties"] == ({"name": "r1", "weight": 1},)
    assert d["norm"] == {"name": "virtual", "n_reference": 16}
    spec = specs.from_json(new.spec.to_dict())
    assert spec["image"].shape == (8, 8, 1) and spec["label"].n_classes == 3
    # A config of this version stays as it is.
    assert configs.from_json(configs.to_json(new)).to_dict() == new.to_dict()


def test_the_former_ada_is_told_from_todays(config):
    old = {"augment": ["ada", "instance_noise", "ada(kimg=1, policy=cutout)"]}
    new = configs.from_json(json.dumps(old)).augment
    assert new[:2] == ("adaptive_diff_augment", "instance_noise")
    assert new[2].pop("name") == "adaptive_diff_augment"
    assert new[2] == {"kimg": 1, "policy": ("cutout",)}
    # What is written today is todays, with what is left out written, too.
    for value, options in ("ada", {}), ("ada(kimg=1)", {"kimg": 1}):
        config.augment = (value,)
        text = configs.to_json(config)
        (found,) = configs.from_json(text).augment
        assert dict(found) == {"name": "ada", **options, "transforms": "bgc"}
        assert configs.to_json(configs.from_json(text)) == text
    assert augment.make("ada").transforms == "bgc"


def test_text_is_no_call(config):
    config.data = "folder(1)"
    assert configs.from_json(configs.to_json(config)).data == "folder(1)"


def test_errors_of_a_game_name_the_variant_and_the_part(config):
    wrong = configs.override(config, {"discriminator.penalties": ("r1(wieght=1)",)})
    said = "config of gan: discriminator: term r1 has no option 'wieght'.*mean 'weight'"
    with pytest.raises(ValueError, match=said):
        configs.build(wrong)
    with pytest.raises(ValueError, match="config of gan: .*at least 1, got 0"):
        configs.build(configs.override(config, {"n_critic": 0}))


def test_json_brings_back_the_same_config_with_tuples(config):
    again = configs.from_json(configs.to_json(config))
    assert again.to_dict() == config.to_dict()
    assert isinstance(again.generator.widths, tuple)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"discriminator.optimizer": "sgd"}, "discriminator: optimiser sgd needs a le"),
        (
            {"discriminator.optimizer.lazy": (4,)},
            "discriminator: optimiser: the game sets lazy",
        ),
        ({"generator.shape": (3,)}, r"generator: shape=\(3,\): the game sets it"),
        (
            {"generator.widths": (128, "x")},
            r"generator: mlp.Generator: widths=\(128, 'x'\) must be",
        ),
        ({"latent": 0}, "latent=0 must be a number of at least 1"),
        ({"discriminator.penalties": ("r9",)}, "gan: discriminator: term: 'r9' is not"),
    ],
)
def test_errors_of_parts_are_one_line(config, changes, message):
    with pytest.raises(ValueError, match=f"config of gan: .*{message}|{message}"):
        configs.build(configs.override(config, changes))


@pytest.mark.parametrize("key", ["n_critic", "generator.network"])
def test_a_missing_key_is_named(config, key):
    path, _, last = key.rpartition(".")
    part = config[path] if path else config
    with part.unlocked():
        del part[last]
    with pytest.raises(ValueError, match=f"the config of gan has no key '{last}'"):
        configs.build(config)


def test_a_variant_s_own_key_error_is_its_own(config, monkeypatch):
    def build(config, spec, stage):
        return spec["nothing"]

    monkeypatch.setattr(configs.variant(config), "build", build)
    with pytest.raises(KeyError, match="nothing"):
        configs.build(config)


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
    new.latent = 77
    with pytest.raises(ValueError) as caught:
        configs.compare(tmp_path / "config.json", new)
    lines = str(caught.value).splitlines()
    assert f"  generator.optimizer.learning_rate: {old} -> 0.5" in lines
    assert f"  latent: {config.latent} -> 77" in lines
    assert len(lines) == 4 and "--allow-config-change" in lines[-1]


@pytest.mark.parametrize("key", sorted(configs.FREE))
def test_a_change_that_trains_the_same_is_free(tmp_path, config, key):
    new = keep(tmp_path / "config.json", config)
    with new.ignore_type():
        new[key] = "other"
    configs.compare(tmp_path / "config.json", new)


def test_checkpoints_without_their_config_are_rejected(tmp_path, config):
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
    with pytest.raises(ValueError, match="must be .*small.py.*, got .*smal.py"):
        configs.load_file(str(tmp_path / "smal.py"))


@pytest.mark.parametrize(
    "flag, said",
    [
        ("--config.stepz=3", "--config: 'stepz'.*did you mean 'steps'"),
        ("--config.a.lr", "--config.a: must be 'rate', got 'lr'"),
        ("--config.steps.x=3", "--config.steps: 'x'"),
    ],
)
def test_names_of_flags(flag, said):
    config = ConfigDict({"steps": 1, "a": {"rate": 2.0}, "widths": (1, 2)})
    argv = ["run", "--config.a.rate=1.5", "--workdir=x", "--config.widths[0]", "4"]
    found, rest = configs.changed(config, argv)
    assert found.a.rate == 1.5 and found.widths == (4, 2) and config.widths == (1, 2)
    assert rest == ["run", "--workdir=x"]
    with pytest.raises(ValueError, match=said):
        configs.changed(config, [flag])


def test_options_that_stabilise_are_each_player_s_own():
    """Flags can set them, and set them once."""
    from configs import gan

    one, other = gan.get_config("ring8"), gan.get_config("ring8")
    one.generator.norm = "batch"
    one.discriminator.minibatch = "stddev"
    one.discriminator.penalties = ("r1",)
    assert one.discriminator.norm is None and other.generator.norm is None
    assert other.discriminator.minibatch is None and other.discriminator.penalties == ()
    with pytest.raises(TypeError):
        one.generator.norm = 3
