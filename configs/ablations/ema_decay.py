"""The average of the generator: none, several decays, several half-lives.

    python -m experiments.ablate --config=ema_decay
    python -m experiments.ablate --config=ema_decay:ring8
    python -m experiments.ablate --config=ema_decay:cifar10

Yazici et al. 2019 (arXiv 1806.04498): averaged weights score better and oscillate less
than the last weights. The decay ramps up as min(decay, (1 + step) / (10 + step)), so it
reaches 0.999 only after 9,000 updates and 0.9999 after 90,000; a preset has the decays
that its runs are long enough for. Half-lives are in updates, without a ramp. Deviation:
one run per seed would be enough for all averages, but every arm is trained separately,
with the same random numbers.
"""

from configs import presets
from configs.ablations import bases

DECAYS = {
    "digits": (0.0, 0.9, 0.97, 0.99, 0.995),
    "ring8": (0.0, 0.9, 0.99, 0.999),
    "cifar10": (0.0, 0.9, 0.99, 0.999, 0.9999),
}
HALF_LIVES = {"digits": (20, 200), "ring8": (100, 1000), "cifar10": (1000, 10_000)}


def get_config(preset: str = "digits"):
    base = bases.base(preset, *DECAYS)
    if preset == "ring8":
        base.steps = 20_000
    arms = {f"decay{decay:g}": {"ema": decay} for decay in DECAYS[preset]}
    arms |= {
        f"half_life{n}": {"ema_half_life": n, "ema_ramp": 1.0}
        for n in HALF_LIVES[preset]
    }
    return presets.ablation(base, arms, baseline="decay0")
