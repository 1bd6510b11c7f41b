"""Image sets of TensorFlow Datasets: `tfds:NAME`, read without TensorFlow.

TensorFlow is needed once, to prepare a set; its ArrayRecord files are then read by
TFDS's own data sources, and the pictures in them are decoded by Pillow.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import logging
import os
import threading
from typing import Any

import numpy as np
from PIL import Image

from gans.data import altered
from gans.data.image import fit
from gans.data.sets import NoSplit, OptionWanted, expanded
from gans.data.source import InMemory, Streamed, hold
from gans.data.spec import Field

NAMES = ("tfds:NAME",)
SEEDED = False
OFFLINE = 'the handwritten digits of data="digits" need neither network nor files'


def load(
    name: str,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    split: str = "train",
    data_dir: str | None = None,
    **_unused,
) -> InMemory | Streamed:
    """The TFDS set `name` ("mnist", "imagenette/160px-v2"), prepared on first use.

    `image` is uint8 [R, R, C], by default of the set's own size and channels;
    `label` int32 where the set has one label. `split` is what TFDS accepts: "test",
    "train[:10%]". `data_dir` defaults to $TFDS_DATA_DIR, then to TFDS's own default.

    Raises ValueError for an unknown name or split and for sets without images, and
    RuntimeError when the set is not prepared and cannot be.
    """
    with _quiet():
        # It takes a second to import: only who asks for its sets waits for it.
        import tensorflow_datasets as tfds

        data_dir = expanded(data_dir or os.environ.get("TFDS_DATA_DIR", ""))
        builder = _builder(tfds, name, data_dir or None)
        features = dict(builder.info.features.items())
        if not isinstance(features.get("image"), tfds.features.Image):
            raise ValueError(
                f"tfds:{name} has no feature `image`, only {', '.join(features)}"
            )
        if not np.issubdtype(features["image"].np_dtype, np.integer):
            raise ValueError(f"tfds:{name} holds images of floats; wanted integers")
        if not builder.is_prepared():
            _prepare(tfds, name, builder)
        data = _open(tfds, name, builder, split)

    shape = own = features["image"].shape
    channels = channels or (1 if shape[-1] == 1 else 3)
    if resolution is not None:
        shape = (resolution, resolution)
    elif None in shape[:2]:
        raise OptionWanted(f"tfds:{name} holds pictures of several sizes", "resolution")
    label = features.get("label")
    labelled = isinstance(label, tfds.features.ClassLabel)

    def take(indices: np.ndarray) -> dict[str, np.ndarray]:
        items = data.__getitems__(indices.tolist())
        files = [Image.open(io.BytesIO(item["image"])) for item in items]
        taken = {"image": np.stack([fit(f, resolution, channels) for f in files])}
        if labelled:
            taken["label"] = np.array([item["label"] for item in items], np.int32)
        return taken

    spec = {"image": Field("image", (*shape[:2], channels), "uint8")}
    if labelled:
        spec["label"] = Field(
            "label", (), "int32", label.num_classes, tuple(label.names)
        )

    def read() -> dict[str, Any]:
        if None in own:
            return {}
        sizes = np.tile(own[1::-1], (len(data), 1))
        in_colour = np.full(len(data), own[-1] > 1)
        return altered.fitted(sizes, in_colour, resolution, channels)

    return hold(Streamed(f"tfds:{name}", take, len(data), spec, read))


def _builder(tfds, name: str, data_dir: str | None):
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name.partition("/")[0], known, n=3)
        hint = f"; nearest are {', '.join(near)}" if near else ""
        raise ValueError(f"TFDS knows no data set {name!r}{hint}") from None
    except (ValueError, AssertionError) as error:  # of its config or version
        raise ValueError(f"tfds:{name}: {error}") from None


def _open(tfds, name: str, builder, split: str):
    """Random access to the undecoded records of `split`."""
    try:
        return builder.as_data_source(
            split, decoders={"image": tfds.decode.SkipDecoding()}
        )
    except NotImplementedError:
        raise RuntimeError(
            f"tfds:{name} is prepared in {builder.data_path} as "
            f"{builder.info.file_format.value}, which has no random access: convert it "
            "to array_record, or name another data_dir"
        ) from None
    except (ValueError, KeyError):
        splits = ", ".join(builder.info.splits)
        raise NoSplit(f"tfds:{name} has no split {split!r}; it has {splits}") from None


def _prepare(tfds, name: str, builder) -> None:
    """Downloads and writes the set, with TFDS's progress bars."""

    def failed(cause: str) -> RuntimeError:
        return RuntimeError(
            f"tfds:{name} is not prepared and cannot be: {cause}. A prepared copy is "
            f"looked for in {builder.data_path} (set TFDS_DATA_DIR or data_dir for "
            f"another place). Offline, {OFFLINE}."
        )

    if importlib.util.find_spec("tensorflow") is None:
        raise failed("TensorFlow is not installed (pip install 'jax-gans[tfds]')")
    url = next((u for u in builder.url_infos or () if u.startswith("http")), None)
    problem = url and _unreachable(url)
    if problem:
        raise failed(f"no network, as {url} cannot be reached ({problem})")

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # it would take the memory JAX needs
    try:
        builder.download_and_prepare(
            file_format="array_record",
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    except Exception as error:  # whatever the set's own code raises
        cause = str(error).partition("\n")[0]
        raise failed(f"{type(error).__name__}: {cause}") from error


def _unreachable(url: str, seconds: float = 3.0) -> str | None:
    """Why nothing answers at `url`, or None if something does.

    Asked before TFDS is, which would try ten times with growing pauses.
    """
    import requests  # as TFDS does, so with the same proxies and certificates

    outcome = [f"no answer within {seconds:g} s"]

    def ask():
        try:
            requests.head(url, timeout=seconds).close()
            outcome[0] = None
        except requests.RequestException as error:
            outcome[0] = type(error).__name__

    # Apart, as the time limit of a request does not hold for looking up its host.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds + 1)
    return outcome[0]


@contextlib.contextmanager
def _quiet():
    """Keeps TFDS's advice and warnings off the screen."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
