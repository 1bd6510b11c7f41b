"""Dimensions of the latent: 2, 8, 32, 128.

    python -m experiments.ablate --config=latent_size
    python -m experiments.ablate --config=latent_size:ring8
    python -m experiments.ablate --config=latent_size:cifar10

This is no paper's table: papers use 100 (arXiv 1511.06434) to 128 (arXiv 1704.00028,
1802.05957) dimensions for images and 2 for 2-D data. A latent with fewer dimensions
than the data is expected to merge modes and to produce samples between them.
"""

from configs import presets
from configs.ablations import bases

SIZES = (2, 8, 32, 128)


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    arms = {f"latent{n}": {"latent": n} for n in SIZES}
    return presets.ablation(base, arms, baseline=f"latent{base.latent}")
