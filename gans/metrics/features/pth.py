"""Reads the tensors of a torch weights file without torch, and runs nothing in it.

A .pth file is a pickle, which could name any function to call. Only the few names that
a state dict of plain tensors needs are known here, and each stands for something of
ours. Both formats of `torch.save` are read: the zip archive (since torch 1.6) and the
stream of pickles before it. `load` reads plain pickles as well, in which the caller may
allow more names.
"""

import io
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
# What a stream starts with: pickles of a magic number and of the protocol's version.
_HEADER = 0x1950A86A20F9469CFC6C, 1001


def read(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """The state dict that `torch.save` wrote: a numpy array [...] for each tensor.

    Dtypes are kept (bfloat16 as ml_dtypes has it); dicts and lists may be nested, and
    numbers and strings stay as they are. Arrays may share memory, as views did in
    torch.

    Raises ValueError, with the file's name, if the file names anything but dicts and
    dense tensors on the heap (nothing of it is run), or is damaged.
    """
    state = load(path)
    if not isinstance(state, dict):
        raise ValueError(
            f"{path}: holds a {type(state).__name__}, accepted is a dict of tensors"
        )
    return state


def load(path: str | pathlib.Path, known: Mapping[str, Callable] | None = None) -> Any:
    """Whatever `torch.save`, or with `known` pickle itself, has written.

    known: {"module.name": what is called in its place, or a class of dicts}: names that
      are accepted beside those of a state dict. None: plain pickles are rejected.

    Tensors become arrays [...]; raises ValueError as `read` does.
    """
    with open(path, "rb") as file:
        # What a damaged pickle or archive raises depends on where it is damaged.
        try:
            read = _read_zip if zipfile.is_zipfile(file) else _read_stream
            return read(file, known)
        except Exception as error:
            kind = pathlib.Path(path).suffix or "weights"
            raise ValueError(f"{path}: not a readable {kind} file: {error}") from error


def storage(data: bytes) -> "_Storage":
    """The storage that a plain pickle holds as `data`, a stream of its own.

    It is what `torch.storage._load_from_bytes` makes, for `known` of `load`.
    """
    found = _read_stream(io.BytesIO(data), None)
    if not isinstance(found, _Storage):
        raise ValueError(f"a storage holds a {type(found).__name__}")
    return found


def _read_zip(file, known):
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        root = next((n for n in names if n.endswith("/data.pkl")), None)
        if root is None:
            raise ValueError("no record */data.pkl in the archive")
        root = root.removesuffix("data.pkl")
        if (
            f"{root}byteorder" in names
            and archive.read(f"{root}byteorder") != b"little"
        ):
            raise ValueError("numbers are big-endian, accepted are little-endian ones")

        def record(key, size):
            found = archive.read(f"{root}data/{key}")
            if len(found) != size:
                raise ValueError(f"record {key} has {len(found)} bytes, not {size}")
            return bytearray(found)

        with archive.open(f"{root}data.pkl") as pickled:
            return _Unpickler(pickled, record, known).load()


def _read_stream(file, known):
    file.seek(0, 2)
    end = file.tell()
    file.seek(0)

    def empty(key, size):
        if size > end:
            raise ValueError(f"storage {key} of {size} bytes is larger than the file")
        return bytearray(size)  # filled below, once the pickles are read

    first = _Unpickler(file, empty, known)
    content = first.load()
    if known is not None and content != _HEADER[0]:
        if first.storages:
            raise ValueError(f"storages {sorted(first.storages)} are missing")
        return content
    if (content, _Unpickler(file, empty).load()) != _HEADER:
        raise ValueError("it is neither a zip archive nor a stream of torch's pickles")
    system = _Unpickler(file, empty).load()
    if not system["little_endian"]:
        raise ValueError("numbers are big-endian, accepted are little-endian ones")
    unpickler = _Unpickler(file, empty, known)
    state = unpickler.load()
    for key in _Unpickler(file, empty).load():
        storage = unpickler.storages.pop(key)
        (n,) = struct.unpack("<q", file.read(8))
        if file.readinto(storage.data) != n * storage.dtype.itemsize:
            raise ValueError(f"storage {key} is cut short")
    if unpickler.storages:
        raise ValueError(f"storages {sorted(unpickler.storages)} are missing")
    return state


class _Storage(NamedTuple):
    dtype: np.dtype
    data: bytearray


class Dict(dict):
    """A dict whose class a pickle names: attributes (torch's `_metadata`) are dropped.

    It can be called with what a dict is made of, [(key, value), ...].
    """

    def __setstate__(self, state):
        pass


class _Function:
    """What a name stands for: it can be called, and a pickle cannot change it."""

    __slots__ = ("_call",)

    def __init__(self, call):
        self._call = call

    def __call__(self, *args):
        return self._call(*args)

    def __setstate__(self, state):
        raise ValueError("it gives attributes to a function")


class _Unpickler(pickle.Unpickler):
    """Knows the names in `find_class` and no others.

    data(key, size) returns the bytes of a storage, and is asked once for each.
    """

    def __init__(
        self,
        file: BinaryIO,
        data: Callable[[str, int], bytearray],
        known: Mapping[str, Callable] | None = None,
    ):
        super().__init__(file, encoding="utf-8")
        self.data = data
        self.storages: dict[str, _Storage] = {}
        self.known = {
            "collections.OrderedDict": Dict,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _parameter,
            # Types of storages stand for themselves: a string can do nothing.
            **{f"torch.{storage}": storage for storage in DTYPES},
            **(known or {}),
        }

    def find_class(self, module, name):
        found = self.known.get(f"{module}.{name}")
        if found is None:
            accepted = ", ".join(self.known)
            raise ValueError(f"it names {module}.{name}, accepted are {accepted}")
        return found if isinstance(found, str | type) else _Function(found)

    def persistent_load(self, saved):
        kind, name, key, _, n, *view = saved
        if kind != "storage" or any(view):
            raise ValueError(f"it refers to {saved}, accepted are whole storages")
        dtype = np.dtype(DTYPES[name])
        if key not in self.storages:
            data = self.data(key, n * dtype.itemsize)
            self.storages[key] = _Storage(dtype, data)
        return self.storages[key]


def _tensor(storage, offset, size, strides, grad, hooks, metadata=None):
    """torch._utils._rebuild_tensor_v2: a view [*size]; numpy checks its bounds."""
    if metadata:
        raise ValueError(f"a tensor has the metadata {metadata}, accepted is none")
    step = storage.dtype.itemsize
    strides = [step * stride for stride in strides]
    return np.ndarray(size, storage.dtype, storage.data, step * offset, strides)


def _parameter(data, grad, hooks):
    return data
