"""Batches of 16 to 256: with equally many real images, or equally many steps.

    python -m experiments.ablate --config=batch_size  # images
    python -m experiments.ablate --config=batch_size:digits_steps
    python -m experiments.ablate --config=batch_size:ring8
    python -m experiments.ablate --config=batch_size:cifar10

After Brock et al. 2019 (arXiv 1809.11096), table 1 and section 3: with batches of 256
to 2,048 ImageNet images, larger batches reach better scores in fewer steps but are less
stable. With equally many images, a batch size of 256 gives a sixteenth of the updates
of a batch size of 16, and all arms have the same learning rates; this favours small
batches. With digits_steps, all arms make the same number of updates.
"""

from configs import presets
from configs.ablations import bases

SIZES = (16, 32, 64, 128, 256)
IMAGES = {"digits": 64_000, "ring8": 1_280_000, "cifar10": 6_400_000}


def get_config(preset: str = "digits"):
    accepted = ("digits", "digits_steps", "ring8", "cifar10")
    presets.check(preset, accepted)
    name = preset.removesuffix("_steps")
    base = bases.base(name, "digits", "ring8", "cifar10")
    base.steps_per_call = min(base.steps_per_call, 50)
    arms = {f"batch{n}": {"batch_size": n} for n in SIZES}
    budget = {"images": IMAGES[name]} if name == preset else {"steps": 1_000}
    baseline = f"batch{base.batch_size}"
    return presets.ablation(base, arms, baseline=baseline, **budget)
