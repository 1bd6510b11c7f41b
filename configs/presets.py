"""What configs share: keys of a run, keys of the two-player game, and data presets."""

import difflib
import math
from collections.abc import Iterable
from typing import Any

from ml_collections import ConfigDict, config_dict

from configs import keys

# Features for the scores: a small classifier of the data's own labels.
OWN_LABELS = {"extractor": "classifier"}
# Image presets; a config adds the values of its paper.
IMAGES = {
    # scikit-learn's 1,797 handwritten digits, 8x8 at the source: embedded, no download.
    "digits": {"data": "digits", "resolution": 16, "channels": 1, **OWN_LABELS},
    "mnist": {"data": "tfds:mnist", "resolution": 32, "channels": 1, **OWN_LABELS},
    "cifar10": {"data": "tfds:cifar10", "resolution": 32, "channels": 3, "flip": True},
    # Your own images: --config.data=folder:PATH
    "folder": {"data": "folder:images", "resolution": 64, "channels": 3, "flip": True},
}
# A few hundred images of your own, on a CPU; see `few_images`.
FEW = {"folder_small": IMAGES["folder"]}
# What detects anomalies of time series where no other config is named.
DETECTOR = "tadgan"
# 2-D presets: generated, no download.
POINTS = {name: {"data": name} for name in ("circle", "ring8", "grid25")}

# Presets of networks that grow.
GROWN = {
    "digits": IMAGES["digits"] | {"resolution": 32},
    "cifar10": IMAGES["cifar10"],
    "folder": IMAGES["folder"],
    **FEW,
    "paper256": IMAGES["folder"] | {"resolution": 256},
    "paper": IMAGES["folder"] | {"resolution": 1024},
}
# Of games whose networks can be given labels, and need not.
CONDITIONAL = {
    "conditional": keys.Key(
        default=False,
        help="Whether both networks are given the labels of the data.",
        type=bool,
    ),
}
# What a game has beside its keys, whose networks grow with the resolution.
GROWING = CONDITIONAL | {
    "first_resolution": keys.Key(
        default=4,
        help="Side of the images of the first stage, which doubles from stage to "
        "stage; that of the data: nothing grows.",
        type=int,
        least=4,
        most=4096,
    ),
    "fade_kimg": keys.Key(
        default=800.0,
        help="Thousands of real images during which a new resolution is faded in; 0: "
        "it is there at once.",
        type=float,
        least=0,
    ),
    "stable_kimg": keys.Key(
        default=800.0,
        help="Thousands of real images from there, or the start, to the next stage; "
        "the last one goes on to the end.",
        type=float,
        least=0,
    ),
    "batch_changes": keys.Key(
        default=(),
        help="Other values of batch_size, each from a resolution on: ((side, n), ...).",
        type=tuple[tuple[int, int], ...],
    ),
    "rate_changes": keys.Key(
        default=(),
        help="Other learning rates of both networks, each from a resolution on: "
        "((side, rate), ...).",
        type=tuple[tuple[int, float], ...],
    ),
}


