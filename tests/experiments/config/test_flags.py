"""Values from the command line: what is accepted, and one line for what is not."""

import functools
import subprocess
import sys
import types
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from configs import keys
from experiments import config as configs
from experiments.config import checks, description, files, flags, parts
from gans import names
from gans.data.spec import Field

ROOT = Path(__file__).parents[3]
BAD = [
    *("abc", "-1", "0", "2.5", "nan", "inf", "-inf", "1e400", "1" + 30 * "0", "True"),
    *("None", "", "()", "(1,", "[1, 2]", "(8,'x')", "(0,)", "(-3, 4)", "(2.5,)"),
    *("((1,2))", "((1,2),)", "(('a',1),)", "{}", "{'name': 3}", "x(", "x(y)", "x(y=1)"),
    *(
        "r1(weight=-1)",
        "r1(weight=nan)",
        "r1(every=2.5)",
        "r1,r1",
        "a,b",
        "'",
        "\\",
        "é",
    ),
    *("\x00", "lambda: 1", "__import__('os')", "(None,)"),
]
SOURCES = {
    "circle": {"point": Field("point", (2,), "float32")},
    "digits": {
        "image": Field("image", (16, 16, 1), "uint8"),
        "label": Field("label", (), "int32", 10),
    },
}


def keys_of(spec):
    config, _, module = files.opened(spec)
    groups = description.groups(config, files.own_keys(module))
    return [row[0] for _, rows in groups for row in rows]


opened = functools.cache(configs.opened)


def parsed(spec, *given):
    """What the command line makes of it."""
    config, _, module = opened(spec)
    config, _ = configs.changed(config, list(given), configs.own_keys(module))
    configs.check_own(config, configs.own_keys(module))
    configs.check(config)
    return config


@functools.cache
def source_of(spec):
    """The fields of the data that a config names."""
    config, _, _ = opened(spec)
    if config.data in SOURCES:
        return SOURCES[config.data]
    return configs.load_data(config).spec


def built(spec, *given):
    config = parsed(spec, *given)
    fields = SOURCES.get(config.data) or source_of(spec)
    shape = next(iter(fields.values())).shape
    n_classes = fields["label"].n_classes if "label" in fields else None
    source = types.SimpleNamespace(spec=fields, shape=shape, n_classes=n_classes)
    config = configs.resolve(config, source)
    return config, configs.build(config)


def refused(made, *arguments):
    """Whether it is refused, in a line."""
    try:
        made(*arguments)
    except ValueError as error:
        assert "\n" not in str(error), error
        return True
    return False


# Of points and of images with classes; the others' keys are among theirs.
@pytest.mark.parametrize(
    "spec",
    ["gan", "cgan"]
    + [pytest.param(x, marks=pytest.mark.slow) for x in ("wgan_gp", "wgan", "lsgan")],
)
def test_no_value_of_any_key_is_a_traceback(spec):
    for key in keys_of(spec):
        found = [refused(parsed, spec, f"--config.{key}={bad}") for bad in BAD]
        assert any(found) or key in ("data", "data_dir", "extractor", "metrics"), key


SOME = ["abc", "0", "-1", "2.5", "1e400", "None", "()", "((1,2),)", "{'name': 3}"]
SOME += ["x(y=1)", "r1(weight=-1)"]
VARIANTS = names.files("gans.variants")


@pytest.mark.slow
@pytest.mark.parametrize("spec", VARIANTS)
def test_no_value_of_any_key_is_a_traceback_when_it_is_built(spec):
    """One value of each key of each variant; all values, over keys and variants."""
    shift = VARIANTS.index(spec)
    tried = sorted(set(keys_of(spec)) - {"data", "data_dir"})
    assert len(tried) > len(SOME)
    for i, key in enumerate(tried):
        refused(built, spec, f"--config.{key}={SOME[(i + shift) % len(SOME)]}")


