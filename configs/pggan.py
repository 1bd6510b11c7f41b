"""PGGAN, Progressive Growing of GANs, Karras et al. 2017 (arXiv 1710.10196).

    python -m experiments.run --config=pggan                # digits, to 32x32
    python -m experiments.run --config=pggan:cifar10
    python -m experiments.run --config=pggan:folder_small --config.data=folder:PATH
    python -m experiments.run --config=pggan:folder --config.data=folder:PATH
    python -m experiments.run --config=pggan:paper --config.data=folder:PATH

docs/progressive.md says what the keys mean and what has been measured.
"""

from configs import keys, presets

KEYS, PRESETS = presets.GROWING, presets.GROWN
# Channels times side, most channels, dimensions of z; thousands of images of a phase
# and of the training.
SIZES = {
    "digits": (512, 32, 32, 20, 180),
    "cifar10": (4096, 128, 128, 200, 4_000),
    "folder": (4096, 128, 128, 200, 4_000),
    "folder_small": (1024, 32, 64, 8, 120),
    "paper256": (8192 * 2, 512, 512, 800, 19_000),
    "paper": (8192 * 2, 512, 512, 800, 19_000),
}


def get_config(preset: str = "digits"):
    config = presets.game("pggan", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    base, most, config.latent, phase, kimg = SIZES[preset]
    config.loss, config.batch_size = "wasserstein", 16
    config.steps_per_call = 10 if preset == "digits" else 1
    sizes = {"network": "pggan", "channel_base": base, "channel_max": most}
    penalty = "gradient_penalty(weight=10)"
    if preset == "cifar10":  # appendix A.2
        penalty = "gradient_penalty(weight=10, target=750)"
    config.generator = {**sizes, "penalties": ()}
    config.discriminator = {
        **sizes,
        "group": 16 if preset.startswith("paper") else 4,
        "penalties": (penalty, "drift(weight=0.001)"),
    }
    adam = presets.adam(1e-3, 0.0, 0.99)
    for player in (config.generator, config.discriminator):
        player.optimizer = adam
    batches = ((256, 14), (512, 6), (1024, 3)) if preset.startswith("paper") else ()
    presets.grow(config, phase, kimg, batches)
    presets.pace(config, phase)
    if preset == "folder_small":
        config.augment = ("diff_augment",)
    return config
