"""Do samples teach a classifier anything? Samples as training data, and beside real.

    python -m experiments.augmentation --workdir=DIR [--k=5,20] [--n=1000] [--seeds=5]

For a model that is asked for classes. A small classifier learns from samples and is
tested on real images (classification accuracy score, arXiv 1905.10887), learns from
real ones and is tested on samples, and learns from real and is tested on real. Then
it learns from k real images of each class, and from these and n samples, with the same
seeds: the gain stands with its interval and a paired test, and a line says whether it
helps.

In WORKDIR/augmentation are table.md, results.json and a page, index.html.
"""

from absl import flags

from experiments import cli


def main(study):
    """Measures, with the imported `experiments.synthetic.study`."""
    values = flags.FLAGS
    given = {}
    for name in ("k", "n"):
        try:
            given[name] = [int(x) for x in values[name].value]
        except ValueError:
            shown = ",".join(values[name].value)
            raise ValueError(f"--{name}={shown}: wanted whole numbers") from None
    print(
        study.study(
            values.workdir,
            out=values.out,
            checkpoint=values.checkpoint,
            seeds=values.seeds,
            steps=values.steps,
            most=values.most,
            **given,
        )
    )


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag("out", None, "Folder for results; by default WORKDIR/augmentation.")
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_list("k", "5,20", "Real images of each class.")
    flags.DEFINE_list("n", "1000", "Samples, of all classes, that are added to them.")
    flags.DEFINE_integer("seeds", 5, "Classifiers, each with its own real images.")
    flags.DEFINE_integer("steps", 1000, "Of the training of a classifier.")
    flags.DEFINE_integer("most", None, "Real images to learn from, at most.")
    cli.main(main, "experiments.synthetic.study")
