"""TGAN, Saito, Matsumoto and Saito 2017 (arXiv 1611.06624): clips.

    python -m experiments.run --config=tgan                 # two digits that move
    python -m experiments.run --config=tgan:folder --config.data=video:PATH
    python -m experiments.run --config=tgan:paper --config.data=video:PATH

PATH holds videos (see docs/video.md). --config.frames is 8, 16, 32 or another multiple
of 2 to the power of the number of generator.frame_widths, and --config.resolution a
multiple of 2 to the power of the number of generator.widths less one. With
--config.singular_every=0 --config.discriminator.optimizer.clip=0.01 weights are clipped
in place of singular values.

moving: 32x32, a sixth as wide as the paper's, with other learning rates. paper: the
paper's sizes and optimiser; not trained here.
"""

from configs import keys, presets

KEYS = {
    "singular_every": keys.Key(
        default=5,
        help="Steps between two clippings of the critic's singular values to 1, and "
        "of its batch norms' gains; 0: not.",
        type=int,
        least=0,
        most=2**31 - 1,
    )
}
PRESETS = {
    # Two of scikit-learn's digits, bouncing in a frame: generated, no download.
    "moving": {"data": "moving:digits", "resolution": 32, "channels": 1},
    # Your own videos, on a CPU: --config.data=video:PATH
    "folder": {"data": "video:videos", "resolution": 32, "channels": 3, "flip": True},
    "paper": {"data": "video:videos", "resolution": 64, "channels": 3, "flip": True},
}


def get_config(preset: str = "moving"):
    config = presets.game("tgan", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    config.loss = "wasserstein"
    config.batch_size = 32
    if preset == "paper":
        width, frame_width, frame_latent, rate = 512, 512, 100, 5e-5
        config.latent, config.steps, config.ema = 100, 100_000, 0.0
    else:
        width, frame_width, frame_latent, rate = 96, 128, 32, 1e-3
        config.latent, config.steps, config.batch_size = 64, 8_000, 16
        config.evaluate_every, config.n_evaluate = 4_000, 1_000
        config.metrics = ("fid", "displacement", "frames")
    doublings = {16: 2, 32: 3, 64: 4}[config.resolution]
    config.sample_every = config.checkpoint_every = config.steps // 10
    config.generator = {
        "network": "video",
        "widths": tuple(max(width >> i, 16) for i in range(doublings + 1)),
        "frame_widths": tuple(max(frame_width >> i, 128) for i in range(3)) + (128,),
        "frame_latent": frame_latent,
        "norm": "batch",
    }
    narrow = width // 8 * 2 ** (4 - doublings)
    config.discriminator = {
        "network": "video",
        "widths": tuple(narrow << i for i in range(doublings)),
        "norm": "batch(bias=False)",
    }
    rmsprop = {
        "name": "rmsprop",
        "learning_rate": rate,
        "decay": 0.99,
        "schedule": "constant",
    }
    return presets.players(config, rmsprop, rmsprop)
