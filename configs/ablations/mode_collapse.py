"""Mode collapse: a plain GAN that loses modes, and each stabiliser added to it alone.

    python -m experiments.ablate --config=mode_collapse
    python -m experiments.ablate --config=mode_collapse:grid25
    python -m experiments.ablate \\
        --config=mode_collapse:stacked_digits
    python -m experiments.ablate \\
        --config=mode_collapse:stacked_mnist

`--arms=base,r1,...` runs some of the arms. The settings follow Unrolled GANs (arXiv
1611.02163), VEEGAN (arXiv 1705.07761) and PacGAN (arXiv 1712.04086): Gaussians on a
ring or a grid, and three digits stacked as the channels of one image, which gives 1,000
modes. Deviations: networks and budgets are small, and each arm is evaluated by its last
weights, without an average of the generator.

The options of an arm are those of its paper. Where a paper does not cover such small
networks, the value is a round number. Nothing was tuned.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import dcgan, gan, presets

POINTS = ("ring8", "grid25")
# Arms that change only numbers, or how often a network is updated, or whose parts other
# arms have: a step costs what the baseline's or theirs does.
SAME_STEP = (
    "n_critic",
    "ttur",
    "b1_zero",
    "linear_decay",
    "wgan",
    "wgan_gp",
    "no_batch_norm",
)
STACKED = {"stacked_digits": "stacked:digits", "stacked_mnist": "stacked:tfds:mnist"}


def get_config(preset: str = "ring8"):
    presets.check(preset, (*POINTS, *STACKED))
    config = base(preset)
    seeds = 5 if preset in POINTS else 3
    options = {"baseline": "base", "seeds": seeds, "evaluations": 1}
    return presets.ablation(config, arms(config), **options)


# --- the baseline: a plain GAN in a setting in which it loses modes ------------------


def base(preset: str) -> ConfigDict:
    """The config of the plain GAN."""
    if preset in POINTS:
        config = gan.get_config(preset)
        config.latent = 2
        config.batch_size = 128
        config.steps = 4_000
        config.steps_per_call = 500
        config.n_evaluate = 10_000
        adam = presets.adam(1e-3, 0.5, 0.999)
    else:
        config = dcgan.get_config("digits")
        config.data, config.channels = STACKED[preset], 3
        config.generator.widths = (64, 32, 16)
        config.generator.norm = "batch"
        config.discriminator.convolutions = ((16, 4, 2), (32, 4, 2), (64, 3, 1))
        config.discriminator.dropout = 0.0
        config.batch_size = 64
        config.steps = 2_000
        config.steps_per_call = 50
        config.n_evaluate = 26_000  # the papers'
        adam = presets.adam(2e-4, 0.5, 0.999)
    config.metrics = ("modes",)
    config.ema = 0.0
    for player in (config.generator, config.discriminator):
        player.optimizer = adam
    return config


# --- the stabilisers -----------------------------------------------------------------


def arms(config: ConfigDict) -> dict[str, dict[str, Any]]:
    """The stabilisers of a base config, by name; "base" changes nothing.

    Weights that are not given here are the papers' (see gans/terms). What papers count
    in epochs is a share of config.steps here. A step is one batch of real data: with
    n_critic = 5 the generator is updated a fifth as often as in the base.
    """
    points, steps = config.data in POINTS, config.steps
    rate = config.generator.optimizer.learning_rate
    # In the plane 0.1, as in WGAN-GP's own code, for distances of several units.
    weight = 0.1 if points else 10
    # The layer of the paper's code, 100 kernels, has four times the weights of the
    # whole discriminator of points.
    discrimination = "discrimination(n_kernels=16)" if points else "discrimination"
    found = {
        "base": {},
        # Losses.
        "minimax": {"loss": "minimax"},  # 1406.2661, equation 1
        "least_squares": {"loss": "least_squares"},  # 1611.04076
        "hinge": {"loss": "hinge"},  # 1705.02894
        "relativistic_average": {"loss": "relativistic_average"},  # 1807.00734
        "relativistic_pairing": {"loss": "relativistic_pairing"},
        "label_smoothing": {"loss": "non_saturating(smooth_real=0.1)"},  # 1606.03498
        "label_flip": {"label_flip": 0.05},
        # 2002.06224: down to half of the batch, which takes 69 intervals.
        "top_k": {
            "top_k": f"top_k(share=0.5, gamma=0.99, interval={max(steps // 100, 1)})"
        },
        # Wasserstein distances, with their papers' optimisers.
        "wgan": {  # 1701.07875
            "loss": "wasserstein",
            "n_critic": 5,
            "generator.optimizer": rmsprop(5e-5),
            "discriminator.optimizer": rmsprop(5e-5, clip=0.01),
        },
        "wgan_gp": {  # 1704.00028
            "loss": "wasserstein",
            "n_critic": 5,
            "discriminator.penalties": (f"gradient_penalty(weight={weight})",),
            **adam(1e-4, 0.0, 0.9),
        },
        "clip_singular": {  # 1611.06624
            "loss": "wasserstein",
            "generator.optimizer": rmsprop(5e-5),
            "discriminator.optimizer": rmsprop(5e-5, clip_singular=1.0),
        },
        # Penalties of the discriminator, of the generator, or of both.
        "gradient_penalty": {
            "discriminator.penalties": (f"gradient_penalty(weight={weight})",)
        },
        "gradient_penalty_one_sided": {
            "discriminator.penalties": (
                f"gradient_penalty(weight={weight}, one_sided=True)",
            )
        },
        "dragan": {"discriminator.penalties": ("dragan",)},  # 1705.07215
        "r1": {"discriminator.penalties": ("r1",)},  # 1801.04406
        "r2": {"discriminator.penalties": ("r2",)},
        "zero_centred": {"discriminator.penalties": ("zero_centred",)},  # 1902.03984
        "r3gan": {  # 2501.05441: its loss and its penalties
            "loss": "relativistic_pairing",
            "discriminator.penalties": ("r1(weight=1)", "r2(weight=1)"),
        },
        "lecam": {"discriminator.penalties": ("lecam",)},  # 2104.03310
        "latent_consistency": {  # 2002.04724
            "discriminator.penalties": ("latent_consistency",),
            "generator.penalties": ("latent_diversity",),
        },
        "orthogonal": {  # 1809.11096
            "discriminator.penalties": ("orthogonal",),
            "generator.penalties": ("orthogonal",),
        },
        "historical": {  # 1606.03498
            "discriminator.penalties": ("historical",),
            "generator.penalties": ("historical",),
        },
        # In place of the generator's loss: 1606.03498, 1904.02762.
        "feature_matching": {"generator.penalties": ("feature_matching",)},
        "moment_matching": {"generator.penalties": ("feature_matching(moments=2)",)},
        # Networks.
        "minibatch_stddev": {"discriminator.minibatch": "stddev"},  # 1710.10196
        "minibatch_discrimination": {
            "discriminator.minibatch": discrimination
        },  # 1606.03498
        "discriminator_batch_norm": {"discriminator.norm": "batch"},  # 1511.06434
        "virtual_batch_norm": {"generator.norm": "virtual"},  # 1606.03498
        "pixel_norm": {"generator.norm": "pixel"},  # 1710.10196
        "spectral": {"discriminator.spectral": True},  # 1802.05957
        "equalised": {"discriminator.equalised": True, "generator.equalised": True},
        "dropout": {"discriminator.dropout": 0.3},
        # Inputs of the discriminator: noise that ends half way, 1701.04862.
        "instance_noise": {
            "augment": (f"instance_noise(sigma=0.1, stop={max(steps // 2, 1)})",)
        },
        # Optimisers.
        "ttur": {  # 1:4, as in 1805.08318
            "generator.optimizer.learning_rate": rate / 4
        },
        "n_critic": {"n_critic": 5},
        "b1_zero": {"generator.optimizer.b1": 0.0, "discriminator.optimizer.b1": 0.0},
        "linear_decay": {
            "generator.optimizer.schedule": "linear",
            "discriminator.optimizer.schedule": "linear",
        },
        "ema": {"ema": 0.999},
    }
    if points:
        return found | {"generator_batch_norm": {"generator.norm": "batch"}}
    return found | {
        "no_batch_norm": {"generator.norm": None},
        "consistency": {"discriminator.penalties": ("consistency",)},  # 1910.12027
        "balanced_consistency": {"discriminator.penalties": ("balanced_consistency",)},
        "diff_augment": {"augment": ("diff_augment(policy='translation')",)},
    }


def adam(learning_rate: float, b1: float, b2: float) -> dict[str, Any]:
    """Other values for both players' Adam."""
    values = {"learning_rate": learning_rate, "b1": b1, "b2": b2}
    return {
        f"{player}.optimizer.{key}": value
        for player in ("generator", "discriminator")
        for key, value in values.items()
    }


def rmsprop(learning_rate: float, **options) -> dict[str, Any]:
    """Another optimiser for one player."""
    return {"name": "rmsprop", "learning_rate": learning_rate, "decay": 0.99, **options}
