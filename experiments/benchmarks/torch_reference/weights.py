"""Flax parameters, or their gradients, converted for the same network in PyTorch."""

import flax
import numpy as np
import torch
from torch.nn.modules.conv import _ConvTransposeNd


def convert(tree, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Returns {name of a parameter of `module`: its value}.

    Args:
      tree: the parameters of the Flax network that `module` corresponds to; kernels
        [*K, I, O].
      module: for the names, the shapes and the map that a dense layer is unfolded to.
    """
    plain = {
        name.replace("parametrizations.weight.original", "weight"): name
        for name, _ in module.named_parameters()
    }
    shapes = {name: p.shape for name, p in module.named_parameters()}
    converted = {}
    for path, value in flax.traverse_util.flatten_dict(tree).items():
        *layers, kind = (p for p in path if p not in ("layer", "batch"))
        layers = ["attention" if p.startswith("SelfAttention") else p for p in layers]
        kind = {"kernel": "weight", "scale": "weight"}.get(kind, kind)
        name = plain[".".join([*layers, kind])]
        layer = module.get_submodule(".".join(layers))
        value = _transposed(np.asarray(value), layer, layers[-1:], module)
        converted[name] = torch.tensor(value.copy()).reshape(shapes[name])
    if set(converted) != set(shapes):
        raise ValueError(f"parameters differ: {set(shapes) ^ set(converted)}")
    return converted


def copy_to(module: torch.nn.Module, tree) -> None:
    """Gives `module` the parameters of a Flax network, and converged spectral vectors.

    The two libraries do the half steps of the power iteration in opposite order, so
    their norms agree only at its fixed point.
    """
    with torch.no_grad():
        for name, value in convert(tree, module).items():
            module.get_parameter(name).copy_(value)
        for layer in module.modules():
            if hasattr(layer, "parametrizations"):
                left, _, right = torch.linalg.svd(
                    layer.parametrizations.weight.original.flatten(1),
                    full_matrices=False,
                )
                norm = layer.parametrizations.weight[0]
                norm._u.copy_(left[:, 0])
                norm._v.copy_(right[0])


def _transposed(value, layer, name, module):
    """A parameter in PyTorch's layout; kernels are [*K, I, O] or [I, O]."""
    if value.ndim > 2:
        if isinstance(layer, _ConvTransposeNd):
            value = np.flip(value, range(value.ndim - 2)).swapaxes(-2, -1)
        return np.moveaxis(value, (-1, -2), (0, 1))
    # Feature maps before or after a dense layer are [H, W, C] here, [C, H, W] there.
    if hasattr(module, "map") and name in (["dense"], ["out"]):
        c, h, w = module.map
        if name == ["dense"]:
            value = np.moveaxis(value.reshape(-1, h, w, c), 3, 1)
            return value.reshape(-1, c * h * w).T
        if value.ndim == 2:
            return (
                np.moveaxis(value.reshape(h, w, c, -1), 2, 0).reshape(c * h * w, -1).T
            )
    return value.T
