"""From PGGAN's generator to StyleGAN's, a step at a time.

    python -m experiments.ablate --config=stylegan_steps        # digits
    python -m experiments.ablate --config=stylegan_steps:folder \\
        --config.base.data=folder:PATH

Table 1 of arXiv 1812.04948: a mapping network, then adaptive instance normalisation and
a constant in place of the input (C and D there), noise (E), and style mixing (F).
Discriminator, loss (logistic, with R1) and all numbers are the same in all arms, the
discriminator with the blur of B. Deviations: nothing grows, because the replicas of an
ablation train in one stage; the mapping network comes before the styles, which C has
together with it; the generator of the first two arms doubles without a blur; narrow
networks, few steps, 16x16 pixels (folder: 32x32).

digits: an estimate of an hour and a half of two free cores, from the pace of
pggan:digits; folder takes ten times as long. Neither has been run; --dry-run says how
long it takes on your machine.
"""

from configs import presets, stylegan

SIZES = {"digits": (16, 3_000), "folder": (32, 9_000)}
PLAIN = {"network": "pggan", "penalties": ()}
STYLED = {"network": "stylegan1", "penalties": (), "mapping_layers": 4}


def get_config(preset: str = "digits"):
    presets.check(preset, SIZES)
    base = stylegan.get_config(preset)
    base.resolution, base.steps = SIZES[preset]
    base.first_resolution, base.steps_per_call = base.resolution, 50
    base.generator.channel_max = base.discriminator.channel_max = 32
    base.latent = base.generator.w_dim = 64
    base.n_evaluate = 2_000 if preset == "digits" else 500
    kept = ("channel_base", "channel_max", "optimizer")
    sizes = {name: base.generator[name] for name in kept}
    styled = STYLED | sizes | {"w_dim": base.generator.w_dim}
    own = {
        "pggan": PLAIN | sizes,
        "mapping": PLAIN | sizes | {"mapping_layers": 4},
        "adain": styled | {"noise": False, "mixing": 0.0},
        "noise": styled | {"mixing": 0.0},
        "mixing": styled | {"mixing": 0.9},
    }
    arms = {
        name: {
            "variant": base.variant if "w_dim" in generator else "pggan",
            "generator": generator,
        }
        for name, generator in own.items()
    }
    return presets.ablation(base, arms, baseline="pggan", evaluations=3)
