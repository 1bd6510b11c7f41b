"""The forms in which a run is exported, by the ends of their files' names."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.exchange import card, exporting, onnx, programs
from experiments.sampling.model import Model


def write(
    workdir: str | os.PathLike,
    out: str | os.PathLike,
    *,
    checkpoint: str | int | None = None,
    output: str | None = None,
    sizes: Sequence[str | int] = (),
) -> list[str]:
    """Writes a checkpoint of a run in the form that the name of --out has.

    output: by default "sample", or the first that can be drawn. sizes: batch sizes that
    get a program of their own, in .stablehlo.

    Returns what was written, in lines. Raises ValueError for another name, for an
    option that the form does not have, and for an output that has no such form.
    """
    suffix = Path(out).suffix
    if suffix not in _FORMS:
        raise ValueError(
            f"--out={out}: the name must end in {', '.join(_FORMS)}, which chooses the "
            "form"
        )
    wrong = [x for x in sizes if not str(x).isdigit() or int(x) < 1]
    if wrong:
        raise ValueError(f"--sizes: {wrong[0]!r} is not a number of samples")
    call, takes = _FORMS[suffix]
    for flag, value in (("output", output), ("sizes", sizes)):
        if value and flag not in takes:
            raise ValueError(f"--{flag} has no effect on {suffix} files")
    if not takes:
        return exporting.weights(workdir, out, checkpoint)
    model = Model.load(workdir, checkpoint)
    options: dict[str, Any] = {}
    if "output" in takes:
        options["output"] = output or model.main_output
        model.sampler(options["output"])
    if "sizes" in takes:
        options["sizes"] = [int(x) for x in sizes]
    if "workdir" in takes:
        options["workdir"] = workdir
    return call(model, out, **options)


# The function, and what it takes beside the model; without any it opens the run itself.
_FORMS: dict[str, tuple[Callable[..., list[str]], tuple[str, ...]]] = {
    ".stablehlo": (programs.write, ("output", "sizes")),
    ".onnx": (onnx.write, ("output",)),
    ".safetensors": (exporting.weights, ()),
    ".md": (card.write, ("workdir",)),
}
