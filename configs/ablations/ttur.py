"""Two time-scales: three learning rates for each player, in all combinations.

    python -m experiments.ablate --config=ttur
    python -m experiments.ablate --config=ttur:ring8
    python -m experiments.ablate --config=ttur:cifar10

Heusel et al. 2017 (arXiv 1706.08500), section 2: one update of each player, with
separate learning rates, instead of several updates of the discriminator. The rates are
the base's, a quarter of it and four times it; "g1_d4" is SAGAN's 1:4 (arXiv
1805.08318). Deviation: the paper chooses the rates for each data set; here they are not
tuned.
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
