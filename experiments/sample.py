"""Draws samples of a trained model: a grid, single pictures, arrays, an animation.

    python -m experiments.sample --workdir=DIR --n=64 --out=FILE_OR_DIR

`--out=x.png` is one picture: a grid of images, a plot of points or series, or strips of
video frames. If the model is conditioned on examples, these are shown as well.
`--out=x.npz` holds the output's arrays by field, in the data set's storage types:
`image` uint8 [N, H, W, C], `point` float32 [N, 2], `label` int32 [N], with the names of
the classes in `label_names`. A name without an extension is a folder of single PNGs.
Of clips, which are `video` uint8 [N, T, H, W, C], `--out=x.gif` (.webp, .mp4) shows all
samples side by side, and a folder holds a WebP of each.
Of voxels it is a turntable, --out=x.obj (.stl, .glb) the surfaces of all samples, and a
folder holds an OBJ of each.
`--output=NAME` chooses an output of a model that has several.

`--class=cat` or `--class=3` is a class, `--class=cat,dog` are several in turn.
`--text="a large thin three"` is what samples of a model that is given sentences show;
several, separated by semicolons, take turns.
`--seed=0,1,2` or `--seed=0-15` draws --n samples of each seed: a row of the grid each.

`--interpolate=8` shows rows from one latent to another. `--interpolate=24 --out=x.gif`
(.webp, .mp4) is an animation: 24 frames from each latent to the next, through four and
back. `--training --out=x.gif` shows the samples that the run has drawn in training.
`--out=x.mp4` needs ffmpeg.

`--truncation=0.7` moves each latent w of a model with a mapping network towards their
mean: fewer kinds of images, and better ones. See also `experiments.latents`.
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
        text=values.text,
        seed=values.seed,
        checkpoint=values.checkpoint,
        interpolate=values.interpolate,
        training=values.training,
        fps=values.fps,
        batch_size=values.batch_size,
        recalibrate=values.recalibrate,
        output=values.output,
        truncation=values.truncation,
    )
    print(out)


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_integer("n", None, "Samples of a seed (64), or interpolations (8).")
    cli.path_flag(
        "out",
        None,
        "x.png (a grid), x.npz (arrays), a folder (single PNGs), x.gif, .webp or .mp4.",
    )
    flags.DEFINE_string("class", None, "Class, by name or number; or several: cat,dog.")
    flags.DEFINE_string("text", None, "What samples show; or several: a cat; a dog.")
    flags.DEFINE_string("seed", None, "Seed of the samples (0); or several: 0-15.")
    flags.DEFINE_alias("seeds", "seed")
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_integer("interpolate", None, "Samples from one latent to the next.")
    flags.DEFINE_boolean("training", False, "An animation of the run's own samples.")
    flags.DEFINE_float("fps", None, "Frames a second of an animation (12).")
    flags.DEFINE_integer("batch_size", None, "Samples made at once (64).")
    flags.DEFINE_boolean("recalibrate", False, "Recompute the EMA's batch statistics.")
    flags.DEFINE_string("output", None, "The model's output: sample, reconstruct, ...")
    flags.DEFINE_float("truncation", None, "Psi of the truncation trick, as 0.7 (1).")
    cli.main(main, "experiments.sampling.draw")
