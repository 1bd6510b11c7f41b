"""Checks what a config promises: your own variant, loss, network, metric, data.

    python -m experiments.check --config=my/config.py[:PRESET] [--config.any.value=...]

A few steps are trained, on the config's data. Then a line for each promise says "ok",
"FAILED" with the reason, or "skipped": the step is compiled once, losses are finite,
each update changes only what it trains, outputs look like the data, a saved state is
restored bit for bit, two devices agree, every metric is measured. The exit code is 1 if
one is broken. Nothing is written.
"""

from absl import flags

from experiments import cli, process


def main(report):
    """Checks, with the imported `experiments.contracts.report`."""
    return report.write(flags.FLAGS.config)


def parse(argv):
    """Parses the flags; returns the command's name."""
    rest = cli.parse(argv)
    if flags.FLAGS.config.batch_size % 2 == 0:
        process.host_devices(2)  # over which batches are split
    return rest


if __name__ == "__main__":
    cli.config_flag()
    cli.main(main, "experiments.contracts.report", parse=parse)
