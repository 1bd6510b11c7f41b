"""Detection by a run: what `experiments.detect --workdir` does."""

from __future__ import annotations

from experiments.detection import documents, labels, networks, prepared, results
from experiments.detection.detection import Rules, detect
from experiments.sampling.model import Model


def detect_run(
    workdir: str,
    out: str | None = None,
    *,
    path: str | None = None,
    true: str | None = None,
    checkpoint: str | None = None,
    rules: Rules | None = None,
) -> list[str]:
    """Finds the anomalies of signals by a trained run; returns lines to print.

    Args:
      workdir: of the run.
      out: file of the results, .csv, .json or .html.
      path: of the signals; None: those of the run's data.
      true: file of labels.
      checkpoint: last, best, or a step.

    Raises ValueError and OSError for what cannot be read or does not fit the run.
    """
    rules = rules or Rules()
    if out is not None:
        documents.check(out)
    model = Model.load(workdir, checkpoint)
    networks.check(model.gan, model.config.variant)
    signals = prepared.of_run(model.config, path)
    names = [x.signal.name for x in signals]
    known = labels.read(true, names) if true else {}
    (field,) = (x for x in model.spec.values() if x.kind == "series")
    apply = networks.applier(model.gan, field.shape[0])
    found = [
        detect(x.signal, apply(model.state, x.scaled), rules, x.low, x.high)
        for x in signals
    ]
    if out is not None:
        documents.write(out, found, known, rules)
    return results.lines(found, known, rules)
