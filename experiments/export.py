"""Writes a trained model as a file for others: a program, ONNX, weights, a model card.

    python -m experiments.export --workdir=DIR --out=FILE

What follows --out= chooses:
  x.stablehlo     an output as a program with its weights, for any number of samples, on
                  CPU, CUDA and TPU: ten lines of Python run it with jax and safetensors
                  alone (docs/export.md); --sizes=1,16 adds the fastest programs for
                  these batch sizes;
  x.onnx          the same for onnxruntime and others (extra `onnx`);
  x.safetensors   all weights, for `import_weights` and for PyTorch (docs/weights.md);
  x.md            a model card: data, protocol, scores, limits; what only you know, such
                  as the licence of the data, is marked.

--output=NAME chooses an output of a model that has several.
"""

from absl import flags

from experiments import cli


def main(formats):
    """Exports, with the imported `experiments.exchange.formats`."""
    values = flags.FLAGS
    said = formats.write(
        values.workdir,
        values.out,
        checkpoint=values.checkpoint,
        output=values.output,
        sizes=values.sizes,
    )
    print("\n".join([*said, values.out]))


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag(
        "out", None, "x.stablehlo, .onnx, .safetensors or .md.", required=True
    )
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_string("output", None, "The model's output: sample, a_to_b, ...")
    flags.DEFINE_list("sizes", [], "Batch sizes with programs of their own: 1,16,64.")
    cli.main(main, "experiments.exchange.formats")
