"""Whether samples show what their sentences ask for, word by word."""

from __future__ import annotations

import jax
import numpy as np

from experiments.evaluation import extractors
from experiments.evaluation.result import Result
from gans import data
from gans.data import kinds

MEANING = {
    "text_match/class": (
        "The share of samples that a classifier of the data takes for what their "
        "sentence names; its protocol has the same of real images."
    ),
    "text_match/attributes": (
        "The share of the attributes in sentences that are measured in the samples."
    ),
    "text_match": "The same of one attribute.",
}
_FIRST = ("class", "attributes")


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Returns the evaluator of "text_match/class" and "text_match/ATTRIBUTE".

    Raises ValueError for an output that is not made of sentences, and for data with
    neither names of classes nor attributes that can be measured.
    """
    place = f"{setting.place}: text_match"
    field, config = setting.field("text_match", output, "image"), setting.config
    made_of = setting.sampler(output, "text_match").depends_on
    said = [x for x in made_of if spec[x].kind == "captions"]
    if len(said) != 1:
        raise ValueError(
            f"{place} is for outputs that are made of sentences; output {output!r} is "
            f"made of {', '.join(made_of) or 'latents alone'}"
        )
    label, measure = source.label_of(field), data.attributes(config.data)
    classes = (label and spec[label].names) or ()
    if not classes and measure is None:
        raise ValueError(
            f"{place} needs data with names of classes, or with attributes that can be "
            f"measured, as captions:digits has; {config.data} has neither"
        )

    def classified():
        return extractors.classifier(
            config.data,
            resolution=spec[field].shape[0],
            channels=spec[field].shape[-1],
            data_dir=config.data_dir,
            skip_corrupt=config.skip_corrupt,
            data_seed=config.seed,
        )

    def words(images, judge):
        """{what: the words [N] that are true of images}."""
        found = measure(images) if measure else {}
        if classes:
            apply = jax.jit(judge.apply)
            parts = [
                np.asarray(apply(judge.variables, images[i : i + 256])["logits"])
                for i in range(0, len(images), 256)
            ]
            found["class"] = np.array(classes)[np.concatenate(parts).argmax(axis=1)]
        return found

    def evaluate(state):
        rows = setting.samplers.conditions.take(setting.plan(output).rows)
        text = kinds.of(spec[said[0]]).text_of
        asked = [{*text(spec[said[0]], x).split()} for x in rows[said[0]]]
        made = np.concatenate([*setting.encoded(state, output, field)])
        judge = classified() if classes else None
        found, real = words(made, judge), words(rows[field], judge)
        results, attributes = {}, []
        for name, x in found.items():
            choices = classes if name == "class" else {*x, *real[name]}
            at = np.array([bool(own & {*choices}) for own in asked])
            if not at.any():
                continue
            right, of_real = (
                np.array([w in own for w, own in zip(y, asked, strict=True)])[at]
                for y in (x, real[name])
            )
            protocol = {"n": int(at.sum()), "real": float(of_real.mean())}
            if name == "class":
                protocol["classifier"] = judge.protocol["weights"]
                protocol["test_accuracy"] = judge.protocol["test_accuracy"]
            else:
                attributes.append((right, of_real))
            results[f"text_match/{name}"] = _share(right, protocol)
        if attributes:
            right, real = map(np.concatenate, zip(*attributes, strict=True))
            protocol = {"n": len(right), "real": float(real.mean())}
            results["text_match/attributes"] = _share(right, protocol)
        # The first one chooses the best checkpoint.
        first = [x for x in map("text_match/{}".format, _FIRST) if x in results]
        return {x: results[x] for x in (*first, *results)}

    return evaluate


def _share(right, protocol):
    error = float(right.std() / np.sqrt(len(right)))
    return Result(float(right.mean()), "higher", error, protocol)
