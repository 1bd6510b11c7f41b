"""Makes a workdir of a generator that was trained with the authors' PyTorch code.

    python -m experiments.import_weights --file=latest_net_G.pth --workdir=DIR
    python -m experiments.import_weights --config=cyclegan --file=latest_net_G_A.pth \
        --file=latest_net_G_B.pth --workdir=DIR

`--file` is the state dict of a generator of pytorch-CycleGAN-and-pix2pix: a U-Net or a
residual network. Nothing in it is run. Its depth, width, blocks, channels and norm are
read from the names and shapes of its arrays. `translate`, `sample` and
`experiments.load` open the workdir; `sample` needs data: --config.data=pairs:PATH.

Batch norm uses the statistics of the picture, and a U-Net's dropout stays, as in the
authors' test.py; --evaluating is its --eval: stored statistics, and no dropout.
--nodropout is for U-Nets that were trained with --no_dropout.

One file is a translation of its own, whichever method it was trained by. Two, with
--config=cyclegan, are those from A to B and from B to A. --config.direction=b_to_a says
that a pix2pix generator makes A of B. --config.resolution=128 is what a residual
network was trained at (256); a U-Net says so itself.
"""

from absl import flags

from experiments import cli

# Of a single generator: there is no discriminator beside it.
_ALONE = ["--config=pix2pix:folder", "--config.gan_weight=0.0"]


def main(imported):
    """Imports, with the imported `experiments.translation.imported`."""
    values = flags.FLAGS
    said = imported.generators(
        values.file,
        values.workdir,
        values.config,
        evaluating=values.evaluating,
        dropout=values.dropout,
        command=cli.command(),
    )
    print("\n".join([*said, values.workdir]))


def parse(argv):
    """Parses the flags; the config of a single generator need not be named."""
    named = cli.value_of("--config", argv) is not None
    return cli.parse(argv if named else [*argv, *_ALONE])


if __name__ == "__main__":
    cli.config_flag()
    cli.path_flag(
        "file", None, "State dict of a generator, .pth.", several=True, required=True
    )
    cli.path_flag("workdir", None, "Folder for the model.", required=True)
    flags.DEFINE_boolean(
        "evaluating", False, "Stored statistics of batch norm, and no dropout."
    )
    flags.DEFINE_boolean("dropout", True, "Whether a U-Net was trained with dropout.")
    cli.main(main, "experiments.translation.imported", parse=parse)
