"""Four methods on five architectures: which combinations train?

    python -m experiments.ablate --config=wgan_gp_paper
    python -m experiments.ablate --config=wgan_gp_paper:cifar10

Gulrajani et al. 2017 (arXiv 1704.00028), section 5.2 and figure 2: only WGAN-GP trains
all architectures, with one setting. Each method has the optimiser of section 5.2 and of
the authors' code. All methods make the same number of generator updates; as n_critic =
5, WGAN and WGAN-GP see five times as many real images.

digits: a run has 800 updates, so all learning rates are five times the paper's. The
multilayer perceptron has 4 layers of 128 units, and the networks are small (see
bases.py). cifar10: the paper's sizes and 200,000 updates, at 32x32 instead of LSUN's
64x64, with one layer fewer.

Deviations: the gated nonlinearities and the 101-layer ResNet are left out, as our
networks have neither. Kernels are 4x4, not 5x5. WGAN-GP's critic has no normalisation
where the paper's has layer normalisation, so its "no_norm" differs from "dcgan" only in
the generator.
"""

from configs import presets
from configs.ablations import bases

ARCHITECTURES = ("dcgan", "constant", "mlp", "no_norm", "tanh")
METHODS = ("gan", "lsgan", "wgan", "wgan_gp")
# Real batches for each update of the generator.
N_CRITIC = {"gan": 1, "lsgan": 1, "wgan": 5, "wgan_gp": 5}


def _architecture(name, base, width, size):
    g = base.generator.to_dict()
    mlp = {"network": "mlp", "widths": (size,) * 4}
    mlp |= {key: g[key] for key in ("penalties", "optimizer")}
    return {
        "dcgan": {},
        # No batch norm, and a constant number of filters, in the generator.
        "constant": {
            "generator.norm": None,
            "generator.widths": (width,) * len(g["widths"]),
        },
        "mlp": {"generator": mlp},
        "no_norm": bases.both("norm", None),
        "tanh": bases.both("activation", "tanh"),
    }[name]


def _method(name, factor):
    return {
        "gan": {"loss": "non_saturating", **bases.adam(2e-4 * factor, 0.5, 0.999)},
        "lsgan": {"loss": "least_squares", **bases.rmsprop(1e-4 * factor, 0.9)},
        "wgan": {"loss": "wasserstein", **bases.rmsprop(5e-5 * factor, 0.9, clip=0.01)},
        "wgan_gp": {
            "loss": "wasserstein",
            "discriminator.norm": None,
            **bases.gradient_penalty(10.0),
            **bases.adam(1e-4 * factor, 0.0, 0.9),
        },
    }[name]


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "cifar10")
    base.discriminator.norm = "batch"
    if preset == "digits":
        factor, updates, width, size = 5, 800, 16, 128
    else:
        factor, updates, width, size = 1, 200_000, 64, 512
        base.ema = 0.0
        base.generator.widths = (256, 128, 64)
        base.generator.final = "transpose"
        base.discriminator.convolutions = ((64, 4, 2), (128, 4, 2), (256, 4, 2))
        base.discriminator.slope = 0.2
    arms = {
        f"{method}_{architecture}": {
            **_architecture(architecture, base, width, size),
            **_method(method, factor),
            "n_critic": N_CRITIC[method],
            "steps": updates * N_CRITIC[method],
        }
        for method in METHODS
        for architecture in ARCHITECTURES
    }
    return presets.ablation(base, arms, baseline="wgan_gp_dcgan")
