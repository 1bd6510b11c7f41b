"""Six settings of Adam, and four ways to bound a discriminator's gradients.

    python -m experiments.ablate --config=spectral_norm
    python -m experiments.ablate --config=spectral_norm:cifar10

Miyato et al. 2018 (arXiv 1802.05957), table 1 and figure 1: only spectral normalisation
works with all settings A to F. sn and none use the non-saturating loss; gp and clip use
the Wasserstein loss, with the values of their papers (lambda 10, clipping at 0.01).

digits: a run has 2,000 batches, so all learning rates are five times the paper's; their
ratios, b1, b2 and n_dis are the paper's. All arms see the same number of real images,
so the generator makes 400 updates with n_dis = 5 and 2,000 with n_dis = 1.

cifar10: the paper's learning rates and plain CNN, and 100,000 updates of the generator
in every arm; with n_dis = 5 an arm sees five times as many images.

Deviations: the paper's weight, layer and batch normalisation of the discriminator, and
its orthonormal regularisation, are not among the methods.
"""

from configs import presets
from configs.ablations import bases

# Learning rate, b1, b2, n_dis.
SETTINGS = {
    "a": (1e-4, 0.5, 0.9, 5),
    "b": (1e-4, 0.5, 0.999, 1),
    "c": (2e-4, 0.5, 0.999, 1),
    "d": (1e-3, 0.5, 0.9, 5),
    "e": (1e-3, 0.5, 0.999, 5),
    "f": (1e-3, 0.9, 0.999, 5),
}
METHODS = ("sn", "gp", "clip", "none")
UPDATES = 100_000  # of the generator, as in configs/sngan.py


def _method(name):
    wasserstein = {"loss": "wasserstein"}
    return {
        "sn": {"discriminator.spectral": True},
        "gp": wasserstein | bases.gradient_penalty(10.0),
        "clip": wasserstein,
        "none": {},
    }[name]


def _arm(method, setting, preset):
    rate, b1, b2, n_critic = SETTINGS[setting]
    if preset == "digits":
        rate = 5 * rate
    adam = presets.adam(rate, b1, b2)
    clip = {"clip": 0.01} if method == "clip" else {}
    arm = {
        "n_critic": n_critic,
        "generator.optimizer": adam,
        "discriminator.optimizer": adam | clip,
        **_method(method),
    }
    return arm | ({"steps": UPDATES * n_critic} if preset == "cifar10" else {})


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "cifar10")
    if preset == "cifar10":
        base.ema = 0.0
    arms = {
        f"{method}_{setting}": _arm(method, setting, preset)
        for method in METHODS
        for setting in SETTINGS
    }
    return presets.ablation(base, arms, baseline="sn_a")
