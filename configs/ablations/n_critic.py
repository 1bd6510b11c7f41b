"""The discriminator's updates per update of the generator: 1, 2, 3, 5.

    python -m experiments.ablate --config=configs/ablations/n_critic.py
    python -m experiments.ablate --config=configs/ablations/n_critic.py:ring8
    python -m experiments.ablate --config=configs/ablations/n_critic.py:cifar10

The k of algorithm 1 of Goodfellow et al. 2014 (arXiv 1406.2661), who take 1; 5 in WGAN
(arXiv 1701.07875). No paper's table. Of the non-saturating loss; lambda_ncritic.py is
about WGAN-GP's. All arms see as many real images, so that with 5 the generator is
updated a fifth as often as with 1.
"""

from configs import presets
from configs.ablations import bases

N_CRITIC = (1, 2, 3, 5)


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    arms = {f"n{n}": {"n_critic": n} for n in N_CRITIC}
    return presets.ablation(base, arms, baseline="n1")
