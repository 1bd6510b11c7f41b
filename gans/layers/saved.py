"""Convolutions and norms of a torch state dict, in the layout of our layers."""

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Layer(NamedTuple):
    """A convolution of a state dict, with the norm that follows it.

    Attributes:
      name: of its module.
      kernel: [O, I, *K], or of a transposed convolution [I, O, *K].
      bias: [O], or None.
      norm: arrays [O] of the norm by their names in torch; {} of one without any.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray | None
    norm: Mapping[str, np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.kernel.shape


_NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean"}
_NORM |= {"running_var": "var"}


def layers(state: Mapping[str, Any]) -> list[Layer]:
    """Returns the convolutions of a state dict of arrays [...], in its order.

    Raises ValueError, with its name, for an entry that is of neither.
    """
    found = []
    for name, value in state.items():
        module, _, kind = name.rpartition(".")
        value = np.asarray(value)
        if kind == "weight" and value.ndim > 2:
            found.append(Layer(module, value, None, {}))
        elif found and kind == "bias" and module == found[-1].name:
            found[-1] = found[-1]._replace(bias=value)
        elif found and kind in _NORM and value.ndim == 1:
            found[-1] = found[-1]._replace(norm={**found[-1].norm, kind: value})
        elif kind != "num_batches_tracked":
            raise ValueError(
                f"{name!r} of shape {value.shape} belongs to no convolution and no norm"
            )
    return found


def norm(layer: Layer) -> dict[str, Any] | None:
    """Returns the norm after a layer, as a name with options; None without one.

    Instance norm has no arrays [...] of its own, but is known from the bias that the
    authors give the layers before it.
    """
    affine = "weight" in layer.norm
    if affine and "running_mean" in layer.norm:
        return {"name": "batch", "unbiased": True}
    # Old versions of torch kept running statistics of instance norm and ignored them.
    if affine or layer.norm or layer.bias is not None:
        return {"name": "instance", "affine": affine}
    return None


def variables(
    layers: Sequence[Layer],
    names: Sequence[str],
    norms: Sequence[str],
    biased: Container[int],
    transposed: Container[int] = (),
) -> dict[str, Any]:
    """Returns {"params": tree, "batch_stats": tree} of arrays [...], by our names.

    Kernels become [*K, I, O], those of transposed convolutions [*K, O, I].

    Args:
      layers: those of the state dict.
      names, norms: our name of each layer and of its norm.
      biased: the positions of the layers that have a bias here; 0 if it had none.
      transposed: those of transposed convolutions.
    """
    params, stats = {}, {}
    for i, layer in enumerate(layers):
        own = params[names[i]] = {"kernel": np.moveaxis(layer.kernel, (0, 1), (-1, -2))}
        if i in biased:
            zeros = np.zeros(layer.shape[i in transposed], layer.kernel.dtype)
            own["bias"] = zeros if layer.bias is None else layer.bias
        if "weight" in layer.norm:
            arrays = {
                ours: layer.norm[k] for k, ours in _NORM.items() if k in layer.norm
            }
            running = {k: arrays.pop(k) for k in ("mean", "var") if k in arrays}
            params[norms[i]] = {"batch": arrays} if running else arrays
            if running:
                stats[norms[i]] = {"batch": running}
    return {"params": params, **({"batch_stats": stats} if stats else {})}


def of_larger(options: Mapping[str, Any], variables: Mapping[str, Any]) -> dict:
    """Returns what a generator that makes images larger says of the data.

    It is the `of_data` of those whose layers begin with "in" and end with "out":
    {"given": channels of the images that it takes, "scale": how many times larger they
    become, "shape": [H, W, C] of those it makes, where any H and W will do}.
    """
    params = variables["params"]
    given = params["in"]["kernel"].shape[-2]
    shape = None, None, len(params["out"]["bias"])
    return {"given": given, "scale": options["scale"], "shape": shape}
