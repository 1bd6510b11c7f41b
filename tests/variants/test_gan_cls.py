"""GAN-CLS: whom each update shows which sentences, samples of texts, and refusals."""

import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from configs import gan_cls as config_file
from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from experiments.sampling import asked, written
from gans import core
from gans.data.spec import Field
from gans.variants import gan_cls

WORDS = ("", "a", "cat", "dog", "small")
SPEC = {
    "caption": Field("captions", (2, 4), "int32", 5, WORDS),
    "image": Field("image", (16, 16, 1), "uint8"),
}
VECTORS = {
    "embedding": Field("embeddings", (2, 7), "float32"),
    "image": SPEC["image"],
}
KEY = jax.random.key(0)


def resolved(spec=SPEC, **changes):
    config = config_file.get_config()
    config.resolution, config.latent, config.text_features = 16, 5, 6
    config.metrics, config.batch_size = (), 4
    for player in (config.generator, config.discriminator):
        player.width = player.text = 4
    with config.unlocked(), config.ignore_type():
        config.update(changes)
    source = types.SimpleNamespace(spec=spec, shape=(16, 16, 1), n_classes=None)
    return configs.resolve(config, source)


def game_of(**changes):
    return next(iter(configs.build(resolved(**changes)).updates)).loss.__self__


@pytest.fixture(scope="module")
def game():
    """Where vectors are the sentences' own first words, so that they can be told."""

    class Game(gan_cls.TextGame):
        def embedded(self, nets, sentences):
            return sentences[:, :1].astype(jnp.float32)

    found = game_of()
    fields = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    return Game(**fields)


def batch(*first):
    """Examples whose sentences begin with these words; 0: there is none."""
    caption = np.zeros((len(first), 2, 4), np.int32)
    caption[:, :, 0] = first
    image = np.zeros((len(first), 16, 16, 1), np.float32)
    return {"caption": jnp.asarray(caption), "image": jnp.asarray(image)}


def test_sentences_that_are_there_are_drawn_alike(game):
    caption = batch((1, 0), (2, 3))
    drawn = game._drawn(caption, KEY, 400)[..., 0]
    assert (drawn[0] == 1).all()
    assert {*np.unique(drawn[1]).tolist()} == {2, 3}
    assert 0.4 < (drawn[1] == 3).mean() < 0.6


def test_vectors_are_averaged(game):
    many = dataclasses.replace(game, averaged=400)
    text = many.with_text({}, batch((1, 0), (2, 3)), KEY)["text"]
    assert text[0, 0] == 1 and 2.4 < text[1, 0] < 2.6


def test_the_generator_also_sees_what_is_between(game, monkeypatch):
    shown = {}

    def passes(self, nets, batch, key, state, added):
        shown.update(batch)

    monkeypatch.setattr(gan_cls.Game, "against_d", passes)
    four = batch((1, 1), (2, 2), (3, 3), (4, 4))
    game.against_d({}, four, KEY, None, ())
    # Of 1 and 3, and of 2 and 4.
    np.testing.assert_array_equal(shown["text"][:, 0], [1, 2, 3, 4, 2, 3])
    assert len(shown["image"]) == 6
    dataclasses.replace(game, beta=None).against_d({}, four, KEY, None, ())
    assert shown["text"].shape == (4, 1)


def test_the_discriminators_loss_is_of_three_kinds_of_pairs(game, monkeypatch):
    """Right pairs cost 1 each here, wrong ones by their text, fakes 8."""

    def right_and_fake(self, nets, batch, key, state):
        return 1 + (1 - self.wrong) * 8, core.Out({})

    class Views:
        def __init__(self, d, text, *rest):
            self.one = lambda x: text[:, 0]

    monkeypatch.setattr(gan_cls.Game, "discriminator_loss", right_and_fake)
    monkeypatch.setattr(
        gan_cls.Game, "_views", lambda self, d, text, *rest: Views(d, text)
    )

    def costs(real, fake):
        return real, (1 - 0.5) * fake

    loss = dataclasses.replace(game.loss, discriminator=costs)
    own = dataclasses.replace(game, loss=loss)
    # The third's sentence is that of the one before: no mistake. Others: 4, 1, 2.
    four = batch((1, 1), (2, 2), (2, 2), (4, 4))
    value, out = own.discriminator_loss({"d": None}, four, KEY, None)
    np.testing.assert_allclose(value, 1 + 0.5 * 8 + 0.5 * (4 + 1 + 2) / 3, rtol=1e-6)
    np.testing.assert_allclose(out.metrics["score_wrong"], (4 + 1 + 2 + 2) / 4)


