"""SNGAN, Miyato et al. 2018 (arXiv 1802.05957).

    python -m experiments.run --config=sngan              # digits
    python -m experiments.run --config=sngan:cifar10      # a ResNet
    python -m experiments.run --config=sngan:cifar10_cnn  # the plain CNN

digits: 4 minutes on 2 slow, busy CPU cores (9 steps/s). The samples show all ten
classes, and most of them are legible at a glance. The other presets have not been run
to the end.
"""

from configs import presets

PRESETS = presets.IMAGES | presets.FEW | {"cifar10_cnn": presets.IMAGES["cifar10"]}


def get_config(preset: str = "digits"):
    config = presets.game("sngan", preset, PRESETS)
    config.loss = "hinge"  # or non_saturating
    config.n_critic = 5
    adam = presets.adam(2e-4, 0.0, 0.9, schedule="linear")
    if preset in ("cifar10", "folder"):
        n = {32: 3, 64: 4, 128: 5}[config.resolution]
        config.generator = {"network": "resnet", "widths": (256,) * (n + 1)}
        config.discriminator = {
            "network": "resnet",
            "widths": (128,) * (n + 1),
            "n_down": n - 1,
            "spectral": True,
        }
        config.steps = 500_000  # 100k updates of the generator
    else:
        # Table 3 of the paper.
        width = 64
        config.generator = {
            "network": "dcgan",
            "widths": (8 * width, 4 * width, 2 * width, width),
            "final": "conv",
            "norm": "batch",
        }
        config.discriminator = {
            "network": "dcgan",
            "convolutions": (
                (width, 3, 1),
                (width, 4, 2),
                (2 * width, 3, 1),
                (2 * width, 4, 2),
                (4 * width, 3, 1),
                (4 * width, 4, 2),
                (8 * width, 3, 1),
            ),
            "slope": 0.1,
            "spectral": True,
        }
        config.steps = 500_000
        if preset == "digits":  # one doubling fewer, a quarter as wide
            config.generator.widths = (128, 64, 32)
            config.discriminator.convolutions = (
                (16, 3, 1),
                (32, 4, 2),
                (32, 3, 1),
                (64, 4, 2),
                (64, 3, 1),
            )
            config.n_critic = 1
            config.steps = 2_000
    if preset == "folder_small":
        adam = presets.few_images(config, spectral=True)
    return presets.players(config, adam, adam)
