"""WGAN-GP: the penalty's weight, and the critic's updates per update of the generator.

    python -m experiments.ablate --config=lambda_ncritic
    python -m experiments.ablate --config=lambda_ncritic:ring8
    python -m experiments.ablate --config=lambda_ncritic:cifar10

Gulrajani et al. 2017 (arXiv 1704.00028, algorithm 1) use lambda = 10 and n_critic = 5
for images, and report that this works for many data sets; their code uses lambda = 0.1
for 2-D data, so the 2-D preset varies lambda around 0.1. All arms see the same number
of real images: with n_critic = 5, the generator is updated a fifth as often as with 1.
Deviations: small networks and higher learning rates, except in `cifar10`.
"""

from configs import presets
from configs.ablations import bases

LAMBDAS = {"digits": (0.1, 1.0, 10.0, 100.0), "ring8": (0.001, 0.01, 0.1, 1.0)}
N_CRITIC = (1, 2, 5)


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    base.loss = "wasserstein"
    if preset == "ring8":
        base.steps = 20_000
    rate = {"digits": 1e-3, "ring8": 1e-3, "cifar10": 1e-4}[preset]
    b1 = 0.0 if preset == "cifar10" else 0.5
    for player in (base.generator, base.discriminator):
        player.optimizer = presets.adam(rate, b1, 0.9)
    arms = {
        f"lambda{weight:g}_n{n}": {"n_critic": n, **bases.gradient_penalty(weight)}
        for weight in LAMBDAS.get(preset, LAMBDAS["digits"])
        for n in N_CRITIC
    }
    papers = "lambda0.1_n5" if preset == "ring8" else "lambda10_n5"
    return presets.ablation(base, arms, baseline=papers)
