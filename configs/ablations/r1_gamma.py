"""R1: none, and four orders of magnitude of gamma.

    python -m experiments.ablate --config=r1_gamma          # ring8
    python -m experiments.ablate --config=r1_gamma:digits
    python -m experiments.ablate --config=r1_gamma:cifar10

Mescheder et al. 2018 (arXiv 1801.04406), section 4.1 and equation 9: training converges
with R1 where it does not without. gamma is 10 in the paper, and 0.1 to 10 in later
work. Deviation: Adam without momentum (b1 = 0) instead of the paper's RMSprop.
"""

from configs import presets
from configs.ablations import bases

GAMMAS = (0.1, 1.0, 10.0, 100.0)


def get_config(preset: str = "ring8"):
    base = bases.base(preset, "ring8", "digits", "cifar10")
    for player in (base.generator, base.discriminator):
        player.optimizer.b1 = 0.0
    arms = {"none": {}} | {
        f"gamma{gamma:g}": {"discriminator.penalties": (f"r1(weight={gamma})",)}
        for gamma in GAMMAS
    }
    return presets.ablation(base, arms, baseline="none")
