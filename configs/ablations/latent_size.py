"""Dimensions of the latent: 2, 8, 32, 128.

    python -m experiments.ablate --config=configs/ablations/latent_size.py
    python -m experiments.ablate --config=configs/ablations/latent_size.py:ring8
    python -m experiments.ablate --config=configs/ablations/latent_size.py:cifar10

No paper's table: papers take 100 (arXiv 1511.06434) to 128 (arXiv 1704.00028,
1802.05957) for images and 2 in the plane. Expected of a latent of fewer dimensions than
the data's: modes that it cannot keep apart, and samples between them.
"""

from configs import presets
from configs.ablations import bases

SIZES = (2, 8, 32, 128)


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    arms = {f"latent{n}": {"latent": n} for n in SIZES}
    return presets.ablation(base, arms, baseline=f"latent{base.latent}")
