"""GAN-CLS and GAN-INT-CLS, text to image, Reed et al. 2016 (arXiv 1605.05396).

    python -m experiments.run --config=gan_cls            # digits, from sentences
    python -m experiments.run --config=gan_cls:emoji --config.data=captions:PATH
    python -m experiments.run --config=gan_cls:paper --config.data=captions:PATH
    python -m experiments.sample --workdir=DIR --text="a large thin three"

PATH is a folder of pictures with a .txt beside each, or a table (see docs/text.md).
With interpolation=None it is GAN-CLS. The presets have not been run to the end yet.
"""

import dataclasses

from configs import keys, presets

KEYS = {
    "loss": keys.GAME["loss"],
    "latent": dataclasses.replace(keys.GAME["latent"], default=100),
    "augment": keys.GAME["augment"],
    "ema": dataclasses.replace(
        keys.GAME["ema"],
        default=0.0,
        help="Decay of the generator's average, per update; 0: no average.",
    ),
    "interpolation": keys.Key(
        default=0.5,
        help="Beta of sentences between two, which the generator learns from too; "
        "None: there are none, which is GAN-CLS.",
        type=float,
        optional=True,
        least=0,
        most=1,
    ),
    "wrong_weight": keys.Key(
        default=0.5,
        help="Weight of real images with a wrong sentence in the discriminator's loss; "
        "that of fakes is 1 less this.",
        type=float,
        least=0,
        below=1,
    ),
    "averaged": keys.Key(
        default=1,
        help="Sentences of an image, drawn in each step, whose vectors are averaged.",
        type=int,
        least=1,
        most=64,
    ),
    "words": keys.Key(
        default="mean",
        help="How the words of a sentence become one vector: their mean, or a GRU.",
        type=str,
        choices=("mean", "gru"),
    ),
    "text_features": keys.Key(
        default=128,
        help="Features of that vector; of data with vectors of their own, theirs.",
        type=int,
        least=1,
        most=2**14,
    ),
    "encoder_steps": keys.Key(
        default=1000,
        help="Steps in which the encoder of sentences learns, by their images, before "
        "the GAN does; 0: it keeps its first weights.",
        type=int,
        least=0,
        most=2**31 - 1,
    ),
    "encoder_rate": keys.Key(
        default=1e-3,
        help="Learning rate of those steps, of Adam.",
        type=float,
        above=0,
    ),
    "pictures_width": keys.Key(
        default=16,
        help="Channels of the first convolution of the images' encoder.",
        type=int,
        least=1,
        most=1024,
    ),
}
PRESETS = {
    # scikit-learn's digits, drawn in several ways, with sentences: no download.
    "digits": {
        "data": "captions:digits",
        "resolution": 32,
        "channels": 1,
        **presets.OWN_LABELS,
    },
    # Drawings with names and keywords: --config.data=captions:PATH
    "emoji": {"data": "captions:emoji", "resolution": 64, "channels": 3},
    # Your own pictures and sentences, or birds and flowers with theirs.
    "paper": {
        "data": "captions:birds",
        "resolution": 64,
        "channels": 3,
        "flip": True,
        "jitter": 12,
    },
}


def get_config(preset: str = "digits"):
    config = presets.run("gan_cls", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    width = {"digits": 16, "emoji": 32, "paper": 128}[preset]
    shared = {"network": "text", "text": 128, "norm": "batch"}
    config.generator = {**shared, "width": width}
    config.discriminator = {**shared, "width": min(width, 64)}
    adam = presets.adam(2e-4, 0.5, 0.999)
    if preset == "paper":  # batches of 64 birds, 8,855: halved every 100 of 600 epochs
        epoch = 139
        config.steps = 600 * epoch + 10_000
        config.encoder_steps, config.averaged, config.text_features = 10_000, 4, 1024
        config.words, config.pictures_width = "gru", 64
        drops = tuple(100 * i * epoch for i in range(1, 6))
        adam = presets.adam(2e-4, 0.5, 0.999, drops=drops)
        config.evaluate_every = 0
    else:
        config.ema = 0.999
        config.steps = {"digits": 6_000, "emoji": 30_000}[preset]
        config.encoder_steps = {"digits": 1_000, "emoji": 3_000}[preset]
        adam = presets.adam(5e-4, 0.5, 0.99, schedule="linear")
    if preset == "digits":
        config.text_features, config.generator.text = 64, 64
        config.discriminator.text = 64
        for player in (config.generator, config.discriminator):
            player.residual = False
        config.metrics = ("text_match", "r_precision", "fid")
    else:
        config.metrics = ("r_precision", "fid")
    if preset == "emoji":
        config.augment = ("diff_augment",)
    config.sample_every = config.checkpoint_every = config.steps // 6
    config.n_evaluate = 1_000
    return presets.players(config, adam, adam)
