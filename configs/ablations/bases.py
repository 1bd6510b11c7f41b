"""The base configs of the ablations, and overrides that several ablations share.

All bases are the plain GAN (arXiv 1406.2661) with Adam for both players. Each ablation
changes only what it compares.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import presets

# --- bases ---------------------------------------------------------------------------


def points(data: str = "ring8") -> ConfigDict:
    """Gaussians in the plane: multilayer perceptrons of two layers of 64.

    Without an average of the generator: samples are those of its last weights.
    """
    config = presets.game("gan", data, presets.POINTS)
    config.latent = 8
    config.batch_size = 128
    config.steps = 10_000
    config.steps_per_call = 500
    config.ema = 0.0
    config.generator = {"network": "mlp", "widths": (64, 64)}
    config.discriminator = {"network": "mlp", "widths": (64, 64)}
    config.metrics = ("modes",)
    return _finished(config, presets.adam(1e-3, 0.5, 0.999))


def digits() -> ConfigDict:
    """16x16 digits: DCGAN's layout with two layers, a 32nd as wide.

    A run takes 3 ms a step on 2 CPU cores, and has all ten classes at the end.
    """
    config = presets.game("gan", "digits", presets.IMAGES)
    config.latent = 32
    config.batch_size = 32
    config.steps = 2_000
    config.steps_per_call = 50
    config.ema = 0.99
    config.generator = {
        "network": "dcgan",
        "widths": (32, 16),
        "norm": "batch",
        "kernel_init": "he",
    }
    config.discriminator = {
        "network": "dcgan",
        "convolutions": ((16, 4, 2), (32, 4, 2)),
        "kernel_init": "he",
    }
    config.metrics = ("fid", "pr", "classes")
    config.n_evaluate = 2_000
    return _finished(config, presets.adam(1e-3, 0.5, 0.999))


def cifar10() -> ConfigDict:
    """The plain CNN of SNGAN's table 3 (arXiv 1802.05957), without spectral norm."""
    config = presets.game("gan", "cifar10", presets.IMAGES)
    config.steps = 100_000
    config.generator = {
        "network": "dcgan",
        "widths": (512, 256, 128, 64),
        "final": "conv",
        "norm": "batch",
    }
    config.discriminator = {
        "network": "dcgan",
        "convolutions": (
            (64, 3, 1),
            (64, 4, 2),
            (128, 3, 1),
            (128, 4, 2),
            (256, 3, 1),
            (256, 4, 2),
            (512, 3, 1),
        ),
        "slope": 0.1,
    }
    config.metrics = ("fid", "pr")
    return _finished(config, presets.adam(2e-4, 0.5, 0.999))


def _finished(config, adam):
    """With optimisers; what a run by itself would log is left to the ablation."""
    config.log_every = config.sample_every = config.checkpoint_every = config.steps
    config.diagnose_every = 0
    return presets.players(config, adam, adam)


BASES = {
    "ring8": points,
    "grid25": lambda: points("grid25"),
    "digits": digits,
    "cifar10": cifar10,
}


def base(preset: str, *accepted: str) -> ConfigDict:
    """Returns the base of one of the accepted presets; raises ValueError for others."""
    presets.check(preset, accepted)
    return BASES[preset]()


def get_config(preset: str = "digits"):
    """A base by itself, for `experiments.run` and for the benchmark of seeds."""
    return base(preset, *BASES)


# --- overrides -----------------------------------------------------------------------


def both(option: str, value: Any) -> dict[str, Any]:
    """An option of both players."""
    return {f"{player}.{option}": value for player in ("generator", "discriminator")}


def adam(learning_rate: float, b1: float, b2: float) -> dict[str, Any]:
    """Adam for both players."""
    return both("optimizer", presets.adam(learning_rate, b1, b2))


def rmsprop(
    learning_rate: float, decay: float = 0.99, clip: float | None = None
) -> dict[str, Any]:
    """RMSprop for both players; the critic's weights clipped to [-clip, clip]."""
    one = {"name": "rmsprop", "learning_rate": learning_rate, "decay": decay}
    one["schedule"] = "constant"
    clipped = one if clip is None else one | {"clip": clip}
    return {"generator.optimizer": one, "discriminator.optimizer": clipped}


def gradient_penalty(weight: float) -> dict[str, Any]:
    """WGAN-GP's penalty (arXiv 1704.00028)."""
    return {"discriminator.penalties": (f"gradient_penalty(weight={float(weight)})",)}
