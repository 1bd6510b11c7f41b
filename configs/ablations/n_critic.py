"""The discriminator's updates per update of the generator: 1, 2, 3, 5.

    python -m experiments.ablate --config=n_critic
    python -m experiments.ablate --config=n_critic:ring8
    python -m experiments.ablate --config=n_critic:cifar10

This is the k of algorithm 1 of Goodfellow et al. 2014 (arXiv 1406.2661), who use 1;
WGAN (arXiv 1701.07875) uses 5. It is no paper's table. The loss is the non-saturating
one; lambda_ncritic.py does the same for WGAN-GP. All arms see the same number of real
images, so with 5 the generator is updated a fifth as often as with 1.
"""

from configs import presets
from configs.ablations import bases

N_CRITIC = (1, 2, 3, 5)


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    arms = {f"n{n}": {"n_critic": n} for n in N_CRITIC}
    return presets.ablation(base, arms, baseline="n1")
