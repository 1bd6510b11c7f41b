"""StyleGAN2's variables from and to state dicts of the authors' PyTorch code."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from gans.layers.fir import TAPS

# An array that generators have, and one that discriminators have.
_G, _D = "synthesis.b4.const", "b4.fc.weight"
_NAMES = {"weight": "kernel"}  # theirs: ours


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options, variables) of a generator or a discriminator of StyleGAN2.

    Only the options of a generator have `shape`. What a state does not tell keeps its
    default: group, clamp, n_bfloat16, mixing.

    Args:
      state: of a module of the authors' PyTorch code (arXiv 2006.06676): arrays [...],
        kernels [O, I, K, K], dense ones [O, I].

    Raises ValueError, naming what it found, if it is neither.
    """
    state = {name: np.asarray(value) for name, value in state.items()}
    if (_G in state) == (_D in state):
        raise ValueError(
            f"not a network of StyleGAN2: one of {_G} and {_D} is wanted, there are "
            f"{', '.join([*state][:3])} ..."
        )
    options = _options(state)
    kept = [name for name in state if not name.endswith(".resample_filter")]
    variables = {_path(name): _array(name, state[name]) for name in kept}
    return options, unflatten_dict(variables)


def of_data(options: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `from_torch`'s results say of the data.

    Of a generator {"shape": [H, W, C] of its images, "latent": dimensions of z,
    "n_classes"}, of a discriminator {}.
    """
    if "shape" not in options:
        return {}
    n_classes, first = options.get("n_classes"), variables["params"]["mapping"]["fc0"]
    embedded = options["w_dim"] if n_classes else 0
    latent = len(first["kernel"]) - embedded
    return {"shape": options["shape"], "latent": latent, "n_classes": n_classes}


def to_torch(
    options: Mapping[str, Any], variables: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Returns the state dict of arrays [...] that `from_torch` reads as these.

    The authors' buffers of filters are in it. All is told by the variables; `options`
    is for networks of which that is not so.
    """
    generator = "noise" in variables
    state = {}
    for path, value in flatten_dict(dict(variables)).items():
        name = _name(path, generator)
        state[name] = _array(name, np.asarray(value), back=True)
    taps = np.outer(TAPS, TAPS).astype(np.float32)
    for name in [*state]:
        module, _, kind = name.rpartition(".")
        if kind == "weight" and state[name].ndim == 4 and not module.endswith("torgb"):
            state[f"{module}.resample_filter"] = taps
            if generator or not module.startswith("b4."):
                state[f"{module.rpartition('.')[0]}.resample_filter"] = taps
    return state


def _options(state):
    prefix = "synthesis." if _G in state else ""
    names = "\n".join(state)
    sides = sorted({int(r) for r in re.findall(rf"(?m)^{prefix}b(\d+)\.", names)})
    # In a generator, a block's number of channels is that after it.
    layers = {r: "conv1" if prefix else "conv0" if r > 4 else "conv" for r in sides}
    widths = {r: len(state[f"{prefix}b{r}.{layers[r]}.weight"]) for r in sides}
    top, most = sides[-1], max(widths.values())
    base = top * widths[top]
    if any(min(base // r, most) != n for r, n in widths.items()):
        raise ValueError(f"StyleGAN2 of other channels, by resolution: {widths}")
    images = len(re.findall(r"(torgb|fromrgb)\.weight", names))
    residual = re.search(r"\.skip\.weight", names)
    options = {
        "channel_base": base,
        "channel_max": most,
        "architecture": "skip" if images > 1 else "resnet" if residual else "orig",
    }
    if prefix:
        channels = len(state[f"{prefix}b{top}.torgb.bias"])
        options["shape"] = (top, top, channels)
        options["w_dim"] = state[f"{prefix}b4.conv1.affine.weight"].shape[1]
    if depth := len(re.findall(r"mapping\.fc\d+\.weight", names)):
        options["mapping_layers"] = depth
    if "mapping.embed.weight" in state:
        options["n_classes"] = state["mapping.embed.weight"].shape[1]
    return options


def _path(name):
    """Of an array in our tree, by its name in theirs."""
    parts = name.removeprefix("synthesis.").split(".")
    if parts[-1] == "w_avg":
        return "style", "w_avg"
    if parts[-1] == "noise_const":
        return "noise", "_".join(parts[:-1])
    return "params", *parts[:-1], _NAMES.get(parts[-1], parts[-1])


def _name(path, generator):
    """The inverse of `_path`."""
    collection, *parts = path
    if collection == "style":
        return "mapping.w_avg"
    if collection == "noise":
        return f"synthesis.{parts[0].replace('_', '.')}.noise_const"
    theirs = {ours: name for name, ours in _NAMES.items()}
    name = ".".join([*parts[:-1], theirs.get(parts[-1], parts[-1])])
    return f"synthesis.{name}" if generator and parts[0] != "mapping" else name


def _array(name, x, back=False):
    """In our layout, of an array by its name in theirs; the other way with `back`."""
    if name == _G:  # [C, 4, 4]
        return x.transpose(2, 0, 1) if back else x.transpose(1, 2, 0)
    if name == _D:  # [O, C 4 4]; ours [4 4 C, O]
        if back:
            return (
                x.reshape(4, 4, -1, x.shape[1])
                .transpose(3, 2, 0, 1)
                .reshape(x.shape[::-1])
            )
        return x.reshape(len(x), -1, 4, 4).transpose(2, 3, 1, 0).reshape(x.shape[::-1])
    if not name.endswith(".weight"):
        return x
    if x.ndim == 2:
        return x.T
    x = x.transpose(3, 2, 0, 1) if back else x.transpose(2, 3, 1, 0)
    if name.startswith("synthesis.") and name.endswith(".conv0.weight"):
        return x[..., ::-1, ::-1] if back else x[::-1, ::-1]  # it doubles the size
    return x
