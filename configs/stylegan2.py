"""StyleGAN2 and StyleGAN2-ADA, Karras et al. 2020 (arXiv 1912.04958, 2006.06676).

    python -m experiments.run --config=stylegan2            # digits
    python -m experiments.run --config=stylegan2:cifar10    # narrow, 32x32
    python -m experiments.run --config=stylegan2:folder \
        --config.data=folder:PATH                                  # 64x64, a CPU
    python -m experiments.run --config=stylegan2:auto \
        --config.data=folder:PATH                                  # 256x256
    python -m experiments.run --config=stylegan2:paper256 \
        --config.data=folder:PATH

docs/stylegan.md says how to train on pictures of your own.

5,600 of the 8,000 steps of digits have been run, at 43 ms of processor time a step and
60 s for compiling. More than half of the samples are legible and all ten classes are
there, but fd_classifier is 5.64, far behind wgan_gp's: nothing has been tuned. The
other presets have not been run.
"""

import dataclasses

from configs import keys, presets

KEYS = presets.CONDITIONAL


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the authors' settings differ in.

    Attributes:
      batch, group: images in a step, and in a group of the minibatch deviation.
      base: channels of a map are base / side, at most 512.
      rate: learning rate of both networks.
      gamma: weight of R1.
      kimg: length of the training, in thousands of real images.
      ema_kimg: half-life of the generator's average, likewise.
      ramp: it is at most this share of the images so far; None: no limit.
      mapping: layers of the mapping network.
      styles: whether there are style mixing and path length.
    """

    batch: int
    group: int
    base: int
    rate: float
    gamma: float
    kimg: int
    ema_kimg: float
    ramp: float | None
    mapping: int
    styles: bool = True


def auto(side: int) -> Setting:
    """Numbers for pictures that nothing is known of, on one device."""
    batch = max(min(4096 // side, 32), 1)
    return Setting(
        batch=batch,
        group=min(batch, 4),
        base=32768 if side >= 512 else 16384,
        rate=0.002 if side >= 1024 else 0.0025,
        gamma=0.0002 * side**2 / batch,
        kimg=25_000,
        ema_kimg=batch * 10 / 32,
        ramp=0.05,
        mapping=2,
    )


SETTINGS = {
    "cifar10": Setting(
        64, 32, 32768, 0.0025, 0.01, 100_000, 500, 0.05, 2, styles=False
    ),
    "paper256": Setting(64, 8, 16384, 0.0025, 1.0, 25_000, 20, None, 8),
    "paper512": Setting(64, 8, 32768, 0.0025, 0.5, 25_000, 20, None, 8),
    "paper1024": Setting(32, 4, 32768, 0.002, 2.0, 25_000, 10, None, 8),
}
# Channels times side, most channels, dimensions of z and w, steps.
SMALL = {
    "digits": (512, 32, 64, 8_000),
    "cifar10": (2048, 128, 128, 50_000),
    "folder": (4096, 128, 128, 20_000),
}
SIDES = {"auto": 256, "auto128": 128, "auto512": 512, "auto1024": 1024}
SIDES |= {"paper256": 256, "paper512": 512, "paper1024": 1024}
PRESETS = {name: presets.IMAGES[name] for name in ("digits", "cifar10", "folder")}
PRESETS |= {
    name: presets.IMAGES["folder"] | {"resolution": side}
    for name, side in SIDES.items()
}


def get_config(preset: str = "digits"):
    config = presets.game("stylegan2", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    setting = SETTINGS.get(preset) or auto(config.resolution)
    adam = _sized(config, setting)
    if preset in SMALL:
        _small(config, preset)
    if config.data.startswith("folder:") and not preset.startswith("paper"):
        config.augment = ("ada",)
    for player in (config.generator, config.discriminator):
        player.optimizer = adam
    return config


def _sized(config, setting: Setting) -> dict:
    """Gives a config the authors' networks and numbers; returns the optimiser."""
    config.latent, config.batch_size = 512, setting.batch
    config.steps = setting.kimg * 1000 // setting.batch
    config.ema_half_life = setting.ema_kimg * 1000 / setting.batch
    config.ema_ramp = setting.ramp
    sizes = {
        "network": "stylegan2",
        "channel_base": setting.base,
        "channel_max": 512,
        "n_bfloat16": 4,  # if config.dtype is bfloat16
        "clamp": 256.0,
    }
    config.generator = {
        **sizes,
        "w_dim": 512,
        "mapping_layers": setting.mapping,
        "architecture": "skip",
        "mixing": 0.9 if setting.styles else 0.0,
        "penalties": ("path_length(weight=2, every=4)",) * setting.styles,
    }
    config.discriminator = {
        **sizes,
        "architecture": "resnet" if setting.styles else "orig",
        "group": setting.group,
        "penalties": (f"r1(weight={setting.gamma:g}, every=16)",),
    }
    config.metrics = ("fid", "kid")
    return presets.adam(setting.rate, 0.0, 0.99)


def _small(config, preset: str) -> None:
    """Narrows the networks and shortens the training, for two cores."""
    base, most, width, steps = SMALL[preset]
    for player in (config.generator, config.discriminator):
        player.channel_base, player.channel_max = base, most
    config.latent = config.generator.w_dim = width
    config.steps = steps
    config.sample_every = config.checkpoint_every = steps // 8
    config.evaluate_every, config.n_evaluate = steps // 4, 2_000
    if preset == "digits":
        config.batch_size, config.steps_per_call = 16, 10
        config.discriminator.penalties = ("r1(weight=0.05, every=16)",)
        config.metrics = ("fid", "pr", "classes")
    if preset == "folder":
        config.n_evaluate, config.metrics = 500, ("kid", "fid", "memorisation")
