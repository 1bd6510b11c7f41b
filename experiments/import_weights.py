"""Makes a workdir of networks that were trained with another code, or exported.

    python -m experiments.import_weights --file=latest_net_G.pth --workdir=DIR
    python -m experiments.import_weights --config=cyclegan --file=latest_net_G_A.pth \
        --file=latest_net_G_B.pth --workdir=DIR
    python -m experiments.import_weights --config=stylegan2:auto --file=ffhq.pkl \
        --workdir=DIR
    python -m experiments.import_weights --file=exported.safetensors --workdir=DIR

`--file` is a state dict (.pth, .npz, .safetensors), or a .pkl with networks G, D and
G_ema. Nothing in it is run: a pickle that names anything but tensors and networks is
rejected. What the network is, and its sizes, are read from the names and shapes of its
arrays. `sample`, `evaluate` and `experiments.load` open the workdir, and `translate` if
it makes images of images. A file of `experiments.export` has its config in it.

Known are the generators of pytorch-CycleGAN-and-pix2pix, SRResNet, BasicSR's MSRResNet
and RRDBNet (with --config=srgan:folder_small), and both networks of StyleGAN2-ADA in
PyTorch. Of the last, G_ema becomes the average, with which is sampled, and what is not
there stays untrained. A state dict does not say at which size activations were clamped:
--config.generator.clamp=256 does; a .pkl says it.

Image translation: without --config the file is a translation of its own, whichever
method it was trained by. Two, with --config=cyclegan, are those from A to B and from B
to A. --config.direction=b_to_a says that a pix2pix generator makes A of B.
--config.resolution=128 is what a residual network was trained at (256); a U-Net says so
itself. `sample` needs data: --config.data=pairs:PATH. Batch norm uses the statistics of
the picture, and a U-Net's dropout stays, as in the authors' test.py; --evaluating is
its --eval: stored statistics, and no dropout. --nodropout is for U-Nets that were
trained with --no_dropout.
"""

import sys

from absl import flags

from experiments import cli

# Of a single generator of images: there is no discriminator beside it.
_ALONE = ["--config=pix2pix:folder", "--config.gan_weight=0.0"]


def main(importing):
    """Imports, with the imported `experiments.exchange.importing`."""
    values = flags.FLAGS
    said = importing.models(
        values.file,
        values.workdir,
        values.config,
        asked=any(flag.startswith("--config") for flag in sys.argv),
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
        "file",
        None,
        "Weights: .pth, .pkl, .npz or .safetensors.",
        several=True,
        required=True,
    )
    cli.path_flag("workdir", None, "Folder for the model.", required=True)
    flags.DEFINE_boolean(
        "evaluating", False, "Stored statistics of batch norm, and no dropout."
    )
    flags.DEFINE_boolean("dropout", True, "Whether a U-Net was trained with dropout.")
    cli.main(main, "experiments.exchange.importing", parse=parse)
