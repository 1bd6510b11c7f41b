"""Feature maps whose distance is a content loss (arXiv 1603.08155, 1609.04802).

What the loss is, is in its name: "vgg19_relu5_4" is SRGAN's VGG54, "vgg19_conv5_4" is
ESRGAN's, before the ReLU. "squeezenet_fire5" takes their place where there are no
weights of VGG19: it is neither, and numbers do not compare.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from gans.layers.conv import Conv
from gans.metrics.features import lpips, pth, squeezenet
from gans.metrics.features.extractor import to_rgb
from gans.names import check

# Of images in [0, 1], as torchvision's models were trained.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
_VGG19 = sum(
    (n * lpips.conv(width, 3) + ((lpips.pool, 2, False),) for n, width in _BLOCKS), ()
)


class Maps(NamedTuple):
    """A layer whose output is compared.

    Attributes:
      layer: its number in torchvision's `features`, or the name of a fire module.
      scale: by which it is multiplied: SRGAN's 1/12.75 (section 3.2); with that of
        SqueezeNet, values of photographs are 0.5 on average.
    """

    layer: int | str
    scale: float


NETS = {
    "vgg19_relu2_2": Maps(8, 1 / 12.75),
    "vgg19_relu5_4": Maps(35, 1 / 12.75),
    "vgg19_conv5_4": Maps(34, 1.0),
    "squeezenet_fire5": Maps("fire5", 1 / 32),
}


def known(name: str) -> str:
    """Returns the name of features; ValueError for an unknown one."""
    return check(name, NETS, "name")


class Content(nn.Module):
    """Images [B, H, W, 1 or 3] in [-1, 1] -> features [B, h, w, C] of NETS[name].

    They are seen in their own size, of 35 pixels and more.
    """

    name_of: str

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        layer, scale = NETS[check(self.name_of, NETS, "content")]
        x = to_rgb(x)
        if isinstance(layer, int):
            x = ((x + 1) / 2 - jnp.array(MEAN)) / jnp.array(STD)
            return scale * lpips.Trunk(_vgg19(layer), name="trunk")(x)[0]
        x = (x[..., ::-1] + 1) * 127.5 - jnp.array(squeezenet.MEAN_BGR)
        x = nn.relu(Conv(64, (3, 3), 2, "VALID", name="conv1")(x))
        for fire in squeezenet.LAYERS:
            if fire is None:
                x = squeezenet.max_pool(x, 3, ceil=True)
                continue
            name, squeezed = fire
            x = squeezenet.Fire(squeezed, name=name)(x)
            if name == layer:
                return scale * x


def from_file(name: str, path: str) -> dict[str, Any]:
    """Returns the variables of `Content(name)`, arrays [...], from a file of weights.

    path: of torchvision's vgg19-*.pth, or of an .npz as `squeezenet` says.

    Raises ValueError for an unknown name, and for a file with other weights.
    """
    layer, _ = NETS[check(name, NETS, "content")]
    if isinstance(layer, int):
        last, net = max(i for i in _convolutions() if i <= layer), _vgg19(layer)
        kept = {
            k: x
            for k, x in pth.read(path).items()
            if not k.startswith("features.") or int(k.split(".")[1]) <= last
        }
        return {"params": {"trunk": lpips.of_torchvision(net, kept, f"content {path}")}}
    with np.load(path) as file:
        arrays = {k: file[k] for k in file.files}
    params = squeezenet.from_npz(arrays)["params"]
    known = [fire[0] for fire in squeezenet.LAYERS if fire]
    used = {"conv1", *known[: known.index(layer) + 1]}
    return {"params": {k: x for k, x in params.items() if k in used}}


def _vgg19(layer):
    return lpips.Net(layers=_VGG19[: layer + 1], taps=(layer,), channels=())


def _convolutions():
    return [i for i, (layer, *_) in enumerate(_VGG19) if layer is Conv]
