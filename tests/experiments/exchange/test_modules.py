"""Networks that were pickled as objects: their arrays, and what must not be obeyed."""

import os
import pickle
import sys
import types

import numpy as np
import pytest

from experiments.exchange import files

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def load(tmp_path, written):
    """load(content) -> what is read of a pickle of it."""

    def load(content, protocol=4):
        path = tmp_path / "network.pkl"
        data = content
        if not isinstance(content, bytes):
            data = written.dumps(content, protocol)
        path.write_bytes(data)
        return files.read(path)

    return load


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_arguments_and_names(load, written, protocol):
    state = {"a.weight": X, "a.b.bias": X[0], "w_avg": X[1], "a.resample_filter": X}
    extra = written.EasyDict(channel_base=64, inner=written.EasyDict(conv_clamp=256))
    content = {
        "G": None,
        "G_ema": written.nested(state, "Generator", z_dim=16, synthesis_kwargs=extra),
        "augment_pipe": written.module("AugmentPipe", {}),
        "training_set_kwargs": written.EasyDict(path="x.zip"),
    }
    found = load(content, protocol)
    assert found.skipped == ("G", "augment_pipe", "training_set_kwargs")
    (network,) = found.networks.values()
    assert network.kind == "Generator"
    assert network.arguments == {"z_dim": 16, "channel_base": 64, "conv_clamp": 256}
    assert network.state.keys() == state.keys()
    for name, x in state.items():
        np.testing.assert_array_equal(network.state[name], x)


def test_a_single_network_and_buffers_that_are_not_saved(load, written):
    thing = written.module("Net", {"weight": X, "w_avg": X})
    meta = thing.call[1][0]
    meta["state"]["_non_persistent_buffers_set"] = {"w_avg"}
    assert [*load(thing).networks[""].state] == ["weight"]


def test_a_plain_state_dict_of_a_pickle(load, written):
    found = load({"G/weight": written.Tensor(X), "epoch": 3})
    np.testing.assert_array_equal(found.networks["G"].state["weight"], X)
    assert found.skipped == ("epoch",)


def hostile(written):
    """Pickles by the words that their refusal has."""
    good = {"weight": X}
    reconstruct = "torch_utils.persistence._reconstruct_persistent_obj"
    build = written.dumps(written.module("Net", good))[:-1]
    function = written.dumps(written.Name("torch._utils._rebuild_tensor_v2"))[:-1]
    attributes = pickle.dumps((None, {"__code__": 1}), 4)[2:]
    twice = written.module("Net", good)
    return {
        "names posix.system|names nt.system": {"G": written.Call(os_system(), "true")},
        "names builtins.eval": {"G": written.Call("builtins.eval", "1")},
        "names builtins.exec": {
            "G": written.module("Net", good, x=written.Call("builtins.exec", "1"))
        },
        "names builtins.getattr": {"G": written.Call("builtins.getattr", 1, "x")},
        "names torch.load": {"G": written.Call("torch.load", "x")},
        "names torch_utils.persistence.import_hook": {
            "G": written.Name("torch_utils.persistence.import_hook")
        },
        "names dnnlib.tflib.network.Network": {
            "G": written.Call("dnnlib.tflib.network.Network")
        },
        "without the name or state": {"G": written.Call(reconstruct, {"state": {}})},
        "changes its Net afterwards": build + attributes[:-1] + b"b.",
        "gives attributes to a function": function + attributes[:-1] + b"b.",
        "storage holds a dict": {
            "G": written.Call("torch.storage._load_from_bytes", dict_stream())
        },
        "names posix.system": {
            "G": written.Call(
                "torch.storage._load_from_bytes",
                written.dumps(written.Call("posix.system", "true")),
            )
        },
        "met twice": {
            "G": written.module("Net", good, [("a", twice), ("b", twice)]),
        },
        "holds a list": [1],
        "no arrays of a network": {"G": None},
    }


def os_system():
    return f"{os.system.__module__}.system"


def dict_stream():
    header = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, []]
    return b"".join(pickle.dumps(x, 2) for x in header)


def test_hostile_pickles_are_refused_by_name(load, written):
    for match, content in hostile(written).items():
        with pytest.raises(ValueError, match=match) as caught:
            load(content)
        assert "network.pkl" in str(caught.value) and "\n" not in str(caught.value)


def test_every_truncation_is_noticed(load, written):
    content = written.dumps({"G": written.nested({"a.weight": X})})
    load(content)
    for n in range(0, len(content), 11):
        with pytest.raises(ValueError, match="not a readable .pkl file"):
            load(content[:n])


def test_what_torch_writes(load, tmp_path, monkeypatch):
    """A module of torch in that form, its source with it, which would end the test."""
    torch = pytest.importorskip("torch", reason="extra `reference`")
    package, module = types.ModuleType("torch_utils"), types.ModuleType("persistence")
    name = "torch_utils.persistence"
    monkeypatch.setitem(sys.modules, "torch_utils", package)
    monkeypatch.setitem(sys.modules, name, module)
    package.persistence = module

    def _reconstruct_persistent_obj(meta):
        raise SystemExit(meta)

    _reconstruct_persistent_obj.__module__ = name
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj

    class Net(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.conv = torch.nn.Parameter(torch.randn(2, 3, 1, 1))
            self.register_buffer("w_avg", torch.randn(4).half())
            self.register_buffer("hidden", torch.randn(4), persistent=False)
            if inner:
                self.inner = Net(inner=False)

        def __reduce__(self):
            meta = {"type": "class", "module_src": "1/0", "class_name": "Net"}
            meta["state"] = dict(self.__dict__)
            return module._reconstruct_persistent_obj, (meta,)

    net = Net(inner=True)
    found = load(pickle.dumps({"G_ema": net})).networks["G_ema"].state
    wanted = net.state_dict()
    assert {*found} == {*wanted}
    for name, x in wanted.items():
        np.testing.assert_array_equal(found[name], x.numpy())
