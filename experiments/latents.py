"""Latent spaces of a trained model: of one with a mapping network, but for arithmetic.

    python -m experiments.latents mix --workdir=DIR --out=x.png
    python -m experiments.latents interpolate --workdir=DIR --out=x.webp
    python -m experiments.latents project --workdir=DIR --input=PHOTOS --out=FOLDER
    python -m experiments.latents directions --workdir=DIR --out=x.npz
    python -m experiments.latents edit --workdir=DIR --directions=x.npz --out=x.html
    python -m experiments.latents arithmetic --workdir=DIR --expression=... --out=x.png
    python -m experiments.latents pan --workdir=DIR --beside=OTHER --out=x.webp
    python -m experiments.latents rotate --workdir=DIR --out=x.webp
    python -m experiments.latents sticking --workdir=DIR --out=x.png

`mix` draws pictures with some layers' styles of other pictures: those of --columns in
those of --rows; --layers=coarse,middle,fine draws a grid for each, 0-3 or coarse+fine
are others. `interpolate` walks through --seeds, and back: an animation in .gif, .webp
or .mp4 (which needs ffmpeg), or a strip in .png. `project` finds the latents of
pictures (--into=w+: one for each layer); stopped at any moment, the same command goes
on. `directions` finds where to go, in closed form or (--method=labels) from the other
classes to each, and `edit` goes there: a page with sliders, or a strip in .png.

`arithmetic` averages the codes of samples, adds and subtracts the means, and draws the
result and what is around it: --expression="7 - 1 + 0" of classes, as a classifier sees
them, or "seed:3,7 - seed:1,2 + seed:5" of samples. Codes are w, or without a mapping
network z.

`pan` and `rotate` move and turn the generator's input; what sticks to pixels does not
follow. --beside is another run, for comparison. `sticking` shows the same without any
motion: means of neighbours, and slices of walks, which texture that sticks makes sharp
and streaky.

Seeds are 0,1,2 or 0-15, and give the samples of `experiments.sample --seed`; among
them, names in .npz are pictures that were projected: --seeds=0-3,FOLDER/me.npz. Noise
stands still. --truncation=0.7 moves the samples of seeds towards the mean.
"""

from experiments import cli
from experiments.latent_space import verb_flags


def main(verbs, verb):
    """Does what the verb says, with the imported `experiments.latent_space.verbs`."""
    given = verb_flags.given(verb)
    result = verbs.VERBS[verb](**given)
    if verb != "project":
        print(result)
        return None
    print(f"{given['out']}: {result}")
    return 1 if result.failed else None


if __name__ == "__main__":
    verb_flags.define()
    cli.main(main, "experiments.latent_space.verbs", parse=verb_flags.parse)
