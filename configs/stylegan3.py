"""StyleGAN3, Karras et al. 2021 (arXiv 2106.12423): configurations T and R.

    python -m experiments.run --config=stylegan3              # digits, 32x32
    python -m experiments.run --config=stylegan3:folder \
        --config.data=folder:PATH                                    # 64x64, a CPU
    python -m experiments.run --config=stylegan3:t256 --config.data=folder:PATH
    python -m experiments.run --config=stylegan3:r256 --config.data=folder:PATH

digits_r, folder_r and r128 to r1024 are configuration R, which can be turned. The
numbers of t128 to r1024 are the authors' recommendations; docs/stylegan3.md says what
has been run.
"""

from configs import keys, presets

KEYS = presets.CONDITIONAL
# Layers, channels times side, most channels, dimensions of z and w, R1, steps.
SMALL = {
    "digits": (6, 1024, 32, 64, 0.05, 6_000),
    "folder": (10, 4096, 64, 128, 0.05, 20_000),
}
SIDES = (128, 256, 512, 1024)
PRESETS = {
    "digits": presets.IMAGES["digits"] | {"resolution": 32},
    "folder": presets.IMAGES["folder"],
}
PRESETS |= {f"{name}_r": data for name, data in PRESETS.items()}
PRESETS |= {
    f"{kind}{side}": presets.IMAGES["folder"] | {"resolution": side}
    for kind in "tr"
    for side in SIDES
}


def get_config(preset: str = "digits"):
    config = presets.game("stylegan3", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    rotation = preset.startswith("r") or preset.endswith("_r")
    _sized(config, rotation)
    small = preset.removesuffix("_r")
    if small in SMALL:
        _small(config, small)
    if config.data.startswith("folder:"):
        config.augment = ("ada",)
    if rotation:
        # Ten pixels at the authors' sizes, for 200,000 images in batches of 32.
        sigma = min(10, 10 * config.resolution / 256)
        stop = 6250 if small not in SMALL else config.steps // 16
        blur = f"fading_blur(sigma={sigma:g}, stop={stop})"
        config.augment = (blur, *config.augment)
    return config


def _sized(config, rotation: bool) -> None:
    """Gives a config the authors' networks and numbers."""
    config.latent, config.batch_size = 512, 32
    config.steps = 25_000_000 // 32
    config.ema_half_life, config.ema_ramp = 10_000 / 32, 0.05
    shared = {"n_bfloat16": 4, "clamp": 256.0}  # 16 bits if config.dtype has them
    times = 2 if rotation else 1  # the channels of R, whose kernels are 1x1
    config.generator = {
        "network": "stylegan3",
        "rotation": rotation,
        "depth": 14,
        "channel_base": 32768 * times,
        "channel_max": 512 * times,
        "w_dim": 512,
        "mapping_layers": 2,
        "magnitude_images": 20_000.0,
        **shared,
        "penalties": (),
        "optimizer": presets.adam(0.0025, 0.0, 0.99),
    }
    gamma = 2 * (config.resolution / 256) ** 2
    config.discriminator = {
        "network": "stylegan2",
        "architecture": "resnet",
        "channel_base": 32768,
        "channel_max": 512,
        "group": 4,
        **shared,
        "penalties": (f"r1(weight={gamma:g}, every=16)",),
        "optimizer": presets.adam(0.002, 0.0, 0.99),
    }
    config.metrics = ("fid", "kid")


def _small(config, preset: str) -> None:
    """Narrows the networks and shortens the training, for two cores."""
    depth, base, most, width, gamma, steps = SMALL[preset]
    config.generator.depth = depth
    for player in (config.generator, config.discriminator):
        player.channel_base, player.channel_max = base, most
    config.latent = config.generator.w_dim = width
    config.steps, config.batch_size = steps, 16
    config.ema_half_life = 10_000 / 32
    config.discriminator.penalties = (f"r1(weight={gamma:g}, every=16)",)
    config.sample_every = config.checkpoint_every = steps // 8
    config.evaluate_every, config.n_evaluate = steps // 4, 500
    if preset == "digits":
        config.steps_per_call, config.n_evaluate = 10, 2_000
        config.metrics = ("fid", "pr", "classes")
