"""torch's weights files, read without torch, and files that must not be obeyed."""

import collections
import io
import math
import os
import pathlib
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest

from gans.metrics.features import pth

HEADS = pathlib.Path(__file__).parents[4] / "shared" / "data" / "weights"
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])


@pytest.fixture
def torch():
    return pytest.importorskip(
        "torch", reason="torch is not installed (extra reference)"
    )


def save(torch, state, path, zipped=True):
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path


def assert_same(found, tensor, torch):
    if tensor.dtype == torch.bfloat16:
        assert found.dtype == ml_dtypes.bfloat16
        found, tensor = found.astype(np.float32), tensor.float()
    expected = tensor.detach().numpy()
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


@FORMATS
@pytest.mark.parametrize(
    "dtype",
    "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split(),
)
def test_every_dtype(torch, tmp_path, dtype, zipped):
    x = torch.tensor([[0, 1, 2], [3, 100, 101]]).to(getattr(torch, dtype))
    path = save(torch, {"x": x}, tmp_path / "x.pth", zipped)
    assert_same(pth.read(path)["x"], x, torch)


@FORMATS
def test_views_share_one_storage(torch, tmp_path, zipped):
    x = torch.arange(30.0).reshape(5, 6)
    state = {
        "whole": x,
        "transposed": x.T,
        "inner": x[1:4, 2:5],
        "strided": x[::2, 1::3],
        "permuted": torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1),
        "expanded": x[0].expand(3, 6),
        "last": x[4, 5],
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "empty view": x[5:],
        "parameter": torch.nn.Parameter(x * 2),
    }
    found = pth.read(save(torch, state, tmp_path / "x.pth", zipped))
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert_same(found[name], tensor, torch)
    assert np.shares_memory(found["whole"], found["inner"])


@FORMATS
def test_a_module_and_what_stands_around_it(torch, tmp_path, zipped):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = {
        "net": net.state_dict(),
        "epoch": 7,
        "list": [net[0].bias.data],
        "no": None,
    }
    found = pth.read(save(torch, state, tmp_path / "x.pth", zipped))
    assert (found["epoch"], found["no"]) == (7, None)
    assert_same(found["list"][0], net[0].bias, torch)
    assert list(found["net"]) == list(net.state_dict())
    for name, tensor in net.state_dict().items():
        assert_same(found["net"][name], tensor, torch)


@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
def test_heads_of_lpips(net):
    path = HEADS / f"lpips_v0.1_{net}.pth"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    found = pth.read(path)
    # A head per layer weights its channels, and no weight of them is negative.
    channels = {
        "alex": (64, 192, 384, 256, 256),
        "vgg": (64, 128, 256, 512, 512),
        "squeeze": (64, 128, 256, 384, 384, 512, 512),
    }
    shapes = [(1, c, 1, 1) for c in channels[net]]
    assert [x.shape for x in found.values()] == shapes
    assert list(found) == [f"lin{i}.model.1.weight" for i in range(len(shapes))]
    assert all((x >= 0).all() and 0 < x.max() < 100 for x in found.values())


def storage_file(tensor, data=bytes(24), *, record="x/data/0"):
    """A zip with a tensor {"x": rebuild(storage of 6 float32, *tensor)}."""

    def push(*things):  # the pickles of things without their first and last opcodes
        return b"".join(pickle.dumps(thing, 2)[2:-1] for thing in things)

    storage = b"(" + push("storage") + b"ctorch\nFloatStorage\n" + push("0", "cpu", 6)
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"tQ" + push(*tensor)
    pickled = b"\x80\x02}" + push("x") + rebuild + b"tRs."
    return zipped({"x/data.pkl": pickled, record: data})


def zipped(records):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return file.getvalue()


def assert_rejected(tmp_path, content, match):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught:
        pth.read(path)
    assert str(path) in str(caught.value)


