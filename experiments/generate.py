"""Draws many samples of a trained model, in shards, several processes side by side.

    python -m experiments.generate --workdir=DIR --n=1000000 --out=DIR

Sample i is that of `experiments.sample` with the same seed. --out has a folder of files
for each shard of --shard_size samples, or with --form=tar a tar file, as WebDataset
reads them. NUMBER.jsonl has a line for each sample of a shard: file, sha256, index,
class, seed; it is there once the shard is whole. manifest.jsonl has them all once all
shards are.

The same command goes on where one was stopped, killed, or found the disk full: finished
shards are skipped. Started several times at once, also on several machines that share
the folder, each process makes other shards.

--what=npz holds arrays by field, of series, points and scores, too.
"""

from absl import flags

from experiments import cli


def main(generate):
    """Generates, with the imported `experiments.generation.generate`."""
    values = flags.FLAGS
    generate.generate(
        values.workdir,
        values.out,
        n=values.n,
        seed=values.seed,
        label=values["class"].value,
        truncation=values.truncation,
        output=values.output,
        checkpoint=values.checkpoint,
        shard_size=values.shard_size,
        batch_size=values.batch_size,
        form=values.form,
        what=values.what,
    )
    print(values.out)


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag("out", None, "Folder of the shards.", required=True)
    flags.DEFINE_integer("n", None, "How many samples.")
    flags.DEFINE_integer("seed", 0, "Seed of the samples.")
    flags.DEFINE_string("class", None, "Class, by name or number; or several: cat,dog.")
    flags.DEFINE_float("truncation", None, "Psi of the truncation trick, as 0.7 (1).")
    flags.DEFINE_string("output", None, "The model's output: sample, reconstruct, ...")
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_integer("shard_size", 10_000, "Samples in a shard.")
    flags.DEFINE_integer("batch_size", 64, "Samples made at once.")
    flags.DEFINE_string("form", "files", "Of a shard: files (in a folder) or tar.")
    flags.DEFINE_string("what", None, "pictures or npz; by default what there is.")
    cli.main(main, "experiments.generation.generate")
