"""Writes the weights of a run as a file of safetensors.

    python -m experiments.export_weights --workdir=DIR --out=x.safetensors

It holds what is trained, statistics, and the averages of both, and in its metadata the
config and the step: `import_weights` makes a workdir of it. Arrays of StyleGAN2 have
the names of its public implementation in PyTorch, after G/, G_ema/ and D/. Others have
those of our checkpoints: params/g/out/kernel, stats/..., ema/....
"""

from absl import flags

from experiments import cli


def main(exporting):
    """Exports, with the imported `experiments.exchange.exporting`."""
    values = flags.FLAGS
    said = exporting.weights(values.workdir, values.out, values.checkpoint)
    print("\n".join([*said, values.out]))


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag("out", None, "The file, x.safetensors.", required=True)
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    cli.main(main, "experiments.exchange.exporting")
