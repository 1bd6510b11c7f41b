"""TadGAN, Geiger et al. 2020 (arXiv 2009.07769): time series and their anomalies.

    python -m experiments.run --config=tadgan              # a signal that is a formula
    python -m experiments.run --config=tadgan:folder --config.data=series:PATH
    python -m experiments.run --config=tadgan:orion \
        --config.data=series:PATH:interval=600

PATH is a file or a folder of .csv, .npy or .npz (see docs/series.md). `orion` is the
recipe of the authors' code, Orion 0.7.1, and `paper` the text's: one convolution in the
critic, and 2,000 epochs. An epoch of N windows is N / 64 steps, of which each fifth
updates encoder and generator; `steps` are 35 and 2,000 epochs of the demo's 2,301.
"""

import dataclasses

from configs import keys, presets

KEYS = {
    "latent": dataclasses.replace(keys.GAME["latent"], default=20),
    "n_critic": dataclasses.replace(
        keys.GAME["n_critic"],
        default=5,
        help="Updates of the critics, of a batch each, for one of encoder and "
        "generator.",
    ),
    "cycle": keys.Key(
        default=10.0,
        help="Weight of the mean squared error of windows that are encoded and "
        "decoded.",
        type=float,
        least=0,
    ),
    "encoder_width": keys.Key(
        default=100,
        help="Units of the encoder's LSTM, in each direction.",
        type=int,
        least=1,
        most=10_000,
    ),
    "latent_width": keys.Key(
        default=20,
        help="Features of each of the two layers of the critic of latents.",
        type=int,
        least=1,
        most=10_000,
    ),
    "latent_dropout": keys.Key(
        default=0.2, help="Dropout in that critic.", type=float, least=0, below=1
    ),
    "ema": dataclasses.replace(
        keys.GAME["ema"],
        default=0.0,
        help="Decay of the averages of encoder and generator, per update; 0: none.",
    ),
}
DEMO = {"data": "series:demo"}
PRESETS = {
    # 2,400 hours with five anomalies: embedded, no download.
    "demo": DEMO,
    # The authors' recipes.
    "orion": DEMO,
    "paper": DEMO,
    # Your own signals: --config.data=series:PATH
    "folder": {"data": "series:signals"},
}


def get_config(preset: str = "demo"):
    config = presets.run("tadgan", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    config.batch_size = 64
    dropout = 0.2 if preset in ("orion", "paper") else 0.0
    config.generator = {
        "network": "series",
        "width": 64,
        "dropout": dropout,
        "recurrent_dropout": dropout,
    }
    config.discriminator = {
        "network": "series",
        "width": 64,
        "depth": 1 if preset == "paper" else 4,
        "dropout": 0.25,
        "penalties": ("gradient_penalty(weight=10)",),
    }
    for player in (config.generator, config.discriminator):
        player.optimizer = presets.adam(5e-4, 0.9, 0.999)
    config.steps = {"orion": 1_225, "paper": 70_000}.get(preset, 3_000)
    config.steps_per_call = 5
    config.log_every = 25 if preset == "orion" else 100
    config.sample_every = config.checkpoint_every = {"orion": 1_225}.get(preset, 1_000)
    config.diagnose_every = 0
    return config
