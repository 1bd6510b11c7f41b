"""Normalisation: of the generator, of the discriminator, of both, or of neither.

    python -m experiments.ablate --config=batch_norm_where
    python -m experiments.ablate --config=batch_norm_where:ring8
    python -m experiments.ablate --config=batch_norm_where:cifar10

Radford et al. 2015 (arXiv 1511.06434), section 3: batch norm in both players, except in
the generator's last layer and the discriminator's first. Salimans et al. 2016 (arXiv
1606.03498), section 3.5: virtual batch norm instead, in the generator. Karras et al.
2018 (arXiv 1710.10196), section 4.2: pixel norm in the generator; it normalises feature
maps, so the 2-D preset has no such arm. Deviation: the reference batch of virtual batch
norm consists of the network's own inputs.
"""

from configs import presets
from configs.ablations import bases


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    base.generator.norm = None
    n = min(64, base.batch_size)
    arms = {
        "none": {},
        "generator": {"generator.norm": "batch"},
        "discriminator": {"discriminator.norm": "batch"},
        "both": bases.both("norm", "batch"),
        "generator_virtual": {"generator.norm": f"virtual(n_reference={n})"},
    }
    if preset != "ring8":
        arms["generator_pixel"] = {"generator.norm": "pixel"}
    return presets.ablation(base, arms, baseline="none")
