"""The ablations of configs/: all arms build, differ, and are as in the papers."""

import importlib
import inspect
import pathlib
import types

import pytest

from configs import presets
from experiments import config as configs
from experiments.ablations import arms as all_arms
from gans.data.spec import Field

FOLDER = pathlib.Path(__file__).parents[3] / "configs" / "ablations"
PRESETS = {
    "loss_zoo": ["digits", "ring8", "cifar10"],
    "lambda_ncritic": ["digits", "ring8", "cifar10"],
    "spectral_norm": ["digits", "cifar10"],
    "wgan_gp_paper": ["digits", "cifar10"],
    "clipping_values": ["digits", "ring8", "cifar10"],
    "ttur": ["digits", "ring8", "cifar10"],
    "label_smoothing": ["digits", "ring8", "cifar10"],
    "batch_norm_where": ["digits", "ring8", "cifar10"],
    "ema_decay": ["digits", "ring8", "cifar10"],
    "r1_gamma": ["ring8", "digits", "cifar10"],
    "latent_size": ["digits", "ring8", "cifar10"],
    "batch_size": ["digits", "digits_steps", "ring8", "cifar10"],
    "n_critic": ["digits", "ring8", "cifar10"],
    "mode_collapse": ["ring8", "grid25", "stacked_digits", "stacked_mnist"],
    "pix2pix_loss": ["photos", "facades"],
    "tgan_clipping": ["moving"],
    "stylegan_steps": ["digits", "folder"],
}
BOTH = [(name, preset) for name, of in PRESETS.items() for preset in of]
SHAPES = {"digits": (16, 16, 1), "tfds:cifar10": (32, 32, 3)}
SHAPES |= {"folder:images": (32, 32, 3)}
SHAPES |= dict.fromkeys(("ring8", "grid25"), (2,))
SHAPES |= dict.fromkeys(("stacked:digits", "stacked:tfds:mnist"), (16, 16, 3))
EXPENSIVE = ("stacked_digits", "stacked_mnist", "moving")
SIDES = {"colourise:photos": (1, 3), "pairs:facades": (3, 3)}  # channels of a and b
CLIPS = {"moving:digits": {"video": Field("video", (16, 32, 32, 1), "uint8")}}
PENALTY = {"name": "gradient_penalty", "weight": 10.0}  # WGAN-GP's


def load(name, preset=""):
    return configs.load_file(f"{FOLDER / name}.py:{preset}")[0]


def source(config):
    """What `resolve` asks of the data, which is not read."""
    if config.data in SIDES:
        side, channels = config.resolution, zip("ab", SIDES[config.data], strict=True)
        spec = {x: Field("image", (side, side, n), "uint8") for x, n in channels}
        return types.SimpleNamespace(spec=spec, n_classes=None, groups=[("a", "b")])
    if config.data in CLIPS:
        return types.SimpleNamespace(spec=CLIPS[config.data], n_classes=None)
    shape = SHAPES[config.data]
    if len(shape) == 1:
        spec = {"point": Field("point", shape, "float32")}
        return types.SimpleNamespace(spec=spec, shape=shape, n_classes=None)
    spec = {"image": Field("image", shape, "uint8")}
    spec["label"] = Field("label", (), "int32", 10)
    return types.SimpleNamespace(spec=spec, shape=shape, n_classes=10)


def resolved(ablation):
    """{name: its arm}, each overridden and built."""
    return {arm.name: arm for arm in all_arms.resolve(ablation, source)}


def same(arms):
    """Pairs of arms that would be trained alike."""
    seen, found = {}, []
    for arm in arms.values():
        if arm.digest in seen:
            found.append((seen[arm.digest], arm.name))
        seen[arm.digest] = arm.name
    return found


def test_all_of_the_folder_is_here():
    files = {p.stem for p in FOLDER.glob("*.py")} - {"__init__", "bases"}
    assert files == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_and_commands(name):
    module = importlib.import_module(f"configs.ablations.{name}")
    (preset,) = inspect.signature(module.get_config).parameters.values()
    assert preset.default == PRESETS[name][0]
    command = f"--config={name}"
    said = module.__doc__.split()
    assert command in said and "arXiv" in module.__doc__
    for other in PRESETS[name][1:]:
        assert f"{command}:{other}" in said
    with pytest.raises(ValueError, match="preset 'digit' is not one of "):
        module.get_config("digit")


