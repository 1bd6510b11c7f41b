"""The pass of an extractor: every image once, in order, however it is split."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from experiments.evaluation import features
from experiments.evaluation.features import extract, extract_once
from experiments.evaluation.image_sets import ImageSet, of_source
from gans.data.source import InMemory, Unpaired
from gans.metrics.features.extractor import Extractor

SIZE = 16 * len(jax.devices())  # of a batch, on CPUs


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(features, "PER_ACCELERATOR", 16)
    return tmp_path / "jax-gans" / "features"


def noise(n, side=4, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, side, side, channels), np.uint8)


def in_pieces(images, size, **known):
    pieces = [images[i : i + size] for i in range(0, len(images), size)]
    return ImageSet("pieces", len(images), lambda: iter(pieces), **known)


def held(images, **known):
    return of_source(InMemory("held", {"image": images}, **known), "held")


def moments(variables, images):
    """Exact: integers far below 2^24."""
    x = images.reshape(len(images), -1).astype("int32")
    features = x @ variables["kernel"]
    return {"features": features.astype("float32"), "logits": x.astype("float32")}


def extractor(weights="abc", apply=moments, name="sums", **protocol):
    kernel = np.random.default_rng(1).integers(-9, 10, (48, 7))
    return Extractor(name, apply, {"kernel": kernel}, {"weights": weights, **protocol})


def expected(images):
    x = images.reshape(len(images), -1).astype(np.int64)
    return x @ extractor().variables["kernel"], x


@pytest.mark.parametrize("n", [1, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE + 5])
def test_every_image_once_and_in_order(n):
    images = noise(n)
    found = extract(extractor(), in_pieces(images, 10))
    features, logits = expected(images)
    np.testing.assert_array_equal(found.features, features)
    np.testing.assert_array_equal(found.logits, logits)
    assert found.features.dtype == found.logits.dtype == np.float32
    assert (len(found), found.shape, found.n_repeated) == (n, (4, 4, 3), 0)


@pytest.mark.parametrize("size", [1, 5, SIZE, SIZE + 1, 1000])
def test_the_batches_of_the_source_do_not_matter(size):
    images = noise(2 * SIZE + 3)
    whole = extract(extractor(), in_pieces(images, len(images)))
    found = extract(extractor(), in_pieces(images, size))
    np.testing.assert_array_equal(found.features, whole.features)


def test_images_in_any_memory_order():
    images = noise(SIZE + 3)
    found = extract(extractor(), in_pieces(np.asfortranarray(images), 7))
    np.testing.assert_array_equal(found.features, expected(images)[0])


def test_repeated_images_are_counted():
    images = noise(2 * SIZE)
    # Three copies, one of them in another batch than the first; and a near copy.
    images[[5, 9, SIZE + 3]] = images[2]
    images[7] = images[2]
    images[7, 0, 0, 0] ^= 1
    assert extract(extractor(), in_pieces(images, 10)).n_repeated == 3


def test_labels_go_along():
    labels = np.arange(5, dtype=np.int32)
    found = extract(extractor(), in_pieces(noise(5), 2, labels=labels, n_classes=9))
    assert found.labels is labels and found.n_classes == 9


def test_a_grey_picture_keeps_its_shape():
    apply = lambda _, images: {"features": images.mean((1, 2))}  # noqa: E731
    found = extract(extractor(apply=apply), in_pieces(noise(3, channels=1), 2))
    assert found.shape == (4, 4, 1) and found.logits is None


@pytest.mark.parametrize("part", ["features", "logits"])
def test_what_is_not_finite_is_an_error(part):
    images = noise(SIZE + 2)
    images[:, 0, 0, 0] = 1
    images[[3, SIZE + 1], 0, 0, 0] = 0

    def apply(variables, images):
        out = moments(variables, images)
        out[part] = out[part] / images[:, 0, 0, :1]
        return out

    message = f"sums gave {part} that are not finite for 2 of {SIZE + 2} images of p"
    with pytest.raises(ValueError, match=message):
        extract(extractor(apply=apply), in_pieces(images, 10))


@pytest.mark.parametrize(
    "apply, found",
    [
        (lambda x: x, rf"\[{SIZE}, 4, 4, 3\]"),
        (lambda x: {"logits": x[:, 0, 0]}, "logits"),
        (lambda x: {"features": x}, rf"'features': \[{SIZE}, 4, 4, 3\]"),
        (lambda x: {"features": x.mean((1, 2, 3))}, rf"'features': \[{SIZE}\]"),
        (lambda x: {"features": x[:5, 0, 0]}, r"'features': \[5, 3\]"),
        (lambda x: {"features": x[:, 0, 0], "logits": x.max()}, r"'logits': \[\]"),
    ],
)
def test_what_is_no_extractor(apply, found):
    wrong = extractor(apply=lambda _, images: apply(images), name="mine")
    message = rf"mine gave .*{found}.* for {SIZE} images; wanted .*`features` \[B, D\]"
    with pytest.raises(ValueError, match=message):
        extract(wrong, in_pieces(noise(SIZE), 10))


def test_images_of_a_shape_that_the_extractor_never_saw():
    small = extractor(image_shape=[4, 4, 1])
    message = r"pieces holds images \[4, 4, 3\]; sums takes only \[4, 4, 1\]"
    with pytest.raises(ValueError, match=message):
        extract(small, in_pieces(noise(3), 2))
    assert len(extract(extractor(image_shape=[4, 4, 3]), in_pieces(noise(3), 2))) == 3


def test_nothing_is_an_error():
    with pytest.raises(ValueError, match="pieces holds no images"):
        extract(extractor(), in_pieces(noise(0), 1))


@pytest.fixture
def passes(monkeypatch):
    """The names of the sets that were really passed through an extractor."""
    seen = []

    def counted(extractor, images):
        seen.append(images.name)
        return extract(extractor, images)

    monkeypatch.setattr(features, "extract", counted)
    return seen


def test_the_second_time_features_are_read(passes, folder):
    labels = np.arange(20, dtype=np.int32)
    images = noise(20)
    images[3] = images[2]
    source = InMemory("a", {"image": images, "label": labels})
    first = extract_once(extractor(), of_source(source, "a"))
    again = extract_once(extractor(), of_source(source, "b"))
    assert passes == ["a"] and len(os.listdir(folder)) == 1
    for name in ("features", "logits", "labels"):
        x, y = getattr(first, name), getattr(again, name)
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype
    for name in ("shape", "n_repeated", "n_classes"):
        assert getattr(first, name) == getattr(again, name)
    assert again.n_repeated == 1


def test_labels_are_those_of_the_images_at_hand(passes):
    images = noise(20)
    extract_once(extractor(), held(images))
    source = InMemory("a", {"image": images, "label": np.arange(20) % 2})
    assert extract_once(extractor(), of_source(source, "a")).labels.sum() == 10
    assert len(passes) == 1


def test_without_logits(passes):
    apply = lambda _, images: {"features": images.mean((1, 2))}  # noqa: E731
    for _ in range(2):
        assert extract_once(extractor(apply=apply), held(noise(3))).logits is None
    assert len(passes) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"weights": "abd"},
        {"name": "other"},
        {"resize": "clean"},
    ],
)
def test_what_features_depend_on_makes_them_anew(passes, other):
    extract_once(extractor(), held(noise(3)))
    extract_once(extractor(**other), held(noise(3)))
    assert len(passes) == 2


def test_other_images_are_passed(passes):
    images = noise(3)
    extract_once(extractor(), held(images))
    images = images.copy()
    images[0, 0, 0, 0] ^= 1
    extract_once(extractor(), held(images))
    assert len(passes) == 2


def test_what_nobody_can_name_is_not_kept(passes, folder):
    for _ in range(2):
        extract_once(extractor(weights=None, function="a:b"), held(noise(3)))
        extract_once(extractor(), in_pieces(noise(3), 2))
        nameless = Extractor("sums", moments, extractor().variables, {})
        extract_once(nameless, held(noise(3)))
    assert len(passes) == 6 and not folder.exists()


def test_it_is_compiled_once():
    traced = []

    def apply(variables, images):
        traced.append(images.shape)
        return moments(variables, images)

    same = extractor(apply=apply)
    for n in (3, 3 * SIZE + 1, 3):
        extract(same, in_pieces(noise(n), 7))
    assert traced == [(SIZE, 4, 4, 3)]


def test_some_of_the_images():
    labels = np.arange(40, dtype=np.int32)
    whole = extract(extractor(), in_pieces(noise(40), 9, labels=labels, n_classes=40))
    some = whole.some(7)
    assert len(some) == 7 and some.n_repeated is None and some.shape == whole.shape
    assert len({*some.labels}) == 7 and some.labels.tolist() != list(range(7))
    np.testing.assert_array_equal(some.features, whole.features[some.labels])
    np.testing.assert_array_equal(some.logits, whole.logits[some.labels])
    assert whole.some(7, seed=1).labels.tolist() != some.labels.tolist()
    bare = extract(
        extractor(apply=lambda _, x: {"features": x.mean((1, 2))}),
        in_pieces(noise(9), 3),
    )
    assert bare.some(2).logits is None and bare.some(2).labels is None


def test_the_number_of_logits_is_known_before_the_pass():
    assert features.n_logits(extractor(), (4, 4, 3)) == 48
    silent = extractor(apply=lambda _, x: {"features": x.mean((1, 2))})
    assert features.n_logits(silent, (4, 4, 3)) == 0
    with pytest.raises(ValueError, match="sums gave .* for 1 images"):
        features.n_logits(extractor(apply=lambda _, x: x), (4, 4, 3))


def test_features_that_no_memory_holds(monkeypatch):
    # 7 features of 4 bytes, of 1000 images, twice.
    monkeypatch.setattr(features, "_memory", lambda: 2 * 4 * 7 * 1000)
    images = in_pieces(noise(1000), 500)
    assert len(extract(extractor(), images)) == 1000
    monkeypatch.setattr(features, "_memory", lambda: 2 * 4 * 7 * 1000 - 1)
    with pytest.raises(ValueError, match="sums gives 7 features; those of the 1000"):
        extract(extractor(), images)


def test_the_data_of_a_run(passes, monkeypatch):
    images = noise(50)
    source = InMemory("a", {"image": images})
    test = InMemory("t", {"image": noise(5, seed=1)})
    made = features.Data("a", source, extractor, lambda: test)
    np.testing.assert_array_equal(made.real.features, expected(images)[0])
    np.testing.assert_array_equal(made.test.features, expected(noise(5, seed=1))[0])
    assert made.images is source and made.real is made.real
    assert passes == ["a", "a@test"]
    assert features.Data("a", source, extractor, lambda: None).test is None
    # Of many images, some: those that are taken are those whose features there are.
    monkeypatch.setattr(features, "N_REAL", 20)
    made = features.Data("a", source, extractor, lambda: None)
    again = made.images.take(np.array([3, 17]))["image"]
    np.testing.assert_array_equal(made.real.features[[3, 17]], expected(again)[0])
    assert len(made.real) == len(made.images) == 20
    assert len({x.tobytes() for x in made.images.take(np.arange(20))["image"]}) == 20


def test_the_data_of_a_side_of_an_unpaired_run(passes, monkeypatch):
    """Its own images and labels, each image once, also where some are drawn."""
    sides = {"a": noise(20), "b": noise(14, seed=1)}
    sides = {name: InMemory(name, {"image": x}) for name, x in sides.items()}
    labels = {"image": sides["b"].arrays["image"], "label": np.arange(14)}
    both = Unpaired("ab", sides | {"b": InMemory("b", labels)})
    made = features.Data("ab", both, extractor, lambda: both, field="b")
    assert len(made.real) == len(made.test) == 14 and made.real.n_repeated == 0
    np.testing.assert_array_equal(made.real.features, expected(labels["image"])[0])
    monkeypatch.setattr(features, "N_REAL", 10)
    for field, labelled in (("a", False), ("b", True)):
        some = features.Data("ab", both, extractor, lambda: None, field=field)
        assert len(some.real) == 10 and some.real.n_repeated == 0
        assert (some.real.labels is not None) == labelled
    drawn = some.images.take(np.arange(10))["b"]
    np.testing.assert_array_equal(some.real.features, expected(drawn)[0])


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_bar_is_for_terminals(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    extract(extractor(), in_pieces(noise(3), 2))
    shown = capsys.readouterr()
    assert ("sums, pieces" in shown.err) == terminal and not shown.out
    assert bool(shown.err) == terminal


MANY = """
import importlib.util, sys
import jax, numpy as np
from gans.metrics.scores.moments import Moments
spec = importlib.util.spec_from_file_location("tested", sys.argv[1])
tested = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tested)
found = tested.extract(tested.extractor(), tested.in_pieces(tested.noise(300), 77))
moments = Moments.of(found.features)
np.savez(sys.argv[2], features=found.features, mean=moments.mean, cov=moments.cov())
print(len(jax.devices()), tested.SIZE)
"""


def test_eight_devices_find_what_one_finds(tmp_path):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    environ = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    many = subprocess.run(
        [sys.executable, "-c", MANY, __file__, str(tmp_path / "many.npz")],
        env=environ,
        capture_output=True,
        text=True,
    )
    assert many.stdout.split() == ["8", "128"], many.stderr
    there = np.load(tmp_path / "many.npz")
    images = noise(300)
    here = extract(extractor(), in_pieces(images, 77)).features
    np.testing.assert_array_equal(there["features"], here)
    exact = expected(images)[0].astype(np.float64)
    mean, cov = exact.mean(axis=0), np.cov(exact, rowvar=False)
    np.testing.assert_allclose(there["mean"], mean, rtol=1e-10)
    np.testing.assert_allclose(there["cov"], cov, rtol=0, atol=1e-10 * cov.max())
    # A lost or a doubled image is not lost in the tolerance.
    lost = np.cov(exact[:-1], rowvar=False)
    assert np.abs(lost - cov).max() > 1e-9 * cov.max()
