"""Cycle error: how far examples are from themselves, there and back.

It is measured of every output that makes a field of that same field: "cycle_a", A to B
and back, gives "cycle/a", and a "reconstruct" gives "cycle/reconstruct".
"""

from __future__ import annotations

from experiments.evaluation.pairs import in_float64
from gans.metrics.scores import fidelity

LEVELS = 127.5  # of 255, in a unit of [-1, 1]
MEANING = {
    "cycle": (
        "How far a pixel is from the image it started from, after the way there and "
        "back, where black is -1 and white 1: 0.1 is 12.75 of 255 levels; 0 is equal."
    ),
}


def make(gan, spec, source, *, setting, output: str | None = None):
    """Returns the evaluator, of one output or of all that can be measured.

    Raises ValueError if there are none.
    """
    outputs = [output] if output else [x for x in gan.outputs if _returns(setting, x)]
    if not outputs:
        raise ValueError(
            f"{setting.place}: cycle needs an output that makes images of a field of "
            f"that field; there are {', '.join(gan.outputs)}"
        )
    found = {name: setting.of_pairs("cycle", name) for name in outputs}
    for pairs in found.values():
        pairs.want("cycle", in_float64(lambda x, y: fidelity.l1(x, y) / LEVELS))

    def evaluate(state):
        return {
            f"cycle/{name.removeprefix('cycle_')}": pairs.result(
                state, "cycle", "lower", unit="of [-1, 1]"
            )
            for name, pairs in found.items()
        }

    return evaluate


def _returns(setting, output):
    """Whether an output makes one field of images, of that field."""
    sampler = setting.sampler(output)
    made = [x for x in sampler.fields if x in setting.spec]
    images = [x for x in made if setting.spec[x].kind == "image"]
    return len(images) == 1 and images[0] in sampler.depends_on
