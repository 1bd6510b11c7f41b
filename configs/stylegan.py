"""StyleGAN, Karras et al. 2018 (arXiv 1812.04948).

    python -m experiments.run --config=stylegan             # digits, to 32x32
    python -m experiments.run --config=stylegan:cifar10
    python -m experiments.run --config=stylegan:folder_small --config.data=folder:PATH
    python -m experiments.run --config=stylegan:folder --config.data=folder:PATH
    python -m experiments.run --config=stylegan:paper --config.data=folder:PATH

docs/progressive.md says what the keys mean and what has been measured.
"""

from configs import keys, presets

KEYS, PRESETS = presets.GROWING, presets.GROWN
# Channels times side, most channels, dimensions of z and w; thousands of images of a
# phase and of the training; R1's weight.
SIZES = {
    "digits": (512, 32, 64, 20, 180, 0.2),
    "cifar10": (4096, 128, 128, 200, 4_000, 0.5),
    "folder": (4096, 128, 128, 200, 4_000, 1.0),
    "folder_small": (1024, 32, 64, 8, 120, 1.0),
    "paper256": (16384, 512, 512, 600, 25_000, 10.0),
    "paper": (16384, 512, 512, 600, 25_000, 10.0),
}
# Those of eight devices: batches and learning rates, from a resolution on.
BATCHES = ((8, 256), (16, 128), (32, 64), (64, 32))
RATES = ((128, 0.0015), (256, 0.002), (512, 0.003))


def get_config(preset: str = "digits"):
    config = presets.game("stylegan", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    base, most, width, phase, kimg, gamma = SIZES[preset]
    paper = preset.startswith("paper")
    config.latent, config.first_resolution = width, 8
    config.batch_size = 32 if paper else 16
    config.steps_per_call = 10 if preset == "digits" else 1
    sizes = {"network": "stylegan1", "channel_base": base, "channel_max": most}
    config.generator = {
        **sizes,
        "w_dim": width,
        "mapping_layers": 8 if paper else 4,
        "mixing": 0.9,
        "penalties": (),
    }
    config.discriminator = {
        **sizes,
        "group": 4,
        "penalties": (f"r1(weight={gamma:g})",),
    }
    adam = presets.adam(1e-3, 0.0, 0.99)
    for player in (config.generator, config.discriminator):
        player.optimizer = adam
    if paper:
        config.rate_changes = RATES
    presets.grow(config, phase, kimg, BATCHES if paper else ())
    # A half-life of 10,000 images; of a short run, of a hundredth of it.
    config.ema_half_life = min(10, kimg / 100) * 1000 / config.batch_size
    presets.pace(config, phase)
    if preset == "folder_small":
        config.augment = ("diff_augment",)
    return config
