"""LSGAN, Mao et al. 2017 (arXiv 1611.04076).

    python -m experiments.run --config=lsgan            # digits
    python -m experiments.run --config=lsgan:cifar10

digits: 3 minutes on 2 slow, busy CPU cores (12 steps/s). The samples show all ten
classes, and most of them are legible at a glance. The other presets have not been run
to the end.
"""

from configs import keys, presets

KEYS = {
    "targets": keys.Key(
        default=(0.0, 1.0, 1.0),
        help="What the discriminator aims at: a (fake), b (real), and c, what the "
        "generator wants it to say; equation 9. (-1, 1, 0) is equation 8.",
        type=tuple[float, float, float],
    )
}


def get_config(preset: str = "digits"):
    config = presets.game("lsgan", preset, presets.IMAGES | presets.FEW)
    config.loss = "least_squares"
    config.update(keys.defaults(KEYS))
    presets.convolutional(config, 128 if preset == "digits" else 512)
    config.steps = 2_000 if preset == "digits" else 100_000
    for player in (config.generator, config.discriminator):
        player.kernel_init = "normal"
    adam = presets.adam(2e-4, 0.5, 0.999)
    if preset == "folder_small":
        adam = presets.few_images(config, penalties=("r1(weight=0.1, every=16)",))
    return presets.players(config, adam, adam)
