"""Files of weights as others write them, made without their code."""

import io
import pathlib
import pickle
import types
import zipfile

import numpy as np
import pytest

PARITY = pathlib.Path(__file__).parents[4] / "shared/reference/parity"


def push(*things):
    """The pickles of things without their first and last opcodes."""
    return b"".join(pickle.dumps(thing, 2)[2:-1] for thing in things)


class Name:
    """Is pickled as a name, "module.name", of what need not be there."""

    def __init__(self, path):
        self.path = path

    def __call__(self):
        """Only what can be called can be pickled as a function."""


class Call:
    """Is pickled as a call of what is named."""

    def __init__(self, path, *args):
        self.call = Name(path), args

    def __reduce__(self):
        return self.call


class EasyDict(dict):
    """Is pickled as a dict of the class that the public implementation has."""


class Tensor:
    """Is pickled as torch pickles a tensor: its storage is a stream of its own."""

    def __init__(self, x):
        self.x = np.asarray(x, np.float32, order="C")

    def __reduce__(self):
        strides = tuple(n // 4 for n in self.x.strides)
        storage = Call("torch.storage._load_from_bytes", stream(self.x))
        of = storage, 0, self.x.shape, strides, False, {}
        return Call("torch._utils._rebuild_tensor_v2", *of).__reduce__()


class Pickler(pickle._Pickler):
    """Writes the classes above."""

    dispatch = dict(pickle._Pickler.dispatch)

    def name(self, thing):
        module, _, name = thing.path.rpartition(".")
        self.write(f"c{module}\n{name}\n".encode())
        self.memoize(thing)

    def easy(self, thing):
        self.save(Name("dnnlib.util.EasyDict"))
        self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        self.memoize(thing)
        self._batch_setitems(thing.items())

    dispatch[Name], dispatch[EasyDict] = name, easy


def dumps(content, protocol=4):
    """The pickle of it."""
    file = io.BytesIO()
    Pickler(file, protocol).dump(content)
    return file.getvalue()


def stream(x):
    """The bytes of a storage, as torch writes it: pickles, then numbers."""
    header = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    content = b"".join(pickle.dumps(thing, 2) for thing in header)
    saved = push("storage") + b"ctorch\nFloatStorage\n" + push("0", "cpu", x.size, None)
    content += b"\x80\x02(" + saved + b"tQ." + pickle.dumps(["0"], 2)
    return content + np.int64(x.size).tobytes() + x.tobytes()


def module(kind, arrays, children=(), **arguments):
    """An object of a class whose source goes with it, as a module of torch has it."""
    buffers = ("w_avg", "noise_const", "resample_filter")
    tensors = {name: Tensor(x) for name, x in arrays.items()}
    state = {
        "_init_args": (),
        "_init_kwargs": arguments,
        "training": False,
        "_parameters": {k: x for k, x in tensors.items() if k not in buffers},
        "_buffers": {k: x for k, x in tensors.items() if k in buffers},
        "_non_persistent_buffers_set": set(),
        "_modules": dict(children),
    }
    source = "raise SystemExit('the source was run')"
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": kind}
    path = "torch_utils.persistence._reconstruct_persistent_obj"
    return Call(path, {**meta, "state": state})


def nested(state, kind="Module", **arguments):
    """The object whose state dict is `state`."""
    own = {name: x for name, x in state.items() if "." not in name}
    inner = {}
    for name, x in state.items():
        first, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(first, {})[rest] = x
    children = [(name, nested(x)) for name, x in inner.items()]
    return module(kind, own, children, **arguments)


def save(state, path):
    """Writes a state dict of float32 arrays as torch.save does."""
    pickled, records = b"\x80\x02}", {}
    for i, (name, x) in enumerate(state.items()):
        x = np.asarray(x, np.float32, order="C")
        strides = tuple(n // 4 for n in x.strides)
        pickled += (
            push(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + push("storage")
        )
        pickled += b"ctorch\nFloatStorage\n" + push(str(i), "cpu", x.size) + b"tQ"
        pickled += push(0, x.shape, strides, False, {}) + b"tRs"
        records[f"x/data/{i}"] = x.tobytes()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {"x/data.pkl": pickled + b".", **records}.items():
            archive.writestr(name, content)
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture(scope="session")
def written():
    """What writes files as torch does."""
    known = Name, Call, EasyDict, Tensor, dumps, module, nested, save
    named = {x.__name__: x for x in known}
    return types.SimpleNamespace(PARITY=PARITY, **named)
