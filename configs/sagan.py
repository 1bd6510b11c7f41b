"""SAGAN, Zhang et al. 2019 (arXiv 1805.08318).

    python -m experiments.run --config=sagan            # digits
    python -m experiments.run --config=sagan:cifar10

digits: 4 min 40 s on one busy CPU core (8 steps/s). The samples show all ten classes,
and about two in three are legible at a glance. The other presets have not been run to
the end.
"""

from configs import presets


def get_config(preset: str = "digits"):
    config = presets.game("sagan", preset, presets.IMAGES)
    config.loss = "hinge"
    digits = preset == "digits"
    n = {16: 2, 32: 3, 64: 4, 128: 5}[config.resolution]
    config.generator = {
        "network": "resnet",
        "widths": (32 if digits else 256,) * (n + 1),
        "spectral": True,
        "attention": 8 if digits else 16,
    }
    config.discriminator = {
        "network": "resnet",
        "widths": (32 if digits else 128,) * (n + 1),
        "n_down": n - 1,
        "spectral": True,
        "attention": 8 if digits else 16,
    }
    config.steps = 2_000 if digits else 100_000
    # Two learning rates, slower for the generator (section 4.2).
    adam = presets.adam(1e-4, 0.0, 0.9), presets.adam(4e-4, 0.0, 0.9)
    return presets.players(config, *adam)
