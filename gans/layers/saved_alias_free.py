"""StyleGAN3's generators from state dicts of the authors' PyTorch code."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

_INPUT = "synthesis.input."
_NAMED = {  # theirs: ours
    "weight": ("params", "kernel"),
    "bias": ("params", "bias"),
    "magnitude_ema": ("magnitude", "magnitude"),
    "freqs": ("fourier", "frequencies"),
    "phases": ("fourier", "phases"),
}


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options, variables) of a generator of StyleGAN3.

    What a state does not tell keeps its default: clamp, n_bfloat16, magnitude_images.
    Filters are computed, and its own transform of the input must be the identity.

    Args:
      state: of a module of the authors' PyTorch code (arXiv 2106.12423): arrays [...],
        kernels [O, I, K, K], dense ones [O, I].

    Raises ValueError, naming what it found, if it is no such generator.
    """
    state = {name: np.asarray(value) for name, value in state.items()}
    if f"{_INPUT}freqs" not in state:
        raise ValueError(
            f"not a generator of StyleGAN3: {_INPUT}freqs is wanted, there are "
            f"{', '.join([*state][:3])} ..."
        )
    moved = state.get(f"{_INPUT}transform", np.eye(3))
    if not np.array_equal(moved, np.eye(3)):
        raise ValueError(f"StyleGAN3 with a transformed input: {moved.tolist()}")
    kept = [x for x in state if not x.endswith(("_filter", f"{_INPUT}transform"))]
    variables = {_path(name): _array(name, state[name]) for name in kept}
    return _options(state), unflatten_dict(variables)


def of_data(options: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `from_torch`'s results say of the data.

    {"shape": [H, W, C] of its images, "latent": dimensions of z, "n_classes"}.
    """
    n_classes, first = options.get("n_classes"), variables["params"]["mapping"]["fc0"]
    latent = len(first["kernel"]) - (options["w_dim"] if n_classes else 0)
    return {"shape": options["shape"], "latent": latent, "n_classes": n_classes}


def _options(state):
    layers = _layers(state)
    size, channels = map(int, layers[-1].split("_")[1:])
    widths = [int(name.split("_")[2]) for name in layers[:-1]]
    first, most = f"synthesis.{layers[0]}", max(widths)
    options = {
        "shape": (size, size, channels),
        "w_dim": state["mapping.w_avg"].shape[0],
        "mapping_layers": len(re.findall(r"mapping\.fc\d+\.weight", "\n".join(state))),
        "depth": len(widths),
        "channel_base": size * widths[-1],
        "channel_max": most,
        "rotation": state[f"{first}.down_filter"].ndim == 2,
    }
    if "mapping.embed.weight" in state:
        options["n_classes"] = state["mapping.embed.weight"].shape[1]
    return options


def _layers(state):
    """The authors' names of layers, "L0_36_512": number, size and channels."""
    found = {re.match(r"synthesis\.(L\d+_\d+_\d+)\.", name) for name in state}
    names = {match[1] for match in found if match}
    return sorted(names, key=lambda name: int(name[1:].split("_")[0]))


def _path(name):
    """Of an array in our tree, by its name in theirs."""
    *module, last = name.removeprefix("synthesis.").split(".")
    if last == "w_avg":
        return "style", "w_avg"
    if module[0] == "input" and module[-1] == "affine":
        module[-1] = "transform"
    module[0] = re.sub(r"^L(\d+)_.*", r"layer\1", module[0])
    collection, ours = _NAMED[last]
    return collection, *module, ours


def _array(name, x):
    if not name.endswith(".weight"):
        return x
    return x.transpose(2, 3, 1, 0) if x.ndim == 4 else x.T