@pytest.mark.parametrize(
    "spec, given, said",
    [
        ("gan", "latent=0", "--config.latent=0 must be a whole number from 1"),
        ("gan", "latent=2.5", "must be a whole number"),
        ("gan", "n_classes=-3", "from 1 to .*, or None"),
        ("gan", "diagnose_every=-1", "--config.diagnose_every=-1 must be .* from 0"),
        ("gan", "evaluate_every=-5", "from 0"),
        ("gan", "keep_checkpoints=0", "from 1"),
        ("gan", "seed=-1", "from 0"),
        ("gan", "steps=1" + 20 * "0", r"to 2\^31 - 1"),
        ("gan", "ema=1", "of at least 0 and below 1"),
        ("gan", "ema=nan", "must be a number"),
        ("gan", "label_flip=2", "from 0 to 1"),
        ("gan", "flip=perhaps", "True or False"),
        ("gan", "dtype=float16", "bfloat16, float32"),
        ("gan", "generator.widths=(8, 'x')", "each element a whole number"),
        ("gan", "generator.widths=(8.0,)", "each element a whole number"),
        ("gan", "generator.widths=(1,", r"widths=\(1, must be a tuple"),
        ("pix2pix", "generator.width=0", "generator: width=0 must be sizes"),
        ("gan", "generator.widths=(-8,)", r"widths=\(-8,\) must be sizes"),
        ("gan", "generator.widths=()", r"widths=\(\) must be sizes, .*least one"),
        ("wgan_gp", "generator.widths=(0, 8, 8)", "must be sizes"),
        ("wgan_gp", "discriminator.convolutions=((8,4,2))", "each element"),
        ("gan", "n_critic_changes=((100,1))", "a whole number, a whole number"),
        ("gan", "n_critic_changes=((9,1),(5,2))", "must rise"),
        ("gan", "stepz=3", "--config: 'stepz' is not one of .*mean 'steps'"),
        (
            "gan",
            "learning_rate=1",
            "mean --config.discriminator.optimizer.learning_rate",
        ),
        ("gan", "critic.spectral=True", "'critic' is called 'discriminator' now"),
        ("gan", "generator=mlp", "--config.generator is a group of keys"),
        ("gan", "steps.x=1", "no group of keys"),
        ("gan", "discriminator.spetral=True", "did you mean 'spectral'"),
        ("gan", "discriminator.optimizer.clp=1", "did you mean 'clip'"),
        ("gan", "discriminator.optimizer.eps=x", "eps='x' must be a number of at l"),
        (
            "gan",
            "discriminator.optimizer.eps=-1",
            "eps=-1 must be a number of at least",
        ),
        ("gan", "discriminator.optimizer.nesterov=3", "nesterov=3 must be True or"),
        ("gan", "discriminator.optimizer.mu_dtype=int", "bfloat16, float16, float32"),
        ("gan", "discriminator.optimizer.warmup=2.5", "a whole number"),
        ("gan", "discriminator.minibatch=stddev(group=-1)", r"group=-1 is not in \[1"),
        ("gan", "discriminator.penalties=r1(wieght=1)", "did you mean 'weight'"),
        ("gan", "discriminator.penalties=r1(weight=", "neither NAME nor NAME"),
        ("gan", "augment=instance_noise(sigma='x')", "sigma='x' must be a number"),
        (
            "gan",
            "generator.network=mlp(widths=(8,))",
            "generator.network=.* must be text",
        ),
        ("gan", "extractor=fid(n=1)", "config.extractor=.* must be text"),
        ("gan", "generator.condition=x(y=1)", "condition=.* must be text or None"),
        ("lsgan", "targets=(0, 1)", r"\(a number, a number, a number\)"),
        ("wgan", "warmup=-5", "from 0"),
        ("gan:circel", "steps=1", "did you mean 'circle'"),
        ("gna", "steps=1", "did you mean 'gan'"),
    ],
)
def test_what_is_refused_says_what_is_accepted(spec, given, said):
    with pytest.raises(ValueError, match=said) as caught:
        built(spec, f"--config.{given}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given, key, wanted",
    [
        ("metrics=fid,kid", "metrics", ("fid", "kid")),
        ("metrics=fid", "metrics", ("fid",)),
        ("metrics=pr(k=5),fid", "metrics", ("pr(k=5)", "fid")),
        ("metrics=('fid', 'pr(k=5, n=3)')", "metrics", ("fid", "pr(k=5, n=3)")),
        ("metrics=(fid,kid)", "metrics", ("fid", "kid")),
        ("metrics=", "metrics", ()),
        ("metrics=()", "metrics", ()),
        ("discriminator.penalties=r1", "discriminator.penalties", ("r1",)),
        ("steps=1e5", "steps", 100_000),
        ("steps=10_000", "steps", 10_000),
        ("ema=0", "ema", 0.0),
        ("flip=true", "flip", True),
        ("flip=0", "flip", False),
        ("n_classes=None", "n_classes", None),
        ("ema_ramp=None", "ema_ramp", None),
        ("generator.widths=8, 4", "generator.widths", (8, 4)),
        ("generator.widths=[8, 4]", "generator.widths", (8, 4)),
        ("generator.widths=8", "generator.widths", (8,)),
        ("generator.widths[1]=3", "generator.widths", (128, 3)),
        ("discriminator.norm=None", "discriminator.norm", None),
        ("data=folder:~/a=b", "data", "folder:~/a=b"),
    ],
)
def test_what_people_type_is_understood(given, key, wanted):
    found = parsed("gan", f"--config.{given}")
    for name in key.split("."):
        found = found[name]
    assert found == wanted and type(found) is type(wanted)