@pytest.mark.slow
@pytest.mark.parametrize("name, preset", BOTH)
def test_every_arm_builds_and_differs(name, preset):
    ablation = load(name, preset)
    all_arms.check(ablation)
    assert ablation.seeds == (3 if preset in EXPENSIVE else 5)
    arms = resolved(ablation)
    assert len(arms) == len(ablation.order) > 2
    assert next(iter(arms)) == ablation.baseline
    assert same(arms) == []
    for arm in arms.values():
        assert arm.config.steps == ablation.evaluations * arm.interval
        assert arm.interval % arm.config.steps_per_call == 0
        # The generator is updated before each evaluation; calls are worth their cost.
        assert arm.interval >= arm.config.get("n_critic", 1)
        if preset not in ("cifar10", "moving"):
            assert arm.config.steps_per_call >= 40


def test_what_the_checks_find():
    ablation = load("latent_size", "ring8")
    ablation.arms.latent2 = {"latent": 8}
    with pytest.raises(ValueError, match="arm latent2 is arm latent8 under another"):
        resolved(ablation)
    ablation.arms.latent2 = {"latents": 8}
    with pytest.raises(ValueError, match="arm latent2: .*did you mean 'latent'"):
        resolved(ablation)
    ablation = load("latent_size", "ring8")
    ablation.steps = 10_001
    with pytest.raises(ValueError, match="not a multiple of config.evaluations=5"):
        resolved(ablation)
    arms = {
        "none": {},
        "both": {"generator.norm": "batch", "discriminator.norm": "pixel"},
    }
    ablation = presets.ablation(ablation.base, arms, baseline="none")
    with pytest.raises(ValueError, match="arm both: .*'pixel' is not one of"):
        resolved(ablation)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, replicas",
    [
        # By hand: one for each structure, and there all its numbers and five seeds.
        ("loss_zoo", [10] + 10 * [5]),  # least squares twice
        ("lambda_ncritic", [20, 20, 20]),  # 4 weights at each n_critic
        ("spectral_norm", 4 * [20] + 4 * [10]),  # n_dis 5: A, D, E, F; 1: B, C
        ("clipping_values", [20, 5]),
        ("r1_gamma", [20, 5]),
        ("ttur", [45]),
    ],
)
def test_numbers_share_programs(name, replicas):
    arms = list(resolved(load(name)).values())
    missing = {(arm.name, seed) for arm in arms for seed in range(5)}
    programs = all_arms.programs(arms, missing, 64)
    assert sorted((len(p.replicas) for p in programs), reverse=True) == replicas


def adam(arm, player):
    optimizer = arm.config[player].optimizer
    assert optimizer.name == "adam" and optimizer.schedule == "constant"
    return optimizer.learning_rate, optimizer.b1, optimizer.b2


@pytest.mark.slow
@pytest.mark.parametrize("preset, factor", [("cifar10", 1), ("digits", 5)])
def test_spectral_norm_has_the_settings_of_table_1(preset, factor):
    arms = resolved(load("spectral_norm", preset))
    table = {  # of arXiv 1802.05957: alpha, beta1, beta2, n_dis
        "a": (0.0001, 0.5, 0.9, 5),
        "b": (0.0001, 0.5, 0.999, 1),
        "c": (0.0002, 0.5, 0.999, 1),
        "d": (0.001, 0.5, 0.9, 5),
        "e": (0.001, 0.5, 0.999, 5),
        "f": (0.001, 0.9, 0.999, 5),
    }
    methods = ("sn", "gp", "clip", "none")
    assert set(arms) == {f"{m}_{setting}" for m in methods for setting in table}
    for setting, (rate, b1, b2, n_dis) in table.items():
        for method in methods:
            arm = arms[f"{method}_{setting}"]
            expected = pytest.approx((factor * rate, b1, b2))
            assert adam(arm, "generator") == adam(arm, "discriminator") == expected
            config, wasserstein = arm.config, method in ("gp", "clip")
            assert config.n_critic == n_dis
            assert config.loss == ("wasserstein" if wasserstein else "non_saturating")
            assert config.discriminator.spectral == (method == "sn")
            assert not config.generator.spectral and config.discriminator.norm is None
            clip = config.discriminator.optimizer.get("clip")
            assert clip == (0.01 if method == "clip" else None)
            penalties = (PENALTY,) if method == "gp" else ()
            assert config.discriminator.penalties == penalties
            updates = 100_000 if preset == "cifar10" else 2_000 // n_dis
            assert config.steps == updates * n_dis


