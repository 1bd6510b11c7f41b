"""How TGAN's critic is kept Lipschitz: singular values clipped, or weights.

    python -m experiments.ablate --config=tgan_clipping

Saito et al. 2017 (arXiv 1611.06624), section 3.3 and table 1: with singular value
clipping the score is better than with clipped weights, and than that of a normal GAN.
All arms have the networks, the data and the optimiser of configs/tgan.py; 0.01 is the
limit of WGAN (arXiv 1701.07875) and of the authors' code. Deviation: the normal GAN's
discriminator has no noise, and its batch norms no bias.
"""

from configs import presets, tgan

ARMS = {
    "weights": {"singular_every": 0, "discriminator.optimizer.clip": 0.01},
    "singular_values": {},
    "normal": {"singular_every": 0, "loss": "non_saturating"},
}


def get_config(preset: str = "moving"):
    presets.check(preset, ("moving",))
    base = tgan.get_config(preset)
    base.steps = 3_000
    return presets.ablation(base, ARMS, baseline="weights", seeds=3)
