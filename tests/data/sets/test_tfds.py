"""TFDS sets: prepared for real where TensorFlow is, and the errors where it is not."""

import http.server
import importlib.util
import os
import pathlib
import socket
import threading
import types

import numpy as np
import pytest

from gans.data.sets import tfds as source

tfds = pytest.importorskip("tensorflow_datasets")

MNIST = pathlib.Path(
    os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"), "mnist"
).expanduser()


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A data directory with `tiny_shapes`, prepared by `load` itself.

    20 flat colour pictures, i of (i, 2i, 3i) and class i % 3, two sizes in turn.
    """
    pytest.importorskip("tensorflow", reason="TensorFlow prepares TFDS sets")

    class TinyShapes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=["ant", "cow", "bee"]),
                "extra": tfds.features.Text(),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, _):
            return {"train": self._generate_examples(20)}

        def _generate_examples(self, n):
            for i in range(n):
                image = np.full((8, 8 + i % 2, 3), (i, 2 * i, 3 * i), np.uint8)
                yield i, {"image": image, "label": i % 3, "extra": "x"}

    data_dir = tmp_path_factory.mktemp("tfds")
    source.load("tiny_shapes", resolution=4, data_dir=str(data_dir))
    return str(data_dir)


@pytest.mark.slow
def test_prepared_set(shapes, monkeypatch):
    def refuse(*_):
        raise AssertionError("it is prepared already")

    monkeypatch.setattr(source, "_prepare", refuse)
    monkeypatch.setenv("TFDS_DATA_DIR", shapes)
    got = source.load("tiny_shapes", resolution=4)
    assert len(got) == 20 and got.shape == (4, 4, 3) and got.n_classes == 3
    assert got.spec["label"].names == ("ant", "cow", "bee")
    image, label = got.arrays["image"], got.arrays["label"]
    assert image.dtype == np.uint8 and label.dtype == np.int32
    numbers = image[:, 0, 0, 0].astype(int)
    assert sorted(numbers) == list(range(20))
    expected = numbers[:, None, None, None] * np.array([1, 2, 3])
    np.testing.assert_array_equal(image, np.broadcast_to(expected, image.shape))
    np.testing.assert_array_equal(label, numbers % 3)

    part = source.load("tiny_shapes", resolution=2, channels=1, split="train[:25%]")
    assert len(part) == 5 and part.shape == (2, 2, 1)
    # i of (i, 2i, 3i) is grey (0.299 + 2 * 0.587 + 3 * 0.114) i = 1.815 i.
    np.testing.assert_allclose(
        part.arrays["image"][:, 0, 0, 0], 1.815 * numbers[:5], atol=0.51
    )


def test_streamed_is_the_same_set(shapes, monkeypatch):
    held = source.load("tiny_shapes", resolution=4, data_dir=shapes)
    monkeypatch.setattr(source, "hold", lambda streamed: streamed)
    streamed = source.load("tiny_shapes", resolution=4, data_dir=shapes)
    indices = np.array([19, 3, 3])
    for key, x in held.take(indices).items():
        np.testing.assert_array_equal(streamed.take(indices)[key], x)
    assert streamed[5]["image"].shape == streamed.shape and streamed.n_classes == 3


def test_wrong_requests_of_a_prepared_set(shapes):
    with pytest.raises(
        ValueError, match="tfds:tiny_shapes holds pictures of several sizes"
    ):
        source.load("tiny_shapes", data_dir=shapes)
    with pytest.raises(ValueError, match="no split 'test'; it has train"):
        source.load("tiny_shapes", resolution=4, split="test", data_dir=shapes)


@pytest.mark.skipif(not MNIST.is_dir(), reason=f"no prepared MNIST in {MNIST}")
def test_mnist():
    got = source.load("mnist", split="test[:200]")
    assert len(got) == 200 and got.shape == (28, 28, 1) and got.n_classes == 10
    # White strokes on black, as 10,000 of them have a mean of 33.8.
    assert 28 < got.arrays["image"].mean() < 40
    assert len(np.unique(got.arrays["label"])) == 10
    large = source.load("mnist", split="test[:20]", resolution=32, channels=3)
    assert large.shape == (32, 32, 3) and large.arrays["image"].max() > 250


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match="'mnsit'; nearest are .*mnist"):
        source.load("mnsit", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="tfds:mnist/large.*large"):
        source.load("mnist/large", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="aeslc has no feature `image`, only email"):
        source.load("aeslc", data_dir=str(tmp_path))


def pretend_tensorflow(monkeypatch, installed):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: installed if name == "tensorflow" else real(name, *a),
    )


def test_without_tensorflow(monkeypatch, tmp_path):
    pretend_tensorflow(monkeypatch, None)
    with pytest.raises(RuntimeError) as error:
        source.load("mnist", data_dir=str(tmp_path))
    message = str(error.value)
    assert "tfds:mnist is not prepared" in message
    assert "TensorFlow is not installed" in message and "jax-gans[tfds]" in message
    assert str(tmp_path / "mnist") in message and 'data="digits"' in message


def test_without_network(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise socket.gaierror("name resolution failed")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    pretend_tensorflow(monkeypatch, importlib.util.find_spec("json"))
    with pytest.raises(RuntimeError) as error:
        source.load("mnist", data_dir=str(tmp_path))
    message = str(error.value)
    assert "no network" in message and "mnist" in message and "http" in message
    assert str(tmp_path / "mnist") in message and 'data="digits"' in message


def test_any_answer_counts_as_reachable():
    class Server(http.server.HTTPServer):
        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        assert source._unreachable(url, seconds=0.1)  # accepted, but never answered
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        assert source._unreachable(url) is None  # 501, as the handler knows no HEAD
        server.shutdown()
        thread.join()
    assert source._unreachable(url) == "ConnectionError"


def test_failed_preparation_keeps_its_cause(monkeypatch, tmp_path):
    pytest.importorskip("tensorflow", reason="TensorFlow prepares TFDS sets")
    monkeypatch.setattr(source, "_unreachable", lambda url: None)

    def fail(*_, **__):
        raise OSError("No space left on device\nand a long story")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(RuntimeError, match="OSError: No space left on device. A"):
        source.load("mnist", data_dir=str(tmp_path))


def test_prepared_without_random_access():
    class Builder:
        data_path = "/somewhere/mnist"
        info = types.SimpleNamespace(file_format=types.SimpleNamespace(value="riegeli"))

        def as_data_source(self, *_, **__):
            raise NotImplementedError

    with pytest.raises(RuntimeError, match="in /somewhere/mnist as riegeli"):
        source._open(tfds, "mnist", Builder(), "train")