def test_the_encoder_learns_first_and_the_game_after_it():
    gan = configs.build(resolved(encoder_steps=3))
    due = [[bool(x.when(step)) for x in gan.updates] for step in (0, 2, 3, 9)]
    assert [x.name for x in gan.updates] == ["joint", "d", "g"]
    assert due == [[True, False, False]] * 2 + [[False, True, True]] * 2
    assert [x.trains for x in gan.updates] == [("words", "pictures"), ("d",), ("g",)]
    without = configs.build(resolved(encoder_steps=0))
    assert [x.when for x in without.updates] == [None, None]
    assert {*without.nets} == {"g", "d", "words"} and without.nets["words"].tx is None


def test_vectors_need_no_encoder():
    gan = configs.build(resolved(VECTORS))
    assert {*gan.nets} == {"g", "d"} and gan.conditioned_on == ("embedding",)
    assert gan.nets["g"].inputs[1].shape == (1, 7)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": "relativistic_average"}, "three kinds of pairs"),
        ({"encoder_steps": 6000}, "encoder_steps=6000 leaves none of steps=6000"),
        ({"spec": {"image": SPEC["image"]}}, r"has image \(image\)"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        configs.build(resolved(**changes))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained run, whose data are not at hand."""
    folder = tmp_path_factory.mktemp("run")
    config = resolved()
    with config.unlocked():
        config.data = "captions:nowhere"
    (folder / "config.json").write_text(configs.to_json(config))
    shapes = jax.eval_shape(functools.partial(core.init, configs.build(config)), KEY)
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    checkpoints = Checkpoints(folder, keep=None)
    checkpoints.save(0, state, {})
    checkpoints.close()
    return experiments.load(folder)


def test_inputs_of_texts_take_turns_and_are_those_of_the_words(model):
    found = model.inputs(3, text=["a cat", "a small dog"])
    np.testing.assert_array_equal(
        found["caption"][:, 0], [[1, 2, 0, 0], [1, 4, 3, 0], [1, 2, 0, 0]]
    )
    given = model.inputs(3, given=found["caption"])
    np.testing.assert_array_equal(found["z"], given["z"])
    other = model.inputs(1, text="a dog", seed=1)
    assert (other["z"] != found["z"][:1]).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"text": "a smal dog"}, "'smal' is not one of the 4 words .*mean 'small'"),
        ({"text": ""}, "has no words"),
        ({"text": "a cat", "given": np.zeros((1, 2, 4), np.int32)}, "wanted one of"),
    ],
)
def test_texts_that_are_refused(model, options, said):
    with pytest.raises(ValueError, match=said):
        model.inputs(**options)


def test_texts_of_a_command_line():
    assert asked.texts("a cat; a dog") == ["a cat", "a dog"]
    assert asked.texts(None) is None
    with pytest.raises(ValueError, match="wanted a sentence, or several"):
        asked.texts("a cat;")


def test_sentences_stand_above_their_tiles():
    grid = np.zeros((66 * 2 - 2, 66 * 4 - 2, 1), np.uint8)  # two rows of two pairs
    found = written.above(grid, ["a cat", "a dog", "a cat"], 4, each=2)
    assert found.shape[1:] == (66 * 4 - 2, 3)
    tall = found.shape[0] - grid.shape[0]
    assert tall % 2 == 0 and found[: tall // 2].max() == 255
    assert found[: tall // 2, 132:170].min() < 255  # the second pair's text