@pytest.mark.parametrize("preset, factor", [("cifar10", 1), ("digits", 5)])
def test_wgan_gp_has_the_methods_of_its_paper(preset, factor):
    arms = resolved(load("wgan_gp_paper", preset))
    methods = {  # of arXiv 1704.00028: loss, n_critic, optimiser, rate
        "gan": ("non_saturating", 1, "adam", 0.0002),
        "lsgan": ("least_squares", 1, "rmsprop", 0.0001),
        "wgan": ("wasserstein", 5, "rmsprop", 0.00005),
        "wgan_gp": ("wasserstein", 5, "adam", 0.0001),
    }
    architectures = ("dcgan", "constant", "mlp", "no_norm", "tanh")
    assert set(arms) == {f"{m}_{a}" for m in methods for a in architectures}
    for method, (loss, n_critic, name, rate) in methods.items():
        for architecture in architectures:
            config = arms[f"{method}_{architecture}"].config
            assert (config.loss, config.n_critic) == (loss, n_critic)
            for player in (config.generator, config.discriminator):
                assert player.optimizer.name == name
                assert player.optimizer.learning_rate == pytest.approx(factor * rate)
                if name == "adam":
                    betas = (0.5, 0.999) if method == "gan" else (0.0, 0.9)
                    assert (player.optimizer.b1, player.optimizer.b2) == betas
            clip = config.discriminator.optimizer.get("clip")
            assert clip == (0.01 if method == "wgan" else None)
            gp = (PENALTY,) if method == "wgan_gp" else ()
            assert config.discriminator.penalties == gp
            # Updates of the generator are the same for all.
            updates = 200_000 if preset == "cifar10" else 800
            assert config.steps == updates * n_critic


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gan", "lsgan", "wgan", "wgan_gp"])
def test_wgan_gp_has_the_architectures_of_its_paper(method):
    arms = resolved(load("wgan_gp_paper", "cifar10"))
    found = {
        name: arms[f"{method}_{name}"].config
        for name in ("dcgan", "constant", "mlp", "no_norm", "tanh")
    }
    norms = {
        name: (c.generator.get("norm"), c.discriminator.norm)
        for name, c in found.items()
    }
    on_discriminator = None if method == "wgan_gp" else "batch"
    assert norms == {
        "dcgan": ("batch", on_discriminator),
        "constant": (None, on_discriminator),
        "mlp": (None, on_discriminator),
        "no_norm": (None, None),
        "tanh": ("batch", on_discriminator),
    }
    # 4 x 4 maps of 4, 2, 1 times 64 channels; and 64 throughout.
    assert found["dcgan"].generator.widths == (256, 128, 64)
    assert found["constant"].generator.widths == (64, 64, 64)
    assert found["mlp"].generator.network == "mlp"
    assert found["mlp"].generator.widths == (512, 512, 512, 512)
    for name, config in found.items():
        players = (config.generator, config.discriminator)
        is_tanh = [p.get("activation", "leaky_relu") == "tanh" for p in players]
        assert is_tanh == 2 * [name == "tanh"]
        assert config.discriminator.network == "dcgan"


def test_pix2pix_has_the_losses_of_its_table():
    """arXiv 1611.07004, table 1, from the top: which term, and what D is shown."""
    arms = resolved(load("pix2pix_loss"))
    table = {  # the weight of L1, that of the discriminator, and whether it is a cGAN
        "l1": (100.0, 0.0, True),
        "gan": (0.0, 1.0, False),
        "cgan": (0.0, 1.0, True),
        "l1_gan": (100.0, 1.0, False),
        "l1_cgan": (100.0, 1.0, True),
    }
    found = {
        name: (arm.config.l1, arm.config.gan_weight, arm.config.conditional)
        for name, arm in arms.items()
    }
    assert found == table and next(iter(arms)) == "l1_cgan"
    (steps,) = {arm.config.steps for arm in arms.values()}
    assert steps == 3_000
