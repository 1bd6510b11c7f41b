"""How often a sample finds its own sentence among others."""

from __future__ import annotations

import numpy as np

from experiments.evaluation import retrieval
from experiments.evaluation.result import Result
from gans.metrics.scores.retrieval import r_precision

MEANING = {
    "r_precision": (
        "How often a sample is nearer to its own sentence than to others, for encoders "
        "that learnt from real images; its protocol has real images, and chance."
    ),
}


def make(gan, spec, source, *, setting, output: str = "sample", candidates: int = 100):
    """Returns the evaluator of "r_precision".

    candidates: sentences that each sample is compared with, its own included; fewer
    where the data have fewer.

    Raises ValueError for an output that is not made of sentences.
    """
    field = setting.field("r_precision", output, "image")
    made_of = setting.sampler(output, "r_precision").depends_on
    said = [x for x in made_of if spec[x].kind == "captions"]
    if len(said) != 1:
        raise ValueError(
            f"{setting.place}: r_precision is for outputs that are made of sentences; "
            f"output {output!r} is made of {', '.join(made_of) or 'latents alone'}"
        )
    if candidates < 2:
        raise ValueError(
            f"{setting.place}: r_precision: candidates={candidates} must be at least 2"
        )
    judge = retrieval.Retrieval(source, field, said[0], setting.config.data)

    def evaluate(state):
        plan, real = setting.plan(output), setting.samplers.conditions
        rows = real.take(plan.rows)
        sentences, own = np.unique(rows[said[0]][:, 0], axis=0, return_inverse=True)
        n = min(candidates, len(sentences))
        vectors, own = judge.of_sentences(sentences), own.reshape(-1)
        made = np.concatenate([*setting.encoded(state, output, field)])
        found, of_real = (
            r_precision(judge.of_images(x), vectors, own, n)
            for x in (made, rows[field])
        )
        protocol = {
            "n": len(found),
            "candidates": n,
            "chance": 1 / n,
            "real": float(of_real.mean()),
            **judge.protocol,
        }
        error = float(found.std() / np.sqrt(len(found)))
        return {"r_precision": Result(found.mean(), "higher", error, protocol)}

    return evaluate
