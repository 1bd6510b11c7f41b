"""The classifier: it learns digits, its features are fit for a Frechet distance."""

import gzip
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import data
from gans.metrics.classifiers import small as classifier

MNIST = pathlib.Path(__file__).parents[4] / "shared/data/mnist"


def digits(split, resolution=16):
    source = data.load("digits", split=split, resolution=resolution)
    arrays = source.take(np.arange(len(source)))
    return arrays["image"], arrays["label"]


@pytest.fixture(scope="module")
def trained():
    return classifier.train(*digits("train"), 10, seed=0, steps=300)


@pytest.fixture(scope="module")
def extractor(trained):
    return classifier.make(trained, protocol={"data": "digits"})


def test_learns_digits(trained):
    # Of 360, at most 5 are wrong. Without training it is a guess among ten.
    assert classifier.accuracy(trained, *digits("test")) >= 0.985
    untrained = classifier.train(*digits("train"), 10, seed=0, steps=1)
    assert classifier.accuracy(untrained, *digits("test")) < 0.4


@pytest.mark.slow
def test_learns_mnist_in_a_few_steps():
    if not MNIST.exists():
        pytest.skip("MNIST is not in ../shared/data/mnist")

    def read(name, start):
        raw = gzip.decompress((MNIST / name).read_bytes())
        return np.frombuffer(raw, np.uint8, offset=start)

    def split(name):
        images = read(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
        return images, read(f"{name}-labels-idx1-ubyte.gz", 8).astype(np.int32)

    variables = classifier.train(*split("train"), 10, seed=0, steps=150)
    assert classifier.accuracy(variables, *split("t10k")) >= 0.96


def test_it_begins_with_the_weights_that_flax_draws(monkeypatch):
    """Compiled as a whole, which is quicker, to the bits of one operation at a time."""
    key, _ = jax.random.split(jax.random.key(3))
    x = jnp.zeros((1, 16, 16, 1))
    wanted = classifier.Classifier(10).init(key, x)["params"]
    begun = []

    def step(params, opt, *rest):
        begun.append(params)
        return params, opt

    monkeypatch.setattr(classifier, "_make_step", lambda *args: step)
    classifier.train(*digits("train"), 10, seed=3, steps=1)
    for a, b in zip(*map(jax.tree.leaves, (wanted, begun[0])), strict=True):
        assert a.tobytes() == b.tobytes()
    other = classifier.Classifier(10).init(jax.random.key(4), x)["params"]
    a, b = (jax.tree.leaves(x)[-1] for x in (wanted, other))
    assert a.tobytes() != b.tobytes()


def test_accuracy_by_hand(trained, extractor):
    images, labels = digits("test")
    logits = extractor.apply(trained, images)["logits"]
    right = np.sum(np.argmax(logits, axis=1) == labels)
    assert classifier.accuracy(trained, images, labels) == right / 360
    # One more than the batches of 500, and labels that are all wrong.
    many = np.concatenate([images, images])[:501]
    guesses = np.argmax(extractor.apply(trained, many)["logits"], axis=1)
    assert classifier.accuracy(trained, many, guesses) == 1.0
    assert classifier.accuracy(trained, many, (guesses + 1) % 10) == 0.0


def test_features_are_standardised_and_none_is_dead(trained, extractor):
    features = extractor.apply(trained, digits("train")[0])["features"]
    assert features.shape == (1437, 64) and features.dtype == jnp.float32
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-4)
    # A kurtosis of 3 is a Gaussian's, 1 that of two spikes; a feature that is nearly
    # always the same, as behind a dead ReLU, has one of hundreds.
    kurtosis = np.mean(np.asarray(features) ** 4, axis=0)
    assert 1.5 < kurtosis.min() and kurtosis.max() < 6
    eigenvalues = np.linalg.eigvalsh(np.cov(np.asarray(features, np.float64).T))
    assert eigenvalues[0] > 1e-5 * eigenvalues[-1]
    # Other images of the same kind look alike; noise does not.
    other = extractor.apply(trained, digits("test")[0])["features"]
    assert np.abs(other.mean(axis=0)).max() < 0.3
    noise = np.random.default_rng(0).integers(0, 256, (360, 16, 16, 1))
    far = extractor.apply(trained, noise.astype(np.uint8))["features"]
    assert np.abs(far.mean(axis=0)).max() > 1


def test_the_extractor_is_jittable_and_says_its_protocol(trained, extractor):
    images = digits("test")[0][:7]
    found = jax.jit(extractor.apply)(extractor.variables, images)
    assert extractor.name == "classifier" and extractor.protocol["data"] == "digits"
    assert found["features"].shape == (7, 64) and found["logits"].shape == (7, 10)
    alone = extractor.apply(trained, images[:1])["features"]
    np.testing.assert_allclose(found["features"][:1], alone, atol=1e-4)


def test_the_same_seed_is_the_same_training():
    def train(seed):
        return classifier.train(*digits("train"), 10, seed=seed, steps=5)

    a, b, c = train(0), train(0), train(1)
    jax.tree.map(np.testing.assert_array_equal, a, b)
    differ = jax.tree.map(lambda x, y: not np.array_equal(x, y), a, c)
    assert any(jax.tree.leaves(differ["params"]))


def test_progress_sees_each_step():
    seen = []

    def progress(steps):
        for step in steps:
            seen.append(step)
            yield step

    images, labels = digits("train")
    classifier.train(images, labels, 10, seed=0, steps=3, progress=progress)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 40, 3), (64, 64, 3)])
def test_any_size(shape):
    images = np.random.default_rng(0).integers(0, 256, (6, *shape)).astype(np.uint8)
    labels = np.arange(6, dtype=np.int32) % 3
    variables = classifier.train(images, labels, 3, seed=0, steps=1)
    found = classifier.make(variables, protocol={}).apply(variables, images)
    assert found["features"].shape == (6, 64) and found["logits"].shape == (6, 3)
    kernel = variables["params"]["features"]["kernel"]
    assert kernel.shape[0] <= 4 * 4 * 64


def test_shifts_move_images_by_whole_pixels():
    # 28 // 14 = 2: the dot in the middle moves by -2 to 2 each way, the frame stays 0.
    dots = np.zeros((200, 28, 28, 1), np.uint8)
    dots[:, 14, 14] = 255
    moved = np.asarray(classifier._shift(jnp.asarray(dots), jax.random.key(0)))
    n, rows, columns, _ = np.nonzero(moved)
    assert list(n) == list(range(200))
    for where in (rows, columns):
        assert set(where) == {12, 13, 14, 15, 16}
    assert len(set(zip(rows, columns, strict=True))) == 25


def test_what_cannot_be_classified_is_rejected():
    images, labels = digits("train")

    def rejected(match, images=images, labels=labels, n_classes=10):
        with pytest.raises(ValueError, match=match):
            classifier.train(images, labels, n_classes, seed=0, steps=1)

    rejected("images are float32", images=images.astype(np.float32))
    rejected(r"\(1437, 7, 7, 1\), accepted", images=images[:, :7, :7])
    rejected(r"\(1437, 16, 16, 2\)", images=np.repeat(images, 2, axis=-1))
    rejected(r"labels \(3,\) for 1437 images", labels=labels[:3])
    rejected(r"range over \[0, 9\], accepted are 0 to 8", n_classes=9)
    with pytest.raises(ValueError, match="steps=0, accepted are 1"):
        classifier.train(images, labels, 10, seed=0, steps=0)
    rejected("all the same", images=np.zeros_like(images))
