"""What configs share: keys of a run, keys of the two-player game, and data presets."""

import difflib

from ml_collections import ConfigDict, config_dict

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
# 2-D presets: generated, no download.
POINTS = {name: {"data": name} for name in ("circle", "ring8", "grid25")}


def run(variant: str, preset: str, accepted: dict[str, dict]) -> ConfigDict:
    """Returns the keys that the config of every run has, with the preset's data.

    A variant adds its own keys; those of the two-player game are added by `game`.

    Raises ValueError for an unknown preset, with the nearest name.
    """
    if preset not in accepted:
        near = difflib.get_close_matches(preset, accepted, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"preset {preset!r} of {variant} is not one of {sorted(accepted)}{hint}"
        )
    config = ConfigDict(
        {
            "variant": variant,
            # Data: digits, circle, ring8, grid25, tfds:NAME, folder:PATH, array:PATH,
            # stacked:digits, stacked:tfds:NAME.
            "data": "",
            "data_dir": config_dict.placeholder(str),  # folder of prepared TFDS sets
            "resolution": config_dict.placeholder(int),
            "channels": config_dict.placeholder(int),
            "n_classes": config_dict.placeholder(int),  # None: as many as the data has
            "flip": False,  # horizontally, with probability 1/2
            "skip_corrupt": False,  # folder: leave out unreadable files, and say so
            # Training.
            "batch_size": 64,
            "steps": 10_000,  # batches of real data
            "seed": 0,
            "dtype": "float32",  # of the networks' arithmetic; or bfloat16
            "steps_per_call": 1,  # scanned in one compiled call
            "on_nan": "stop",  # or rollback: to the last checkpoint, new random stream
            # The run.
            "log_every": 100,
            "diagnose_every": 1000,  # singular values of all kernels; 0: never
            "sample_every": 1000,
            "checkpoint_every": 1000,
            "keep_checkpoints": 3,
            "evaluate_every": 0,  # 0: only at the end
            "n_evaluate": 10_000,  # samples per evaluation
            "metrics": (),  # see experiments/evaluate.py; the first chooses the best
            "extractor": "inception",  # of features for the metrics that need them
        }
    )
    config.update(accepted[preset])
    return config


def game(variant: str, preset: str, accepted: dict[str, dict]) -> ConfigDict:
    """Returns the keys of a run (see `run`) and those of the game of two players.

    The networks are added by the config itself, and their optimisers by `players`.
    """
    config = run(variant, preset, accepted)
    config.update(
        {
            "loss": "non_saturating",
            "latent": 128,
            "n_critic": 1,  # real batches per update of the generator
            "n_critic_changes": (),  # ((step, n), ...): from that step on
            "ema": 0.999,  # decay of the generator's average, per update of it
            "ema_half_life": 0,  # in updates, instead of `ema`; 0: use `ema`
            "ema_ramp": 0.05,  # the half-life is at most this share of the updates made
            # Stabilisers, as "NAME(option=value, ...)". Terms of the losses are in
            # config.discriminator.penalties and config.generator.penalties.
            "augment": (),  # of the discriminator's inputs: see gans/augment
            "label_flip": 0.0,  # share of labels that are wrong for the discriminator
            "top_k": "",  # top_k(share=0.5): the generator learns from the best fakes
        }
    )
    return config


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
    *,
    baseline: str,
    seeds: int = 5,
    steps: int = 0,
    images: int = 0,
    evaluations: int = 5,
    replicas_per_program: int = 64,
) -> ConfigDict:
    """Returns the config of `python -m experiments.ablate`.

    Args:
      base: what all arms have in common.
      arms: by name, what each changes: {"discriminator.optimizer.b1": 0.5}. A value
        takes the place of what was there, a dict too.
      baseline: the arm that the others are compared with.
      seeds: runs of each arm, with seeds 0, 1, ...
      steps, images: the budget of each run, in real batches or in real images; of both
        0, the base's or the arm's own config.steps.
      evaluations: of base.metrics, evenly spaced, the last at the end.
      replicas_per_program: the largest number of runs that are trained at once.
    """
    return ConfigDict(
        {
            "base": base,
            "arms": ConfigDict(arms, allow_dotted_keys=True),
            "order": tuple(arms),  # the arms to run; a ConfigDict sorts its keys
            "baseline": baseline,
            "seeds": seeds,
            "steps": steps,
            "images": images,
            "evaluations": evaluations,
            "replicas_per_program": replicas_per_program,
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


def few_images(config: ConfigDict, **discriminator) -> None:
    """Sizes a config for a few hundred images and minutes on a CPU.

    Narrow convolutional networks and small batches make steps cheap, and differentiable
    augmentation (arXiv 2006.10738) keeps the discriminator from learning the images by
    heart. At 64x64 a step takes 50 ms on 2 free CPU cores, at 32x32 a third of that.
    """
    convolutional(config, 128, **discriminator)
    config.augment = ("diff_augment",)
    config.batch_size = 16
    config.latent = 64
    config.n_critic = 1
    config.steps = 5_000
    config.sample_every = config.checkpoint_every = 500
    config.evaluate_every = 1_000
    config.n_evaluate = 500
    config.metrics = ("kid", "fid", "memorisation")
    config.extractor = "auto"
