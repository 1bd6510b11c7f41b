"""Says where a picture comes from, as its file has it.

    python -m experiments.provenance FILE_OR_FOLDER ...

Every picture and animation that a command here writes says that a model has made it:
in XMP, by the IPTC's digital source type, with the run, the step, the seed and the
index of a sample. `--json` shows one JSON line a file.

That a file says nothing means nothing: metadata are lost where a picture is saved again
by a program that does not keep them, and anybody can remove or forge them. With
--certificate and --key (extra `c2pa`) a signed C2PA manifest is added to the files.
docs/provenance.md has more.
"""

from absl import flags

from experiments import cli


def main(reports, *paths):
    """Shows or signs, with the imported `experiments.origin.reports`."""
    values = flags.FLAGS
    if values.certificate or values.key:
        return reports.sign(paths, values.certificate, values.key, values.tsa)
    return reports.show(paths, values.json)


def parse(argv):
    """Returns the command's name, and the files."""
    return cli.with_arguments(argv)


if __name__ == "__main__":
    flags.DEFINE_boolean("json", False, "One JSON line a file.")
    cli.path_flag("certificate", None, "To sign: chain of certificates, a PEM file.")
    cli.path_flag("key", None, "To sign: its private key (ES256), a PEM file.")
    flags.DEFINE_string("tsa", None, "To sign: URL of a time-stamping authority.")
    cli.main(main, "experiments.origin.reports", parse=parse, jax=False)
