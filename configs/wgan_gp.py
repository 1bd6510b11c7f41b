"""WGAN-GP, Gulrajani et al. 2017 (arXiv 1704.00028).

    python -m experiments.run --config=wgan_gp             # digits
    python -m experiments.run --config=wgan_gp:cifar10     # a ResNet
    python -m experiments.run --config=wgan_gp:cifar10_cnn # a plain CNN
    python -m experiments.run --config=wgan_gp:ring8       # 2-D

digits: 3 minutes on 2 CPU cores (23 steps/s). The samples show all ten classes, and
nearly all are legible at a glance.

ring8: 2 minutes on one busy core; 8 of 8 modes, 96.2 % of samples within 3 sigma.
grid25: 4 minutes on one busy core; 25 of 25 modes, 90.9 %.
circle: 2 minutes on one busy core; 36 of 36 sectors, 99.8 %.

The other presets have not been run to the end; cifar10_cnn takes 0.24 s per step.
"""

from configs import presets

PRESETS = presets.POINTS | presets.IMAGES | presets.FEW
PRESETS |= {"cifar10_cnn": presets.IMAGES["cifar10"]}


def get_config(preset: str = "digits"):
    config = presets.game("wgan_gp", preset, PRESETS)
    config.loss = "wasserstein"
    penalty = "gradient_penalty(weight=10)"
    config.n_critic = 5
    adam = presets.adam(1e-4, 0.0, 0.9)
    if preset in presets.POINTS:
        config.latent = 2
        config.batch_size = 256
        penalty = "gradient_penalty(weight=0.1)"
        config.generator = {"network": "mlp", "widths": (128, 128, 128)}
        config.discriminator = {"network": "mlp", "widths": (128, 128, 128)}
        config.steps = 80_000 if preset == "grid25" else 30_000
        config.steps_per_call = 100
        config.log_every = 1000
        config.sample_every = config.checkpoint_every = 5000
        config.metrics = ("modes",)
        adam = presets.adam(1e-3, 0.5, 0.9, schedule="linear")
    elif preset == "cifar10":
        # Table 3's ResNet: 128 channels, learning rate decayed linearly to 0.
        config.steps = 500_000
        config.generator = {
            "network": "resnet",
            "widths": (128,) * 4,
            "kernel_init": "he",
        }
        config.discriminator = {
            "network": "resnet",
            "widths": (128,) * 4,
            "pool": "mean",
            "kernel_init": "he",
        }
        adam = presets.adam(2e-4, 0.0, 0.9, schedule="linear")
    else:
        presets.convolutional(config, 128 if preset == "digits" else 512)
        config.steps = 100_000
        if preset == "cifar10_cnn":  # half as wide as the generator's mirror image
            config.discriminator.convolutions = ((64, 4, 2), (128, 4, 2), (256, 4, 2))
        if preset == "digits":  # sized for minutes on a laptop
            config.steps = 4_000
            config.metrics = ("fid", "pr", "classes")
            config.sample_every = config.evaluate_every = 500  # a curve of the quality
            config.n_evaluate = 2_000
            config.n_critic = 1
            config.latent = 8  # fewer samples between classes than with 128
            adam = presets.adam(1e-3, 0.5, 0.9, schedule="linear")
    if preset == "folder_small":
        adam = presets.few_images(config)
    config.discriminator.penalties = (penalty,)
    return presets.players(config, adam, adam)