def test_a_tensor_stays_within_its_storage(tmp_path):
    numbers = np.arange(6, dtype=np.float32)
    path = tmp_path / "x.pth"
    path.write_bytes(storage_file((1, (2, 2), (3, 1), False, {}), numbers.tobytes()))
    # Offset 1, rows 3 apart: 1 2 and 4 5, up to the last number.
    np.testing.assert_array_equal(pth.read(path)["x"], [[1, 2], [4, 5]])
    for tensor in [
        (2, (2, 2), (3, 1)),  # its last number would be the 8th
        (0, (7,), (1,)),
        (0, (2**40,), (1,)),
        (-1, (2,), (1,)),
        (5, (2,), (-6,)),
        (0, (-2,), (1,)),
        (7, (), ()),
        (0, (2, 3), (1,)),
    ]:
        assert_rejected(tmp_path, storage_file((*tensor, False, {})), "bad.pth")
    conjugate = (0, (2,), (1,), False, {}, {"conj": True})
    assert_rejected(tmp_path, storage_file(conjugate), "metadata")


def test_records_that_are_missing_or_short(tmp_path):
    tensor = (0, (6,), (1,), False, {})
    assert_rejected(tmp_path, storage_file(tensor, record="x/data/1"), "x/data/0")
    assert_rejected(tmp_path, storage_file(tensor, bytes(20)), "20 bytes, not 24")
    assert_rejected(tmp_path, zipped({"x/data/0": b""}), "data.pkl")
    big = {"x/data.pkl": pickle.dumps({}), "x/byteorder": b"big"}
    assert_rejected(tmp_path, zipped(big), "big-endian")


class Call:
    """Is pickled as a call of `function`."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("form", ["zip", "stream", "first pickle"])
@pytest.mark.parametrize(
    "function, name",
    [(os.system, "posix.system|nt.system"), (eval, "__builtin__.eval")],
)
def test_nothing_is_run(tmp_path, form, function, name):
    trace = tmp_path / "trace"
    code = f"touch {trace}" if function is os.system else f"open({str(trace)!r}, 'w')"
    evil = {"x": Call(function, code)}
    dumps = [pickle.dumps(x, 2) for x in (*pth._HEADER, {"little_endian": True}, evil)]
    content = {
        "zip": zipped({"x/data.pkl": dumps[-1]}),
        "stream": b"".join(dumps),
        "first pickle": dumps[-1],
    }[form]
    assert_rejected(tmp_path, content, name)
    assert not trace.exists()
    pickle.loads(dumps[-1])  # what it would do
    assert trace.exists()


@pytest.mark.parametrize("thing", [np.zeros(2), collections.Counter(), math.sqrt])
def test_other_things_are_rejected_by_name(tmp_path, thing):
    content = zipped({"x/data.pkl": pickle.dumps({"x": thing}, 2)})
    assert_rejected(tmp_path, content, "names (numpy|collections.Counter|math.sqrt)")


@FORMATS
def test_every_truncation_is_noticed(torch, tmp_path, zipped):
    state = {"a": torch.arange(5.0), "b": torch.arange(3)}
    content = save(torch, state, tmp_path / "x.pth", zipped).read_bytes()
    for n in range(0, len(content), 7):
        assert_rejected(tmp_path, content[:n], "not a readable .pth file")
    assert_rejected(tmp_path, content[:-1], "not a readable .pth file")


def test_a_stream_that_says_too_much(torch, tmp_path):
    path = save(torch, {"a": torch.arange(5.0)}, tmp_path / "x.pth", zipped=False)
    content = path.read_bytes()
    count = struct.pack("<q", 5)
    assert content.count(count) == 1
    longer = content.replace(count, struct.pack("<q", 6))
    assert_rejected(tmp_path, longer, "cut short")


@pytest.mark.parametrize("content", [b"", b"no pickle at all", pickle.dumps({}, 2)])
def test_other_files(tmp_path, content):
    assert_rejected(tmp_path, content, "not a readable .pth file")


def test_what_is_no_state_dict(torch, tmp_path):
    path = save(torch, [torch.zeros(1)], tmp_path / "x.pth")
    with pytest.raises(ValueError, match="holds a list"):
        pth.read(path)
    with pytest.raises(FileNotFoundError):
        pth.read(tmp_path / "none.pth")
