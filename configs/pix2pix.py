"""pix2pix, Isola et al. 2017 (arXiv 1611.07004).

    python -m experiments.run --config=pix2pix          # colour for grey photographs
    python -m experiments.run --config=pix2pix:facades \
        --config.data=pairs:PATH                              # 256x256, the paper's
    python -m experiments.run --config=pix2pix:folder_small \
        --config.data=pairs:PATH                              # 64x64, a CPU

PATH holds pictures whose left half is side a and whose right half is side b, or two
folders a and b with pictures of the same names (see docs/data.md).

photos: 23 minutes on 2 very busy CPU cores (2 to 20 steps/s, 4 minutes of it
compiling). Held-out crops get the colours of petals, leaves and sky; details are
softened. l1 0.130, psnr 21.6, ssim 0.68, of the network's output; scores are now of the
picture with its own lightness.

At facades128 a step takes 0.58 s of processor time, and 0.16 s with generator.width=32
and discriminator.width=32; docs/translation.md has the scores of 24,000 such steps. The
other presets have not been timed.
"""

import dataclasses

from configs import keys, presets

KEYS = {
    "direction": keys.Key(
        default="a_to_b",
        help="Whether side b is made of side a, or side a of side b.",
        type=str,
        choices=("a_to_b", "b_to_a"),
    ),
    "loss": keys.GAME["loss"],
    "augment": keys.GAME["augment"],
    "conditional": keys.Key(
        default=True,
        help="Whether the discriminator sees what is given beside what is made.",
        type=bool,
    ),
    "gan_weight": keys.Key(
        default=1.0,
        help="Weight of the generator's adversarial loss; 0: there is no "
        "discriminator.",
        type=float,
        least=0,
    ),
    "l1": keys.Key(
        default=100.0,
        help="Weight of the generator's L1 distance to the real image.",
        type=float,
        least=0,
    ),
    "ema": dataclasses.replace(
        keys.GAME["ema"],
        default=0.0,
        help="Decay of the generator's average, per update; 0: no average.",
    ),
}
FACADES = {"data": "pairs:facades", "channels": 3, "flip": True}
FOLDER = {"data": "pairs:images", "channels": 3, "flip": True}
PRESETS = {
    # Crops of scikit-learn's two photographs: embedded, no download.
    "photos": {"data": "colourise:photos", "resolution": 64, "flip": True},
    # CMP facades: side a is the photograph, side b the labels.
    "facades": {**FACADES, "resolution": 256, "jitter": 30},
    "facades128": {**FACADES, "resolution": 128, "jitter": 15},
    # Your own pairs: --config.data=pairs:PATH
    "folder": {**FOLDER, "resolution": 256, "jitter": 30},
    "folder_small": {**FOLDER, "resolution": 64, "jitter": 8},
}


def get_config(preset: str = "photos"):
    config = presets.run("pix2pix", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    width, config.steps, schedule = 64, 80_000, "half_linear"
    if preset in ("facades", "facades128"):
        config.direction = "b_to_a"
    if preset == "facades":
        schedule = "constant"  # as in the paper
    if preset in ("photos", "folder_small"):
        width, config.steps = 32, 10_000
    if preset == "photos":
        width, config.steps = 16, 3_000
    config.batch_size = 1
    config.generator = {"network": "unet", "width": width}
    config.discriminator = {
        "network": "patch",
        "width": width,
        "n_layers": 3,
        "norm": "instance(affine=True)",  # batch norm, at a batch of one
        "penalties": (),
    }
    rate = 5e-4 if preset == "photos" else 2e-4
    adam = presets.adam(rate, 0.5, 0.999, schedule=schedule)
    for player in (config.generator, config.discriminator):
        player.optimizer = adam
    config.sample_every = config.checkpoint_every = config.steps // 10
    config.evaluate_every = config.steps // 4
    config.metrics = ("l1", "psnr", "ssim")
    return config
