"""DINOv2 and CLIP by name, from files of weights."""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from experiments.evaluation import doubts, extractors, scores
from experiments.evaluation.extractors import find
from experiments.evaluation.pretrained import checksum
from gans.metrics.features import clip, dinov2, vit

NAMES = (*dinov2.NETS, *clip.NETS)
TINY = dinov2.net(12, 1, 2)._replace(grid=2)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("DINOV2", "CLIP"):
        monkeypatch.delenv(f"GANS_{name}", raising=False)
    monkeypatch.setitem(dinov2.NETS, "dinov2_vits14", TINY)


def arrays():
    """A state dict with the authors' names."""
    ours = {here: there for there, here in reversed(dinov2.NAMES.items())}
    x = jax.ShapeDtypeStruct((1, 28, 28, 3), np.float32)
    tree = jax.eval_shape(vit.Encoder(TINY).init, jax.random.key(0), x)["params"]
    draw, found = np.random.RandomState(0).standard_normal, {}
    for name, leaf in flatten_dict(tree, sep="/").items():
        module, _, part = name.replace("block_0", "block_N").rpartition("/")
        if part not in ("kernel", "bias", "scale"):
            module, part = f"{module}/{part}".strip("/"), ""
        there = ours[module].replace(".N.", ".0.")
        shape = leaf.shape[::-1]
        if module == "patch" and part == "kernel":
            shape = (12, 3, 14, 14)
        suffix = {"": "", "bias": ".bias"}.get(part, ".weight")
        found[there + suffix] = draw(shape if part else leaf.shape).astype(np.float32)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_names_and_missing_weights(name):
    family = name.partition("_")[0]
    with pytest.raises(FileNotFoundError, match=f"--{family}-weights=/no/x: no such"):
        find(name, weights={family: "/no/x"})
    with pytest.raises(
        FileNotFoundError, match=f"of {family} were not.*/{family}.safetensors"
    ):
        find(name)
    assert scores.named("fid", name) == f"fd_{name}"
    extractors.check(name, (8, 8, 3), floats=True)
    assert extractors.N_LOGITS[name] == 0
    assert name.startswith(doubts.LEARNT_PHOTOGRAPHS)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
def test_files(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"x{suffix}"
    if suffix == ".safetensors":
        save_file(arrays(), path)
    else:
        torch = pytest.importorskip("torch")
        torch.save({k: torch.from_numpy(x) for k, x in arrays().items()}, path)
    monkeypatch.setenv("GANS_DINOV2", str(path))
    found = find("dinov2_vits14")()
    assert found.name == "dinov2_vits14"
    assert found.protocol["weights"] == checksum(path)
    images = jax.ShapeDtypeStruct((2, 9, 7, 1), np.uint8)
    out = jax.eval_shape(found.apply, found.variables, images)
    assert out["features"].shape == (2, 12)


def test_files_that_do_not_fit(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(arrays(), path)
    files = {"dinov2": str(path), "clip": str(path)}
    with pytest.raises(ValueError, match="vitb14, .*safetensors: weights 'block_0/"):
        find("dinov2_vitb14", weights=files)()
    with pytest.raises(ValueError, match="clip_vitb32, .*x.safetensors: no weights"):
        find("clip_vitb32", weights=files)()
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="not a readable .safetensors file"):
        find("dinov2_vits14", weights=files)()
    path = tmp_path / "x.onnx"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="'.onnx' is not one of .bin, .npz"):
        find("dinov2_vits14", weights={"dinov2": str(path)})()
