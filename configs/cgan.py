"""cGAN: Mirza and Osindero 2014 (arXiv 1411.1784), Miyato and Koyama 2018 (1802.05637).

    python -m experiments.run --config=cgan               # projection
    python -m experiments.run --config=cgan:digits_concat # concatenation
    python -m experiments.run --config=cgan:cifar10       # the 2018 ResNet
    python -m experiments.run --config=cgan:digits32      # WGAN-GP's loss, 32 pixels

digits32, what `make train` runs: 2 min 18 s on 2 CPU cores with the step compiled
anew. A classifier of the data's own then reads 98.2 % of 2,000 samples, with a
probability of 0.9 or more, as the digit asked for (real test digits: 99.4 %):

    python -m experiments.evaluate --workdir=DIR --metrics=classes --n=1000

digits: 5 minutes on 2 slow CPU cores (11 steps/s). A classifier with 98.6 % accuracy on
held-out real digits then recognises the requested class in 99.7 % of 1,000 samples. The
other presets have not been run to the end.
"""

from configs import presets

PRESETS = (
    presets.IMAGES
    | presets.FEW
    | {f"{name}_concat": presets.IMAGES[name] for name in ("digits", "mnist")}
    | {"digits32": presets.IMAGES["digits"] | {"resolution": 32}}
)


def get_config(preset: str = "digits"):
    config = presets.game("cgan", preset, PRESETS)
    config.loss = "hinge"
    condition = "concat" if preset.endswith("_concat") else "projection"
    digits = preset.startswith("digits")
    if preset in ("cifar10", "folder"):
        n = {32: 3, 64: 4, 128: 5}[config.resolution]
        config.generator = {"network": "resnet", "widths": (256,) * (n + 1)}
        config.discriminator = {
            "network": "resnet",
            "widths": (128,) * (n + 1),
            "n_down": n - 1,
            "spectral": True,
        }
        config.n_critic = 5
        config.steps = 500_000
    else:
        presets.convolutional(config, 128 if digits else 512, spectral=True)
        config.steps = 3_000 if digits else 50_000
    config.metrics = ("agreement",)
    config.n_evaluate = 1000
    adam = presets.adam(2e-4, 0.0, 0.9, schedule="linear")
    if preset == "folder_small":  # the pictures of each class in a folder of its own
        adam = presets.few_images(config, spectral=True)
        config.metrics = ("agreement", *config.metrics)
    if preset == "digits32":
        adam = _by_wgan_gp(config)
    for player in (config.generator, config.discriminator):
        player.condition = condition
    return presets.players(config, adam, adam)


def _by_wgan_gp(config):
    """Sizes the config for 3 minutes on a laptop; returns the optimisers.

    WGAN-GP's loss (arXiv 1704.00028) in place of the hinge and spectral norm, narrow
    networks, a small latent, and scores along the way.
    """
    presets.convolutional(config, 64)
    config.loss = "wasserstein"
    config.discriminator.penalties = ("gradient_penalty(weight=10)",)
    config.latent = 8
    config.steps = 3500
    config.sample_every = 500
    config.evaluate_every = 700
    config.n_evaluate = 2000
    config.metrics = ("fid", "pr", "classes")
    return presets.adam(1e-3, 0.5, 0.9, schedule="linear")
