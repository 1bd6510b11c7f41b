"""Draws samples of a trained model: a grid, single pictures, or arrays.

    python -m experiments.sample --workdir=DIR --n=64 --out=FILE_OR_DIR

`--out=x.png` is one picture: a grid of images, a plot of points or series, or strips of
video frames. If the model is conditioned on examples, these are shown as well.
`--out=x.npz` holds the output's arrays by field, in the data set's storage types:
`image` uint8 [N, H, W, C], `point` float32 [N, 2], `label` int32 [N]. A name without an
extension is a folder of single PNGs. `--output=NAME` chooses an output of a model that
has several.
"""

from absl import flags

from experiments import cli


def main(draw):
    """Draws samples, with the imported `experiments.sampling.draw`."""
    values = flags.FLAGS
    out = draw.draw(
        values.workdir,
        n=values.n,
        out=values.out,
        label=values["class"].value,
        seed=values.seed,
        checkpoint=values.checkpoint,
        interpolate=values.interpolate,
        batch_size=values.batch_size,
        recalibrate=values.recalibrate,
        output=values.output,
    )
    print(out)


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_integer("n", None, "Samples (64), or rows of an interpolation (8).")
    cli.path_flag(
        "out", None, "x.png (a grid), x.npz (arrays) or a folder (single PNGs)."
    )
    flags.DEFINE_integer("class", None, "Class of the samples; by default all.")
    flags.DEFINE_integer("seed", 0, "Seed of the latents.")
    flags.DEFINE_string("checkpoint", "last", "last, best, or a step.")
    flags.DEFINE_integer("interpolate", None, "Images in a row between two latents.")
    flags.DEFINE_integer("batch_size", 64, "Samples made at once.")
    flags.DEFINE_boolean("recalibrate", False, "Recompute the EMA's batch statistics.")
    flags.DEFINE_string("output", None, "The model's output: sample, reconstruct, ...")
    cli.main(main, "experiments.sampling.draw")