def test_flags_of_other_forms():
    both = ["--config.flip", "-config.batch_size", "8", "--config.latent=3"]
    found, rest = configs.changed(parsed("gan"), [*both, "--workdir=x", "y"])
    assert (found.flip, found.batch_size, found.latent) == (True, 8, 3)
    assert rest == ["--workdir=x", "y"]
    assert configs.changed(found, ["--noconfig.flip"])[0].flip is False
    for wrong in (["--config.latent"], ["--noconfig.latent=3"]):
        with pytest.raises(ValueError, match="needs a value"):
            configs.changed(found, wrong)


PRESETS = [
    f"{name}:{preset}"
    for name, path in files.packaged().items()
    if "/" not in name
    for preset in files.presets_of(files.loaded(path))
]


@pytest.mark.parametrize("spec", PRESETS)
def test_options_that_presets_lack_are_accepted_in_all_of_them(spec):
    """Whatever the code accepts, README and docs list."""
    config = parsed(spec)
    given = {"discriminator.optimizer.warmup": "5", "generator.optimizer.clip": "0.1"}
    given |= {"discriminator.optimizer.weight_decay": "0.1"}
    for role in checks.PLAYERS:
        for option in parts.network(role, config[role].network).values():
            if option.key().type is not keys.Part and option.default:
                given[f"{role}.{option.name}"] = option.default
    given |= {f"{r}.penalties": "r1" for r in checks.PLAYERS}
    found = parsed(spec, *(f"--config.{k}={v}" for k, v in given.items()))
    assert found.discriminator.optimizer.warmup == 5
    assert found.generator.optimizer.clip == 0.1
    assert found.generator.penalties == ("r1",)


def test_another_optimiser_in_one_flag():
    given = "--config.discriminator.optimizer=sgd(learning_rate=0.1)"
    more = "--config.discriminator.optimizer.momentum=0.9"
    config, _ = built("gan", given, more)
    wanted = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}
    assert config.discriminator.optimizer.to_dict() == wanted


