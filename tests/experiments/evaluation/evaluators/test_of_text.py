"""Scores of outputs that are made of sentences, of pictures instead of a model's."""

import types

import numpy as np
import pytest

from experiments.evaluation import extractors
from experiments.evaluation.evaluators import r_precision, text_match
from gans import data


def setting_of(made, source, field="image", made_of=("caption",)):
    """A run's setting, whose output is `made` [N, ...] of the source's first rows."""
    config = types.SimpleNamespace(data="captions:digits", data_dir=None, seed=0)
    config.skip_corrupt = False
    return types.SimpleNamespace(
        place="config.metrics",
        config=config,
        field=lambda metric, output, kind: field,
        sampler=lambda *_: types.SimpleNamespace(depends_on=made_of),
        samplers=types.SimpleNamespace(conditions=source),
        plan=lambda output: types.SimpleNamespace(rows=np.arange(len(made))),
        encoded=lambda *_: iter([made]),
    )


@pytest.fixture(scope="module")
def source():
    return data.load("captions:digits", resolution=32, split="test")


def test_attributes_and_classes_are_those_of_the_sentences(source, monkeypatch):
    images, labels = (source.arrays[x][:60] for x in ("image", "label"))
    known = {x.tobytes(): label for x, label in zip(images, labels, strict=True)}

    def apply(variables, x):  # knows each picture
        found = [known[one.tobytes()] for one in x]
        return {"logits": np.eye(10)[found]}

    judge = types.SimpleNamespace(
        apply=apply, variables={}, protocol={"weights": "w", "test_accuracy": 1.0}
    )
    monkeypatch.setattr(extractors, "classifier", lambda *_, **__: judge)
    monkeypatch.setattr(text_match.jax, "jit", lambda f: f)

    def shares(made):
        setting = setting_of(made, source)
        evaluate = text_match.make(None, source.spec, source, setting=setting)
        return evaluate(None)

    found = shares(images)
    assert {*found} == {
        *("text_match/size", "text_match/stroke", "text_match/slant"),
        *("text_match/class", "text_match/attributes"),
    }
    assert all(x.value == 1 and x.protocol["real"] == 1 for x in found.values())
    assert found["text_match/attributes"].protocol["n"] == 180
    # The negative control: pictures of other sentences; the real ones stay right.
    others = shares(np.roll(images, 7, axis=0))
    assert all(x.value < 0.9 and x.protocol["real"] == 1 for x in others.values())


@pytest.mark.parametrize("module", [r_precision, text_match])
def test_outputs_that_are_made_of_no_sentences_are_refused(module, source):
    setting = setting_of(source.arrays["image"][:4], source, made_of=())
    with pytest.raises(ValueError, match="outputs that are made of sentences"):
        module.make(None, source.spec, source, setting=setting)


def test_data_that_say_nothing_to_be_checked_are_refused(source):
    setting = setting_of(source.arrays["image"][:4], source)
    setting.config.data = "captions:elsewhere"
    spec = {x: source.spec[x] for x in ("image", "caption")}
    other = types.SimpleNamespace(spec=spec, label_of=lambda field: None)
    with pytest.raises(ValueError, match="captions:elsewhere has neither"):
        text_match.make(None, spec, other, setting=setting)


@pytest.mark.parametrize("candidates", [1])
def test_a_single_candidate_is_refused(candidates, source):
    setting = setting_of(source.arrays["image"][:4], source)
    with pytest.raises(ValueError, match="candidates=1 must be at least 2"):
        r_precision.make(
            None, source.spec, source, setting=setting, candidates=candidates
        )


def test_real_pictures_and_chance_stand_beside_r_precision(source, monkeypatch):
    """Encoders that know sentences by heart, and images by their bytes."""
    sentences = source.arrays["caption"][:30, 0]
    images = source.arrays["image"][:30]
    vectors = np.random.default_rng(0).normal(size=(30, 64))

    def number(x, known):
        return [next(i for i, one in enumerate(known) if (one == y).all()) for y in x]

    class Known:
        protocol = {"encoders": "known"}

        def __init__(self, *_):
            pass

        def of_images(self, x):
            return vectors[number(sentences[number(x, images)], sentences)]

        def of_sentences(self, x):
            return vectors[number(x, sentences)]

    monkeypatch.setattr(r_precision.retrieval, "Retrieval", Known)

    def found(made):
        setting = setting_of(made, source)
        evaluate = r_precision.make(None, source.spec, source, setting=setting)
        return evaluate(None)["r_precision"]

    right = found(images)
    n = len(np.unique(sentences, axis=0))
    assert right.value == 1 and right.protocol["real"] == 1
    assert right.protocol["candidates"] == n and right.protocol["chance"] == 1 / n
    wrong = found(images[::-1])
    assert wrong.value < 0.2 and wrong.protocol["real"] == 1
