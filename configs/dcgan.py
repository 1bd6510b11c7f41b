"""DCGAN, Radford et al. 2015 (arXiv 1511.06434).

    python -m experiments.run --config=dcgan            # digits, 16x16
    python -m experiments.run --config=dcgan:cifar10    # 32x32
    python -m experiments.run --config=dcgan:folder \
        --config.data=folder:PATH                                  # 64x64, the paper's
    python -m experiments.run --config=dcgan:folder_small \
        --config.data=folder:PATH                                  # few images, a CPU

digits: 4 min 40 s on one busy CPU core (11 steps/s). The samples show all ten classes.
They are softer than WGAN-GP's, and about two in three are legible at a glance.

folder_small: 14 minutes on 2 very busy CPU cores, with --config.resolution=32 (43 ms of
processor time a step, so some 2 minutes of 2 free cores). From 250 photos of landscapes
it makes varied, blurred ones: skies over trees and water. kid_random fell at each
evaluation (0.0204, 0.0162, 0.0053, 0.0019), and 2 % of the samples are as near to a
photo as the nearest 1 % of the photos are to each other. The preset's own 64x64, with
four times the pixels, has not been run to the end.

The other presets have not been run to the end.
"""

from configs import presets


def get_config(preset: str = "digits"):
    config = presets.game("dcgan", preset, presets.IMAGES | presets.FEW)
    config.batch_size = 128
    config.latent = 100
    if config.resolution == 64:
        config.generator = {
            "network": "dcgan",
            "widths": (1024, 512, 256, 128),
            "final": "transpose",
            "norm": "batch",
        }
        config.discriminator = {
            "network": "dcgan",
            "convolutions": ((128, 4, 2), (256, 4, 2), (512, 4, 2), (1024, 4, 2)),
            "norm": "batch",
        }
    else:
        config.generator = {
            "network": "dcgan",
            "widths": (256, 128, 128, 128),
            "final": "conv",
            "norm": None,
            "slope": 0.2,
        }
        config.discriminator = {
            "network": "dcgan",
            "convolutions": ((64, 3, 1), (128, 3, 2), (128, 3, 2), (256, 3, 2)),
            "dropout": 0.4,
        }
    config.steps = 100_000
    if preset == "digits":  # one doubling fewer, half as wide
        config.generator.widths = (128, 64, 64)
        config.discriminator.convolutions = ((32, 3, 1), (64, 3, 2), (128, 3, 2))
        config.batch_size = 64
        config.steps = 3_000
    adam = presets.adam(2e-4, 0.5, 0.999)
    if preset == "folder_small":
        adam = presets.few_images(config, penalties=("r1(weight=0.1, every=16)",))
    return presets.players(config, adam, adam)
