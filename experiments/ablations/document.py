"""Puts the results of ablations into a document, between marks, and leaves its prose.

    python -m experiments.ablations.document --document=docs/ablations.md --workdir=DIR
    ...

What lies between `<!-- NAME-PRESET -->` and `<!-- end -->` is made anew: command, cost,
tables and pictures, which are copied beside the document. An ablation that the document
does not have is added at its end.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from absl import app, flags

from experiments import pages
from experiments.ablations import report
from experiments.files import replacing

END = "<!-- end -->"


def put(document: Path, workdir: Path) -> None:
    """Puts the results of an ablation's folder into a document.

    Raises FileNotFoundError without results, ValueError for a mark without an end.
    """
    report.write(workdir)
    results = json.loads((workdir / "results.json").read_text())
    key = "-".join(x for x in (results["name"], results.get("preset")) if x)
    text = document.read_text(encoding="utf-8") if document.is_file() else ""
    mark = f"<!-- {key} -->"
    if mark not in text:
        text = f"{text.rstrip()}\n\n## {key}\n\n{mark}\n{END}\n".lstrip()
    before, _, rest = text.partition(mark)
    old, end, after = rest.partition(END)
    if not end or "<!--" in old:
        raise ValueError(f"{document}: {mark} is not followed by {END}")
    pictures = _pictures(document, workdir, key)
    parts = [mark, _cost(results), *_tables(workdir), *pictures, END]
    with replacing(document) as path:
        Path(path).write_text(before + "\n\n".join(parts) + after, encoding="utf-8")


def _cost(results):
    arms, run = results["arms"], results["runs"][-1]
    programs = len({arm["program"] for arm in arms.values()})
    total = pages.duration(sum(arm["seconds"] for arm in arms.values()))
    count = f"{len(arms)} arms x {results['n_seeds']} seeds in {programs} programs"
    machine = f"{run['hardware']}, jax {run['versions']['jax']}"
    return f"    {run['command']}\n\n{count}: {total} on {machine}."


def _tables(workdir):
    """Of the first metric, and of the others."""
    report = (workdir / "report.md").read_text(encoding="utf-8")
    for section in report.split("\n### ")[1:]:
        heading, _, body = section.partition("\n\n")
        table = body[body.find("| arm") :].strip()
        if heading.endswith("better)"):
            yield f"{heading}:\n\n{table}"
        elif heading == "Other metrics":
            yield f"{heading}, at the end:\n\n{table}"


def _pictures(document, workdir, key):
    for name, what in (("curves", "Learning curves"), ("samples", "Samples")):
        picture = document.with_name(f"ablation_{key}_{name}.png".replace("-", "_"))
        if (workdir / f"{name}.png").is_file():
            shutil.copy(workdir / f"{name}.png", picture)
            yield f"![{what} of each arm]({picture.name})"


# --- command --------------------------------------------------------------------------


def main(argv):
    """Puts each folder's results into the document."""
    for workdir in flags.FLAGS.workdir + argv[1:]:
        put(Path(flags.FLAGS.document), Path(workdir))


if __name__ == "__main__":
    flags.DEFINE_string("document", None, "In Markdown.", required=True)
    flags.DEFINE_list("workdir", None, "Folders of ablations.", required=True)
    app.run(main)
