"""CycleGAN, Zhu et al. 2017 (arXiv 1703.10593).

    python -m experiments.run --config=cyclegan          # digits to digits of petals
    python -m experiments.run --config=cyclegan:summer2winter \
        --config.data=unpaired:PATH                           # 256x256, the paper's
    python -m experiments.run --config=cyclegan:folder_small \
        --config.data=unpaired:PATH_A,PATH_B                  # 64x64, a CPU

PATH holds the folders trainA, trainB, testA and testB; or there are two folders, one of
each side (see docs/data.md).

Of digits2flowers 1,500 of the 4,000 steps have been run (some 10 steps/s on 2 busy CPU
cores): held-out digits come out as petals on leaves, and back as the digits they were.
At 64x64 with 6 blocks of width 32 a step takes 0.43 s of processor time. The other
presets have not been timed.
"""

import dataclasses

from configs import keys, presets

KEYS = {
    "loss": dataclasses.replace(keys.GAME["loss"], default="least_squares(factor=1.0)"),
    "augment": keys.GAME["augment"],
    "cycle": keys.Key(
        default=10.0,
        help="Weight of the L1 distance of an image to what comes back after both "
        "translations.",
        type=float,
        least=0,
    ),
    "identity": keys.Key(
        default=5.0,
        help="Weight of the L1 distance of an image to its translation to the side it "
        "is of; 0: that is not computed.",
        type=float,
        least=0,
    ),
    "pool": keys.Key(
        default=50,
        help="Earlier fakes of each side that are kept to be shown to its "
        "discriminator; 0: it is shown the new ones alone.",
        type=int,
        least=0,
        most=100_000,
    ),
    "ema": dataclasses.replace(
        keys.GAME["ema"],
        default=0.0,
        help="Decay of the generators' averages, per update; 0: no averages.",
    ),
}
FOLDER = {"data": "unpaired:images", "channels": 3, "flip": True}
PRESETS = {
    # Digits, and digits of petals, that come with scikit-learn: embedded, no download.
    "digits2flowers": {"data": "digits2flowers", "resolution": 32, "channels": 3},
    "summer2winter": {
        "data": "unpaired:summer2winter",
        "resolution": 256,
        "channels": 3,
        "flip": True,
        "jitter": 30,
    },
    # Your own two folders: --config.data=unpaired:PATH or unpaired:PATH_A,PATH_B
    "folder": {**FOLDER, "resolution": 256, "jitter": 30},
    "folder128": {**FOLDER, "resolution": 128, "jitter": 15},
    "folder_small": {**FOLDER, "resolution": 64, "jitter": 8},
}


def get_config(preset: str = "digits2flowers"):
    config = presets.run("cyclegan", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    width, blocks = (64, 9 if config.resolution >= 256 else 6)
    config.steps = 250_000 if config.resolution >= 256 else 100_000
    if preset == "folder_small":
        width, blocks, config.steps = 16, 4, 20_000
    if preset == "digits2flowers":
        width, blocks, config.steps = 8, 2, 4_000
    config.batch_size = 1
    config.generator = {"network": "translator", "width": width, "blocks": blocks}
    config.discriminator = {
        "network": "patch",
        "width": width,
        "n_layers": 3,
        "penalties": (),
    }
    adam = presets.adam(2e-4, 0.5, 0.999, schedule="half_linear")
    for player in (config.generator, config.discriminator):
        player.optimizer = adam
    config.sample_every = config.checkpoint_every = config.steps // 10
    config.evaluate_every = config.steps // 4
    config.metrics = ("fid(output='a_to_b')", "fid(output='b_to_a')", "cycle")
    return config
