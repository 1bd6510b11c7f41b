"""Makes pictures larger by a trained model of super-resolution: one, or a folder.

    python -m experiments.upscale --workdir=DIR --input=FOLDER --out=FOLDER
    python -m experiments.upscale --workdir=DIR --input=x.jpg --out=y.png

Each picture of the folder, with its sub-folders, becomes a PNG of the same name, as
many times larger as the run was trained for. Any size will do; EXIF orientation is
applied, grey pictures stay grey, and transparency is made larger too, bicubic. A
picture that cannot be read is named, the others are done, and the exit code is 1.
Stopped at any moment, the same command goes on: finished files are kept.

The network sees tiles that overlap, so that besides the picture only one row of them
is in memory; `--tile=128` needs less than the default.

`--blend=0.8 --blend_with=DIR2` takes weights between those of two runs, here four
fifths of the first's: ESRGAN's network interpolation, between a run that was trained
against a discriminator and the pretrained one that it began with.
"""

from absl import flags

from experiments import cli


def main(folder):
    """Makes them larger, with the imported `experiments.translation.folder`."""
    values, blend = flags.FLAGS, None
    if (values.blend is None) != (values.blend_with is None):
        raise ValueError("--blend and --blend_with go together: a share, and a run")
    if values.blend is not None:
        blend = values.blend_with, values.blend
    count = folder.translate(
        values.workdir,
        source=values.input,
        out=values.out,
        checkpoint=values.checkpoint,
        tile=values.tile,
        form=values.format,
        overwrite=values.overwrite,
        enlarging=True,
        scale=values.scale,
        blend=blend,
    )
    print(f"{values.out}: {count}")
    return 1 if count.failed else None


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag("input", None, "A picture, or a folder of them.", required=True)
    cli.path_flag("out", None, "A folder; of one picture also a file.", required=True)
    flags.DEFINE_integer("scale", None, "How many times larger; as the run is trained.")
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_integer(
        "tile", None, "Longest side that the network sees at once (1088 of its output)."
    )
    flags.DEFINE_enum("format", "png", ["png", "jpg", "webp"], "Of the files.")
    flags.DEFINE_float("blend", None, "Share of this run's weights, from 0 to 1.")
    cli.path_flag("blend_with", None, "Folder of the run that has the others.")
    flags.DEFINE_boolean("overwrite", False, "Replace files made with other settings.")
    cli.main(main, "experiments.translation.folder")
