"""Translates pictures by a trained model: one, or all of a folder.

    python -m experiments.translate --workdir=DIR --input=FOLDER --out=FOLDER
    python -m experiments.translate --workdir=DIR --input=x.jpg --out=y.png

Each picture of the folder, with its sub-folders, becomes a PNG of the same name and the
same size. Grey ones stay grey, unless the model gives colours to grey; transparency is
kept. A picture that cannot be read is named, the others are translated, and the exit
code is 1. Stopped at any moment, the same command goes on: finished files are kept.

The network sees a picture as it was trained: resized until the shorter side has as many
pixels as then. The result is resized back. `--size=full` leaves the picture as it is:
sharper, but everything in it is larger than what the network has learnt. Long sides are
cut into tiles that overlap, so that memory is bounded.

Models of colourise:, edges: and inpaint: data get grey, drawings and holes: these are
made of the picture. `--already` says that it is a drawing. Holes are where a picture is
transparent, or where `--mask` is white.

`--output=NAME` chooses an output of a model that has several, such as a_to_b.
"""

from absl import flags

from experiments import cli


def main(folder):
    """Translates, with the imported `experiments.translation.folder`."""
    values = flags.FLAGS
    count = folder.translate(
        values.workdir,
        source=values.input,
        out=values.out,
        output=values.output,
        checkpoint=values.checkpoint,
        seed=values.seed,
        n=values.n,
        size=int(size) if (size := values.size or "").isdecimal() else values.size,
        tile=values.tile,
        form=values.format,
        colour=values.colour,
        already=values.already,
        mask=values.mask,
        overwrite=values.overwrite,
    )
    print(f"{values.out}: {count}")
    return 1 if count.failed else None


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag("input", None, "A picture, or a folder of them.", required=True)
    cli.path_flag("out", None, "A folder; of one picture also a file.", required=True)
    flags.DEFINE_string("output", None, "The model's output: a_to_b, sample, ...")
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_integer("seed", None, "Of what the model draws, such as dropout (0).")
    flags.DEFINE_integer("n", None, "Variants of each picture (1): x_1.png, x_2.png.")
    flags.DEFINE_string(
        "size",
        None,
        "Length of the shorter side that the network sees: training, full, or a number "
        "of pixels; squash: a square as in training (by default as it was trained).",
    )
    flags.DEFINE_integer(
        "tile",
        None,
        "Longest side that the network sees at once (1088, or twice the training's).",
    )
    flags.DEFINE_enum("format", "png", ["png", "jpg", "webp"], "Of the files.")
    flags.DEFINE_boolean("colour", False, "Grey pictures may become coloured.")
    flags.DEFINE_boolean(
        "already", False, "The pictures are what the model is given: drawings, say."
    )
    cli.path_flag(
        "mask", None, "Where holes are, in white: a picture, or a folder of them."
    )
    flags.DEFINE_boolean("overwrite", False, "Replace files made with other settings.")
    cli.main(main, "experiments.translation.folder")
