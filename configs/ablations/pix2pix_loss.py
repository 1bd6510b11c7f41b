"""pix2pix's losses: L1, a discriminator with and without condition, and both.

    python -m experiments.ablate --config=pix2pix_loss
    python -m experiments.ablate --config=pix2pix_loss:facades \\
        --config.base.data=pairs:PATH

Tables 1 and 2 of arXiv 1611.07004: L1 alone blurs; a discriminator alone that does not
see what is given makes the same image of everything; the two together are the method.
The paper measures them by a segmentation network on Cityscapes, here by the distances
of images and of features. Deviations: narrow networks, few steps, 32x32 pixels with
patches of 16 (facades: 64x64 with patches of 70).

photos: some 10 minutes of processor time, a minute of it for all evaluations. facades
takes six times as long.
"""

from configs import pix2pix, presets

ARMS = {
    "l1_cgan": {},
    "l1": {"gan_weight": 0.0},
    "cgan": {"l1": 0.0},
    "l1_gan": {"conditional": False},
    "gan": {"conditional": False, "l1": 0.0},
}


def get_config(preset: str = "photos"):
    presets.check(preset, ("photos", "facades"))
    base = pix2pix.get_config(preset)
    base.resolution, base.steps, base.steps_per_call = 32, 3_000, 50
    base.discriminator.n_layers = 1
    if preset == "facades":
        base.resolution, base.jitter, base.discriminator.n_layers = 64, 8, 3
        for player in (base.generator, base.discriminator):
            player.width = 16
    base.metrics = ("l1", "ssim", "fid")
    base.n_evaluate = 500
    return presets.ablation(base, ARMS, baseline="l1_cgan", evaluations=2)
