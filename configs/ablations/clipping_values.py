"""WGAN's clipping at four values, with WGAN-GP beside it.

    python -m experiments.ablate --config=clipping_values
    python -m experiments.ablate --config=clipping_values:ring8
    python -m experiments.ablate --config=clipping_values:cifar10

Gulrajani et al. 2017 (arXiv 1704.00028), section 3 and figure 1: small clipping values
make gradients vanish, large ones make them explode. 0.001, 0.01 and 0.1 are the
figure's values; WGAN (arXiv 1701.07875) uses 0.01. All arms see the same number of real
images, with 5 updates of the critic per update of the generator and no normalisation in
the critic. Each method has its own optimiser: RMSprop for WGAN, Adam for WGAN-GP. In
2-D the penalty's weight is 0.1, as in its authors' code. Deviations: the critics have 3
to 8 layers, while the gradients in the figure vanish with depth; in the small presets
the learning rates are five times the papers' 5e-5 and 1e-4.
"""

from configs import presets
from configs.ablations import bases

CLIPS = (0.001, 0.01, 0.1, 1.0)


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    base.loss = "wasserstein"
    base.n_critic = 5
    base.steps = {"digits": 4_000, "ring8": 40_000, "cifar10": 500_000}[preset]
    factor = 1 if preset == "cifar10" else 5
    arms = {f"clip{c:g}": bases.rmsprop(5e-5 * factor, clip=c) for c in CLIPS}
    arms["gp"] = {
        **bases.gradient_penalty(0.1 if preset == "ring8" else 10.0),
        **bases.adam(1e-4 * factor, 0.0, 0.9),
    }
    return presets.ablation(base, arms, baseline="clip0.01")
