"""What a discriminator has learnt: its features, classified, and what its filters see.

    python -m experiments.probe --workdir=DIR [--data=NAME] [--per_class=10,100]

The maps of all convolutional layers, or blocks, of a trained discriminator are pooled
to 4x4 and put together, and a linear classifier learns labels from them, as in section
5.1 of DCGAN's paper (arXiv 1511.06434): from all labelled images, and from a few of
each class, several times. Beside it stand the same network with random weights,
features of K-means (one layer), and the pixels themselves. --data=NAME takes labelled
images of another set, named as in a config: tfds:cifar10.

In WORKDIR/probe are table.md, results.json, a page, index.html, and a picture of each
layer: images that excite its first filters most, and guided backpropagation of them.
"""

from absl import flags

from experiments import cli


def main(study):
    """Probes, with the imported `experiments.probing.study`."""
    values = flags.FLAGS
    try:
        labels = [int(x) for x in values.per_class]
    except ValueError:
        raise ValueError(
            f"--per_class={','.join(values.per_class)}: wanted whole numbers"
        ) from None
    print(
        study.probe(
            values.workdir,
            out=values.out,
            checkpoint=values.checkpoint,
            data=values.data,
            network=values.network,
            labels=labels,
            draws=values.draws,
            n=values.n,
            seed=values.seed,
        )
    )


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag("out", None, "Folder for the results; by default WORKDIR/probe.")
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_string("data", None, "Labelled images; by default the run's own.")
    flags.DEFINE_string("network", None, "Whose features; the first of images.")
    flags.DEFINE_list("per_class", "10,100", "Labelled examples of each class.")
    flags.DEFINE_integer("draws", 5, "How often such examples are drawn.")
    flags.DEFINE_integer("n", 10_000, "Images to train on, and to test with, at most.")
    flags.DEFINE_integer("seed", 0, "Of all that is drawn.")
    cli.main(main, "experiments.probing.study")
