"""3D-GAN, Wu et al. 2016 (arXiv 1610.07584): volumes.

    python -m experiments.run --config=gan3d                 # digits as turned plates
    python -m experiments.run --config=gan3d:chairs --config.data=voxels:PATH
    python -m experiments.run --config=gan3d:paper --config.data=voxels:PATH

PATH is a folder of volumes or meshes, or an array of volumes (see docs/voxels.md).
--config.resolution is a multiple of 2 to the power of the number of generator.widths.

digits: 32x32x32, an eighth as wide as the paper's, with other learning rates, latents
that stay N(0, 1), and R1 in place of batch norm in the discriminator: narrow networks
with the paper's made the same mean solid of all latents. chairs: a quarter as wide.
paper: 64x64x64 with the paper's sizes, rates and batches; not trained here.
"""

from configs import keys, presets

KEYS = {
    "accuracy_limit": keys.Key(
        default=0.8,
        help="The discriminator is updated only where it was right about at most this "
        "share of the last batch, real and fake; 1: in each step.",
        type=float,
        above=0,
        most=1,
    )
}
PRESETS = {
    # scikit-learn's digits, as plates that are turned: generated, no download.
    "digits": {"data": "voxels:digits", "resolution": 32, "channels": 1},
    # Your own volumes, on a CPU: --config.data=voxels:PATH
    "chairs": {"data": "voxels:chairs.npz", "resolution": 32, "channels": 1},
    "paper": {"data": "voxels:volumes", "resolution": 64, "channels": 1},
}


def get_config(preset: str = "digits"):
    config = presets.game("gan3d", preset, PRESETS)
    config.update(keys.defaults(KEYS))
    config.latent = 200
    paper = preset == "paper"
    if paper:
        width, rates, betas = 64, (2.5e-3, 1e-5), (0.5, 0.999)
        config.batch_size, config.steps, config.ema = 100, 50_000, 0.0
    else:
        width, config.steps = {"digits": (8, 3_000), "chairs": (16, 10_000)}[preset]
        rates, betas, config.batch_size = (2e-3, 5e-4), (0.5, 0.99), 32
    widths = tuple(width << i for i in range({32: 3, 64: 4}[config.resolution]))
    config.generator = {"network": "voxels", "widths": widths[::-1], "norm": "batch"}
    config.generator["uniform"] = paper
    config.discriminator = {"network": "voxels", "widths": widths}
    if paper:
        config.discriminator["norm"] = "batch"
    else:
        config.discriminator["penalties"] = ("r1(weight=0.1)",)
    config.sample_every = config.checkpoint_every = config.steps // 10
    config.evaluate_every, config.n_evaluate = config.steps // 2, 500
    config.metrics = ("shapes", "fid", "classes") if preset == "digits" else ("shapes",)
    return presets.players(config, *(presets.adam(rate, *betas) for rate in rates))
