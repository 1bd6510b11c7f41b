"""WGAN, Arjovsky et al. 2017 (arXiv 1701.07875).

    python -m experiments.run --config=wgan             # digits
    python -m experiments.run --config=wgan:cifar10

digits: 6 min 25 s on one busy CPU core (23 steps/s). The samples are soft, and about
half are legible at a glance: training with clipped weights is slow, as the paper of
WGAN-GP reports. The other presets have not been run to the end.
"""

from configs import keys, presets

KEYS = {
    "warmup": keys.Key(
        default=2500,
        help="Steps with 100 updates of the critic for one of the generator: 25 of the "
        "generator's in the paper's code, before 5 to 1.",
        type=int,
        least=0,
        most=2**31 - 1,
    )
}


def get_config(preset: str = "digits"):
    config = presets.game("wgan", preset, presets.IMAGES)
    config.loss = "wasserstein"
    config.n_critic = 5
    config.update(keys.defaults(KEYS))
    if preset == "digits":
        config.warmup = 300
    presets.convolutional(config, 128 if preset == "digits" else 512)
    config.steps = 8_000 if preset == "digits" else 500_000
    rmsprop = {
        "name": "rmsprop",
        "learning_rate": 2e-4 if preset == "digits" else 5e-5,
        "decay": 0.99,
        "schedule": "constant",
    }
    for player in (config.generator, config.discriminator):
        player.kernel_init = "normal"
    return presets.players(config, rmsprop, {**rmsprop, "clip": 0.01})
