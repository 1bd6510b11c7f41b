"""Model cards (arXiv 1810.03993): what a run says of its model, for its readers."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from experiments.files import replacing
from experiments.origin import SOFTWARE
from experiments.sampling.model import Model

_ASKED = "_not known to the run: to be filled in_"
_COPIES = "memorisation"  # begins the names of scores of copies


def write(model: Model, out: str | os.PathLike, *, workdir: str | os.PathLike) -> list:
    """Writes the card of a checkpoint of a run, in Markdown; returns lines.

    What the run does not know, such as the licence of the data, is marked. A card that
    was edited is not replaced: FileExistsError for any other file that is there.
    """
    path = Path(out)
    text = card(model, workdir)
    if path.exists():
        first, _, rest = path.read_text(errors="replace").partition("\n")
        if first != _mark(rest):
            raise FileExistsError(
                f"--out={out}: this file may have been edited; remove it, or choose "
                "another name"
            )
    with replacing(path) as temporary:
        Path(temporary).write_text(text)
    n = text.count(_ASKED)
    return [f"{n} fields are not known to the run: {_ASKED.strip('_')}"]


def card(model: Model, workdir: str | os.PathLike) -> str:
    """Returns the card's text."""
    config, run, step = model.config, model.run, int(model.state.step)
    known, evaluated = model.origin(model.main_output), _evaluation(workdir, step)
    results = evaluated.get("results", {})
    copies = {k: x for k, x in results.items() if k.startswith(_COPIES)}
    scores = {k: x for k, x in results.items() if k not in copies}
    parts = [
        f"# {known['run'] or known['variant']}",
        "## Model",
        _table(
            {
                "kind": f"generative adversarial network, `{known['variant']}`",
                "outputs": ", ".join(f"`{x}`" for x in model.outputs),
                "parameters": _counts(run.get("parameters")),
                "checkpoint": f"step {step:,}",
                "config": f"`{known['config']}` (first digits of its SHA-256)",
                "made with": f"{SOFTWARE}, {_versions(run.get('versions'))}",
                "hardware": run.get("hardware", _ASKED),
                "licence of the weights": _ASKED,
                "contact": _ASKED,
            }
        ),
        "## Data",
        _table(
            {
                "training set": f"`{known['data']}`",
                "fields": ", ".join(
                    f"{k}: {x.kind} {list(x.shape)}" for k, x in model.spec.items()
                ),
                "training examples": _number(run.get("examples_in_data")),
                "test examples": _number(run.get("test_examples")),
                "classes": _classes(run),
                "checksum": run.get("data_checksum") or _ASKED,
                "source and licence": _ASKED,
                "consent of the people shown, if any": _ASKED,
            }
        ),
        "## Training",
        _table(
            {
                "steps": f"{step:,} of {config.steps:,}",
                "batch size": str(config.batch_size),
                "seed": str(config.seed),
                "time": f"{run['seconds'] / 3600:.2f} h" if "seconds" in run else "",
                "status": run.get("status", _ASKED),
                "command": f"`{_command(run.get('command', ''))}`",
            }
        ),
        "## Scores",
        _scores(scores, evaluated, step),
        "## Memorisation",
        _scores(copies, evaluated, step) if copies else _UNCHECKED,
        "## Intended use, and what it is not for",
        _USE,
        f"Intended use: {_ASKED}.",
        "## Limits",
        _LIMITS,
    ]
    text = "\n\n".join(parts) + "\n"
    return f"{_mark(text)}\n{text}"


def _mark(text):
    """The first line of a card, by which one that was edited is known."""
    return f"<!-- {SOFTWARE} {hashlib.sha256(text.encode()).hexdigest()} -->"


_UNCHECKED = """\
Not checked: whether samples are copies of training examples is not known. For images,
`python -m experiments.evaluate` with the metric `memorisation` compares them."""

_USE = """\
- For research on generative models, and for pictures that are shown as synthetic.
- Not for pictures of real people without their consent, for pictures that pass as
  photographs, or for decisions about people.
- A score says how close samples are to the data by that protocol, and not whether a
  use is right."""

_LIMITS = """\
- Samples have the gaps and the skew of the training data, and often less variety.
- Every picture that our commands write says that a model has made it, in its metadata.
  They are lost where it is saved again by a program that does not keep them. There is
  no invisible watermark."""


def _evaluation(workdir, step) -> dict[str, Any]:
    """The last evaluation of this step; {} without one."""
    path, found = Path(workdir) / "evaluations.jsonl", {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            said = json.loads(line)
        except ValueError:  # a line that was being written
            continue
        if said.get("step") == step:
            known = found.get("results", {})
            found = said | {"results": known | said.get("results", {})}
    return found


def _scores(results, evaluated, step):
    if not results:
        return f"None of step {step:,}."
    lines = ["| score | value | better | protocol |", "|---|---|---|---|"]
    for name, found in results.items():
        value, error = found.get("value"), found.get("standard_error")
        said = f"{value:.4g}" if isinstance(value, int | float) else str(value)
        said += f" ± {error:.2g}" if error else ""
        hidden = ("value", "standard_error", "better", "seconds")
        own = {k: x for k, x in found.items() if k not in hidden and x is not None}
        lines.append(
            f"| {name} | {said} | {found.get('better') or ''} | {_told(own)} |"
        )
    if protocol := _told(evaluated.get("protocol", {})):
        lines += ["", f"All of them: {protocol}."]
    return "\n".join(lines)


def _told(known):
    simple = {k: x for k, x in known.items() if isinstance(x, str | int | float)}
    said = "; ".join(f"{k}: {x}" for k, x in simple.items())
    return said.replace("|", "\\|")


def _table(rows):
    lines = [f"| {name} | {text} |" for name, text in rows.items() if text]
    return "\n".join(["| | |", "|---|---|", *lines])


def _number(x):
    return f"{x:,}" if isinstance(x, int) else _ASKED


def _counts(counts):
    return ", ".join(f"{k}: {x:,}" for k, x in (counts or {}).items()) or _ASKED


def _versions(versions):
    return ", ".join(f"{k} {x}" for k, x in (versions or {}).items()) or _ASKED


def _classes(run):
    names, counts = run.get("classes") or (), run.get("class_counts") or ()
    pairs = zip(names, counts, strict=False)
    said = ", ".join(f"{name} ({n:,})" for name, n in [*pairs][:50])
    return said + (", ..." if len(names) > 50 else "")


def _command(text):
    """A command line without the paths in it, which would name people and machines."""
    words = []
    for word in text.split():
        flag, is_flag, value = word.partition("=")
        hides = is_flag and "/" in value
        words.append(
            f"{flag}=..." if hides else word if is_flag or "/" not in word else "..."
        )
    return " ".join(words)
