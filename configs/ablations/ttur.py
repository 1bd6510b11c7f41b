"""Two time-scales: the learning rates of both players, each at three values.

    python -m experiments.ablate --config=configs/ablations/ttur.py
    python -m experiments.ablate --config=configs/ablations/ttur.py:ring8
    python -m experiments.ablate --config=configs/ablations/ttur.py:cifar10

Heusel et al. 2017 (arXiv 1706.08500), section 2: one update of each
player, with a rate of its own, instead of several of the discriminator. Rates are the
base's, a quarter and four times it, so "g1_d4" is SAGAN's 1:4 (arXiv 1805.08318).
Deviation: the paper's rates are chosen for each data set; none are here.
"""

from configs import presets
from configs.ablations import bases

FACTORS = {"0.25": 0.25, "1": 1.0, "4": 4.0}


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    rate = base.generator.optimizer.learning_rate
    arms = {
        f"g{g}_d{d}": {
            "generator.optimizer.learning_rate": rate * FACTORS[g],
            "discriminator.optimizer.learning_rate": rate * FACTORS[d],
        }
        for g in FACTORS
        for d in FACTORS
    }
    return presets.ablation(base, arms, baseline="g1_d1")
