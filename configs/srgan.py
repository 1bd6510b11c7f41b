"""SRGAN, Ledig et al. 2016 (arXiv 1609.04802); ESRGAN, Wang et al. 2018 (1809.00219).

    python -m experiments.run --config=srgan         # x4, scikit-learn's photographs
    python -m experiments.run --config=srgan:folder_small --config.data=sr:PATH
    python -m experiments.run --config=srgan:paper --config.data=sr:TRAIN,TEST \
        --config.content_weights=vgg19-dcbb9e9d.pth
    python -m experiments.run --config=srgan:esrgan ...     # and srgan:real

PATH holds pictures of any size (see docs/superresolution.md); sr:PATH:scale=2 is
another scale. `pretrain` steps learn a distance, the others play the game. Without
weights of VGG19, content=squeezenet_fire5 takes an .npz of SqueezeNet; with content=""
there is no content loss, as in photos.

No preset has been trained to its end here. folder_small with narrower networks, 8,000
steps in all, has 30.70 dB on Set5, 27.74 on Set14 and 27.08 on BSD100 before the game
begins, and the best LPIPS after it: docs/superresolution.md.
"""

import dataclasses

from configs import keys, presets

KEYS = {
    "loss": keys.GAME["loss"],
    "augment": keys.GAME["augment"],
    "pretrain": keys.Key(
        default=0,
        help="So many of the steps, the first, learn a distance, without a "
        "discriminator.",
        type=int,
        least=0,
        most=10**9,
    ),
    "pretrain_loss": keys.Key(
        default="mse",
        help="That distance to the real image.",
        type=str,
        choices=("l1", "mse"),
    ),
    "pretrain_rate": keys.Key(
        default=None,
        help="Learning rate in these steps; None: the generator's.",
        type=float,
        optional=True,
        above=0,
    ),
    "pretrain_drops": keys.Key(
        default=(),
        help="After so many of these steps each, the learning rate is multiplied by "
        "generator.optimizer.drop.",
        type=tuple[int, ...],
        least=1,
    ),
    "content": keys.Key(
        default="",
        help="Features of the content loss: vgg19_relu5_4 (VGG54), vgg19_relu2_2 "
        "(VGG22), vgg19_conv5_4 (ESRGAN), squeezenet_fire5; empty: no content loss.",
        type=str,
    ),
    "content_weights": keys.Key(
        default="",
        help="File of the weights of that network: torchvision's vgg19-*.pth, or an "
        ".npz of SqueezeNet.",
        type=str,
    ),
    "content_loss": keys.Key(
        default="mse",
        help="Distance of the features.",
        type=str,
        choices=("l1", "mse"),
    ),
    "content_weight": keys.Key(
        default=1.0, help="Weight of the content loss.", type=float, least=0
    ),
    "adversarial_weight": keys.Key(
        default=1e-3,
        help="Weight of the generator's adversarial loss.",
        type=float,
        least=0,
    ),
    "l1": keys.Key(
        default=0.0,
        help="Weight of the generator's L1 distance, beside the adversarial loss.",
        type=float,
        least=0,
    ),
    "ema": dataclasses.replace(
        keys.GAME["ema"],
        default=0.999,
        help="Decay of the generator's average, per update; 0: no average.",
    ),
}
FOLDER = {"data": "sr:images", "channels": 3, "flip": True}
REAL = "sr:images:blur=0.2..3:noise=1..15:jpeg=30..95"
PRESETS = {
    # Parts of scikit-learn's two photographs: embedded, no download.
    "photos": {"data": "sr:photos", "resolution": 64, "channels": 3, "flip": True},
    # Your own pictures, on a CPU: --config.data=sr:PATH
    "folder_small": {**FOLDER, "resolution": 96},
    # SRGAN as in the paper, ESRGAN, and with the degradations of Real-ESRGAN.
    "paper": {**FOLDER, "resolution": 96},
    "esrgan": {**FOLDER, "resolution": 128},
    "real": {**FOLDER, "data": REAL, "resolution": 256},
}


def get_config(preset: str = "photos"):
    config = presets.run("srgan", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    config.batch_size = 16
    if preset in ("esrgan", "real"):
        _esrgan(config, preset)
    else:
        _srgan(config, preset)
    config.sample_every = config.checkpoint_every = config.steps // 10
    config.evaluate_every = config.steps // 4
    # On Y and on RGB, without a border as wide as the scale.
    parts = ("crop=4, luma=True", "crop=4")
    config.metrics = tuple(f"{x}({y})" for y in parts for x in ("psnr", "ssim"))
    return config


def _srgan(config, preset):
    width, blocks, dense = 64, 16, 1024
    config.steps, config.pretrain = 1_200_000, 1_000_000
    config.content = "vgg19_relu5_4"
    network, rate = "srresnet", 1e-4
    if preset in ("folder_small", "photos"):
        network, width, blocks, dense = "msrresnet", 32, 8, 128
        config.steps, config.pretrain, rate = 40_000, 30_000, 2e-4
        config.content, config.pretrain_loss, config.l1 = "", "l1", 1.0
        config.pretrain_rate = 5e-4
        config.adversarial_weight = 5e-3
    if preset == "photos":
        width, blocks, dense = 16, 4, 64
        config.steps, config.pretrain = 3_000, 2_000
    config.generator = {"network": network, "width": width, "blocks": blocks}
    d = {"network": "vgg", "width": width, "dense": dense, "norm": "batch"}
    config.discriminator = {**d, "penalties": ()}
    # Section 3.2: a tenth of the rate for the second half of the game.
    drops = {"drops": (100_000,), "drop": 0.1} if preset == "paper" else {}
    for player in (config.generator, config.discriminator):
        player.optimizer = presets.adam(rate, 0.9, 0.999, **drops)


def _esrgan(config, preset):
    config.loss = "relativistic_average"
    config.content, config.content_loss = "vgg19_conv5_4", "l1"
    config.pretrain_loss, config.pretrain_rate = "l1", 2e-4
    config.adversarial_weight, config.l1 = 5e-3, 1e-2
    config.steps, config.pretrain = 1_400_000, 1_000_000
    config.generator = {"network": "rrdb", "width": 64, "growth": 32, "blocks": 23}
    d = {"network": "vgg", "width": 64, "stages": 5, "strided": 4, "dense": 100}
    config.discriminator = {**d, "bias": False, "norm": "batch", "penalties": ()}
    if preset == "real":
        config.loss, config.adversarial_weight, config.l1 = "non_saturating", 0.1, 1.0
        config.discriminator = {"network": "unet", "width": 64, "penalties": ()}
    drops = {}
    if preset == "esrgan":  # section 4.1: halved in both stages
        config.pretrain_drops = (200_000, 400_000, 600_000, 800_000)
        drops = {"drops": (50_000, 100_000, 200_000, 300_000), "drop": 0.5}
    for player in (config.generator, config.discriminator):
        player.optimizer = presets.adam(1e-4, 0.9, 0.99, **drops)
