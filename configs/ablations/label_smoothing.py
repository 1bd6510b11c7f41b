"""Targets of the discriminator: smoothed on one side, on both, or wrong now and then.

    python -m experiments.ablate --config=label_smoothing
    python -m experiments.ablate --config=label_smoothing:ring8
    python -m experiments.ablate --config=label_smoothing:cifar10

Salimans et al. 2016 (arXiv 1606.03498), section 3.4: smooth only the targets of real
examples, because smoothing those of fakes rewards bad fakes for staying as they are.
Wrong labels come from "How to train a GAN" (github.com/soumith/ganhacks, item 6). This
is no paper's table: 0.1 gives the usual target of 0.9, the other values are round.
"""

from configs import presets
from configs.ablations import bases


def _smooth(real, fake):
    return {"loss": f"non_saturating(smooth_real={real}, smooth_fake={fake})"}


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    arms = {
        "none": _smooth(0.0, 0.0),
        "real0.1": _smooth(0.1, 0.0),
        "real0.3": _smooth(0.3, 0.0),
        "fake0.1": _smooth(0.0, 0.1),
        "both0.1": _smooth(0.1, 0.1),
        "both0.3": _smooth(0.3, 0.3),
        "flip0.05": _smooth(0.0, 0.0) | {"label_flip": 0.05},
        "flip0.2": _smooth(0.0, 0.0) | {"label_flip": 0.2},
    }
    return presets.ablation(base, arms, baseline="none")
