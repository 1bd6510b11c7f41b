"""All losses on one architecture, whose discriminator is spectrally normalised.

    python -m experiments.ablate --config=loss_zoo
    python -m experiments.ablate --config=loss_zoo:ring8
    python -m experiments.ablate --config=loss_zoo:cifar10

After the comparisons of losses in Lucic et al. 2018 (arXiv 1711.10337, table 1),
Kurach et al. 2019 (arXiv 1807.04720) and Jolicoeur-Martineau 2019 (arXiv 1807.00734).
Spectral normalisation is the same for all arms; it also makes the Wasserstein loss
meaningful. Deviations: all losses share one optimiser, and no hyperparameters were
tuned.
"""

from configs import presets
from configs.ablations import bases

LOSSES = {
    "non_saturating": "non_saturating",
    "minimax": "minimax",
    # Equations 9 and 8 of arXiv 1611.04076.
    "least_squares": "least_squares(a=0.0, b=1.0, c=1.0)",
    "least_squares_pearson": "least_squares(a=-1.0, b=1.0, c=0.0)",
    "hinge": "hinge",
    "wasserstein": "wasserstein",
    **{
        f"{kind}_{base}": f"relativistic_{kind}(base='{base}')"
        for kind in ("average", "pairing")
        for base in ("logistic", "least_squares", "hinge")
    },
}


def get_config(preset: str = "digits"):
    base = bases.base(preset, "digits", "ring8", "cifar10")
    base.discriminator.spectral = True
    arms = {name: {"loss": loss} for name, loss in LOSSES.items()}
    return presets.ablation(base, arms, baseline="non_saturating")