def test_own_keys_of_a_user_s_config(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from configs import keys, presets\n"
        "KEYS = {'share': keys.Key(default=0.5, help='Of it.', type=float, most=1)}\n"
        "def get_config(preset='circle'):\n"
        "    config = presets.run('gan', preset, presets.POINTS)\n"
        "    config.update(keys.defaults(KEYS))\n"
        "    config.cycles, config.inner = 3, {'rate': 0.1}\n"
        "    return config\n"
    )
    spec = str(tmp_path / "mine.py")
    config = parsed(
        spec, "--config.share=1", "--config.inner.rate=2", "--config.cycles=5"
    )
    assert (config.share, config.inner.rate, config.cycles) == (1.0, 2.0, 5)
    assert isinstance(config.share, float)
    for wrong in (
        "share=2",
        "share=x",
        "cycles=x",
        "inner.rte=1",
        "inner=2",
        "latent=3",
    ):
        assert refused(parsed, spec, f"--config.{wrong}"), wrong
    assert "--config.share=0.5\n      Of it. [a number" in description.explained(
        spec, *configs.opened(spec)[::2]
    )


@pytest.mark.parametrize(
    "text, said",
    [
        ("def get_config(:", "mine.py, line 1: SyntaxError"),
        ("import no_such_module", "mine.py, line 1: ModuleNotFoundError"),
        ("def get_config():\n    return 1 / 0", "line 2: ZeroDivisionError"),
        ("def get_config():\n    return {}", "returned dict, not a ConfigDict"),
        ("x = 3", "defines get_config"),
    ],
)
def test_a_file_that_makes_no_config(tmp_path, text, said):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ValueError, match=said) as caught:
        configs.load_file(str(tmp_path / "mine.py"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key, table", [(k, t) for t in (keys.RUN, keys.GAME) for k in t]
)
def test_every_key_is_declared_well(key, table):
    """Its default is accepted, but for what a config fills in; help is a sentence."""
    declared = table[key]
    if declared.default != "":
        checks.check_value(declared.default, declared, key)
    assert declared.help[0].isupper() and declared.help.endswith(".")


@pytest.mark.parametrize(
    "value",
    [None, "8", 8.0, True, [8], {"a": 1}, float("nan"), float("inf"), -1, 10**40],
)
@pytest.mark.parametrize("key", ["batch_size", "steps", "latent", "log_every"])
def test_values_of_python_are_checked_too(key, value):
    config = parsed("gan")
    with config.unlocked(), config.ignore_type():
        config[key] = value
    with pytest.raises(ValueError, match=f"config.{key}=.* must be a whole number"):
        configs.check(config)


def test_types_of_options_are_known_by_their_annotations():
    option = parts.network("generator", "dcgan")["widths"].key()
    assert flags.parsed("(8, 4)", option) == (8, 4)
    every = [
        option
        for role in checks.PLAYERS
        for name in parts.networks()
        for option in (parts.network(role, name) or {}).values()
    ]
    assert all("Any" not in checks.accepted(option.key()) for option in every)
    assert all(option.help for option in every)
    assert isinstance(configs.load_file("gan")[0], ConfigDict)


@pytest.mark.parametrize(
    "given, said",
    [
        (
            ["--config=gan", "--config.generator.widths=(1,"],
            "--config.generator.widths",
        ),
        (["--config=gan", "-config.stepz=3"], "did you mean 'steps'?"),
        (["--config=gan", "--confg.steps=3"], "did you mean --config.steps?"),
        (["--config=gan", "--steps=3"], "did you mean --config.steps?"),
        (["--config=gan", "--wrkdir=x"], "did you mean --workdir?"),
        (["--config=gan", "--config.latent=0"], "--config.latent=0 must be"),
    ],
)
def test_the_command_says_it_in_a_line(tmp_path, given, said):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.run", *given],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "given, channels",
    [
        ([], 1),
        (["--config.data=folder:photos"], None),
        (["--config.data=digits"], 1),
        (["--config.data=folder:photos", "--config.channels=1"], 1),
        (["--config.channels=3", "--config.data=tfds:cifar10"], 3),
        (["--config.resolution=32"], 1),
    ],
)
def test_other_data_keep_their_own_channels(given, channels):
    assert parsed("dcgan", *given).channels == channels
    if given:  # of an ablation
        base = [x.replace("--config.", "--config.base.") for x in given]
        config, _, _ = opened("loss_zoo:digits")
        assert configs.changed(config, base)[0].base.channels == channels
