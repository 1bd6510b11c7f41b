"""Puts the results of ablations into a document, between marks; leaves its prose alone.

    python -m experiments.ablations.document --document=docs/ablations.md
        --workdir=DIR_OR_FILE,...

What lies between `<!-- NAME-PRESET -->` and `<!-- end -->` is replaced by the command,
the cost, tables and pictures; these are copied beside the document. An ablation that
the document lacks is added at its end. A file is a results.json that was kept without
its folder: pictures of samples that are beside the document already stay there.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from absl import app, flags

from experiments import pages
from experiments.ablations import report
from experiments.ablations import results as results_file
from experiments.files import replacing

END = "<!-- end -->"


def put(document: Path, workdir: Path) -> None:
    """Puts the results in an ablation's folder, or in a file, into a document.

    Raises FileNotFoundError without results, ValueError for a mark without an end.
    """
    with contextlib.ExitStack() as stack:
        if workdir.is_file():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            shutil.copy(workdir, folder / "results.json")
            workdir = folder
        _put(document, workdir)


def _put(document, workdir):
    report.write(workdir)
    results = results_file.read(workdir / "results.json")
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
    n = f"{programs} program{'s' * (programs != 1)}"
    count = f"{len(arms)} arms x {results['n_seeds']} seeds in {n}"
    machine = f"{run['hardware']}, jax {run['versions']['jax']}"
    command = results.get("command", run["command"])
    return f"    {command}\n\n{count}: {total} on {machine}."


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
    for name, what in report.PICTURES.items():
        picture = document.with_name(f"ablation_{key}_{name}".replace("-", "_"))
        if (workdir / name).is_file():
            shutil.copy(workdir / name, picture)
        elif name != "samples.png":
            continue
        if picture.is_file():
            yield f"![{what} of each arm]({picture.name})"


# --- command --------------------------------------------------------------------------


def main(argv):
    """Puts the results of each folder or file into the document."""
    for workdir in flags.FLAGS.workdir + argv[1:]:
        put(Path(flags.FLAGS.document), Path(workdir))


if __name__ == "__main__":
    flags.DEFINE_string("document", None, "In Markdown.", required=True)
    flags.DEFINE_list(
        "workdir", None, "Folders of ablations, or results.json.", required=True
    )
    app.run(main)
