"""GAN, Goodfellow et al. 2014 (arXiv 1406.2661), with multilayer perceptrons.

    python -m experiments.run --config=gan            # circle, 2-D
    python -m experiments.run --config=gan:digits     # images

circle: 28 seconds on 2 slow CPU cores (520 steps/s). 99.4 % of 10,000 samples lie
within 3 sigma of the ring, and 36 of 36 sectors are filled. The image presets have not
been run to the end.
"""

from configs import presets

PRESETS = presets.POINTS | presets.IMAGES
PRESETS |= {"cifar10_cnn": presets.IMAGES["cifar10"]}


def get_config(preset: str = "circle"):
    config = presets.game("gan", preset, PRESETS)
    config.loss = "non_saturating"  # or minimax
    config.generator = {"network": "mlp", "widths": (128, 128)}
    config.discriminator = {"network": "mlp", "widths": (128, 128)}
    adam = presets.adam(1e-3, 0.5, 0.999)
    if preset in presets.POINTS:
        config.latent = 10
        config.batch_size = 256
        config.steps = 10_000
        config.steps_per_call = 100
        config.log_every = config.sample_every = 1000
        config.checkpoint_every = 5000
        config.metrics = ("modes",)
    elif preset == "cifar10_cnn":  # on which stabilisers are timed
        presets.convolutional(config, 512)
        config.discriminator.convolutions = ((64, 4, 2), (128, 4, 2), (256, 4, 2))
        config.steps = 100_000
        adam = presets.adam(1e-4, 0.0, 0.9)
    else:
        config.latent = 100
        config.generator.widths = (256, 512, 1024)
        config.discriminator.widths = (1024, 512, 256)
        config.discriminator.slope = 0.2
        config.discriminator.dropout = 0.3
        adam = presets.adam(2e-4, 0.5, 0.999)
    return presets.players(config, adam, adam)