class UnknownPreset(ValueError):
    """A config's file has no such preset; `accepted` are those it has."""

    def __init__(self, preset: str, accepted: Iterable[str]):
        self.accepted = tuple(accepted)
        near = difflib.get_close_matches(preset, self.accepted, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = ", ".join(self.accepted)
        super().__init__(f"preset {preset!r} is not one of {known}{hint}")


def check(preset: str, accepted: Iterable[str]) -> None:
    """Raises UnknownPreset, with the nearest name, unless `preset` is accepted."""
    if preset not in accepted:
        raise UnknownPreset(preset, accepted)


def run(variant: str, preset: str, accepted: dict[str, dict]) -> ConfigDict:
    """Returns the keys that the config of every run has, with the preset's data.

    A variant adds its own keys; those of the two-player game are added by `game`.

    Raises ValueError for an unknown preset, with the nearest name.
    """
    check(preset, accepted)
    config = ConfigDict(keys.defaults(keys.RUN) | {"variant": variant})
    config.update(accepted[preset])
    return config


def game(variant: str, preset: str, accepted: dict[str, dict]) -> ConfigDict:
    """Returns the keys of a run (see `run`) and those of the game of two players.

    The networks are added by the config itself, and their optimisers by `players`.
    """
    config = run(variant, preset, accepted)
    config.update(keys.defaults(keys.GAME))
    return config


def grow(config: ConfigDict, phase: float, kimg: float, batches=()) -> None:
    """Sets how a game's networks grow (see GROWING), and config.steps.

    Args:
      phase: thousands of images of each fade, and of what follows it.
      kimg: of the whole training.
      batches: `batch_changes`.
    """
    config.fade_kimg = config.stable_kimg = float(phase)
    config.batch_changes = batches
    side, end, config.steps = config.first_resolution, config.resolution, 0
    while side <= end:
        size = next((n for at, n in reversed(batches) if at <= side), config.batch_size)
        per_call = size * config.steps_per_call
        parts = [phase] * (1 if side == config.first_resolution else 2)
        if side == end:
            parts[-1] = kimg - sum(parts[:-1])
        config.steps += config.steps_per_call * sum(
            math.ceil(1000 * n / per_call) for n in parts
        )
        kimg, side = kimg - sum(parts), 2 * side


def pace(config: ConfigDict, phase: float) -> None:
    """Sets when a game whose networks grow is drawn, kept and scored, and by what.

    phase: see `grow`.
    """
    n = round(1000 * phase) // config.batch_size  # the steps of a phase, at the end
    config.sample_every = config.checkpoint_every = config.evaluate_every = n
    config.n_evaluate, config.metrics = 2_000, ("fid", "kid")
    if config.extractor == OWN_LABELS["extractor"]:
        config.metrics = ("fid", "pr", "classes")
    if config.resolution > 64:
        config.evaluate_every, config.n_evaluate = 10 * n, 50_000


def _options(player: str, network: str) -> dict:
    """Returns the options that stabilise a network, off, so that a flag can set them.

    Placeholders are created for each call: a shared one would be one key in two places.
    """
    options = {"penalties": (), "spectral": False, "equalised": False}
    if player == "discriminator":
        options |= {"minibatch": config_dict.placeholder(str), "dropout": 0.0}
    if (player, network) == ("generator", "resnet"):
        return options | {"norm": "batch"}
    if network != "resnet":  # whose discriminator has no slots for it
        options["norm"] = config_dict.placeholder(str)
    return options


def players(config: ConfigDict, generator: dict, discriminator: dict) -> ConfigDict:
    """Returns the config with each player's optimiser, and with the options that its
    network has and the config does not set."""
    optimizers = {"generator": generator, "discriminator": discriminator}
    for name, optimizer in optimizers.items():
        given = {
            option: config_dict.placeholder(str) if value is None else value
            for option, value in config[name].to_dict().items()
        }
        known = _options(name, given["network"])
        config[name] = known | given | {"optimizer": optimizer}
    return config


def adam(learning_rate: float, b1: float, b2: float, **options) -> dict:
    """Returns the config of a player's Adam."""
    return {
        "name": "adam",
        "learning_rate": learning_rate,
        "b1": b1,
        "b2": b2,
        "schedule": "constant",
        **options,
    }


def ablation(
    base: ConfigDict,
    arms: dict[str, dict],
    **options: Any,
) -> ConfigDict:
    """Returns the config of `python -m experiments.ablate`.

    Args:
      base: what all arms have in common.
      arms: by name, what each changes: {"discriminator.optimizer.b1": 0.5}. A value
        takes the place of what was there, a dict too.
      **options: of `keys.ABLATION`; `baseline` is needed.
    """
    own = keys.defaults(keys.ABLATION)
    unknown = sorted(options.keys() - own.keys())
    if unknown:
        raise TypeError(f"an ablation has no key {unknown[0]!r}, only {', '.join(own)}")
    return ConfigDict(
        {
            "base": base,
            "arms": ConfigDict(arms, allow_dotted_keys=True),
            "order": tuple(arms),  # the arms to run; a ConfigDict sorts its keys
            **own,
            **options,
        }
    )


def convolutional(config: ConfigDict, width: int, **discriminator) -> None:
    """Gives both players WGAN-GP's convolutional networks (see configs/wgan_gp.py).

    Generator: width x 4x4, then half as wide at each of the doublings to the
    resolution; discriminator: its mirror image with 4x4 convolutions of stride 2.
    """
    n = {16: 2, 32: 3, 64: 4, 128: 5}[config.resolution]
    widths = [max(width >> i, 8) for i in range(n + 1)]
    config.generator = {
        "network": "dcgan",
        "widths": tuple(widths),
        "final": "conv",
        "norm": "batch",
        "kernel_init": "he",
    }
    config.discriminator = {
        "network": "dcgan",
        "convolutions": tuple((w, 4, 2) for w in reversed(widths[:-1])),
        "slope": 0.2,
        "kernel_init": "he",
        **discriminator,
    }


def few_images(config: ConfigDict, **discriminator) -> dict:
    """Sizes a config for a few hundred images and minutes on a CPU.

    Narrow convolutional networks and small batches make steps cheap, and differentiable
    augmentation (arXiv 2006.10738) keeps the discriminator from learning the images by
    heart. Returns the optimiser of both players, whose steps are large at first.
    configs/dcgan.py says what it gives; --config.resolution=32 is the quickest start.
    """
    convolutional(config, 128, **discriminator)
    config.generator.widths = tuple(max(w, 16) for w in config.generator.widths)
    # Wide where the discriminator sees textures, so that it keeps up.
    widths = (32, 64, 64, 128)
    config.discriminator.convolutions = tuple((w, 4, 2) for w in widths)
    config.augment = ("diff_augment",)
    config.batch_size = 16
    config.latent = 64
    config.n_critic = 1
    config.steps = 4_000
    config.sample_every = config.checkpoint_every = 500
    config.evaluate_every = 1_000
    config.n_evaluate = 500
    config.metrics = ("kid", "fid", "memorisation")
    return adam(5e-4, 0.5, 0.99, schedule="linear")
