"""Networks from image to image in PyTorch: U-Net, residual generator, PatchGAN.

Their state dicts have the order that `from_torch` of gans/networks reads. Images are
[B, C, H, W].
"""

import torch
from torch import nn

from experiments.benchmarks.torch_reference import enlarging
from experiments.benchmarks.torch_reference.training import optimizer
from gans import names

_NORMS = {
    "batch": lambda channels, **_: nn.BatchNorm2d(channels),
    # At a batch of one they are the same, and PyTorch's users take batch norm.
    "instance": lambda channels, affine=False: (
        nn.BatchNorm2d(channels) if affine else nn.InstanceNorm2d(channels)
    ),
}


def make(part, shape, channels: int) -> nn.Module:
    """Returns the network of a part of a config, with weights from N(0, 0.02).

    Args:
      part: with "network", its options, and what concerns training alone.
      shape: (H, W, C) of the images of its output, or None.
      channels: of its input.

    Raises ValueError for a network or an option without a counterpart.
    """
    own = ("network", "optimizer", "penalties", "kernel_init", "weight_decay")
    options = {k: v for k, v in part.items() if k not in own}
    cls = NETWORKS.get(part["network"])
    if cls is None or part.get("penalties"):
        raise ValueError(f"{part['network']} with penalties has no counterpart")
    given = {"channels": channels, **({"shape": shape} if shape else {}), **options}
    network = names.call(cls, given, "PyTorch's", part["network"])
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return network


class UNet(nn.Module):
    def __init__(self, channels, shape, width=64, norm=None, dropout=0.5, n_dropout=3):
        super().__init__()
        norm = _norm(norm or {"name": "instance", "affine": True})
        depth = min((n & -n).bit_length() - 1 for n in shape[:2])
        widths = [width * min(2**i, 8) for i in range(depth)]
        block = None
        for i in reversed(range(depth)):
            outer = shape[-1] if i == 0 else widths[i - 1]
            down = [nn.LeakyReLU(0.2)] if i else []
            inputs = widths[i - 1] if i else channels
            down.append(nn.Conv2d(inputs, widths[i], 4, 2, 1, bias=False))
            down += [norm(widths[i])] if 0 < i < depth - 1 else []
            inner = widths[i] if i == depth - 1 else 2 * widths[i]
            up = [nn.ReLU(), nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=i == 0)]
            up += [norm(outer)] if i else [nn.Tanh()]
            if 0 < i and depth - 1 - i < n_dropout and dropout:
                up.append(nn.Dropout(dropout))
            block = _Level(down, block, up, skip=i > 0)
        self.outermost = block

    def forward(self, x):
        return self.outermost(x)


class _Level(nn.Module):
    def __init__(self, down, inner, up, skip):
        super().__init__()
        self.model = nn.Sequential(*down, *([inner] if inner else []), *up)
        self.skip = skip

    def forward(self, x):
        return torch.cat([x, self.model(x)], 1) if self.skip else self.model(x)


class Translator(nn.Module):
    def __init__(self, channels, shape, width=64, blocks=9, norm=None):
        super().__init__()
        norm = _norm(norm or "instance")
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7)]
        layers += [norm(width), nn.ReLU(True)]
        for i in (width, 2 * width):
            layers += [nn.Conv2d(i, 2 * i, 3, 2, 1), norm(2 * i), nn.ReLU(True)]
        layers += [_Block(4 * width, norm) for _ in range(blocks)]
        for i in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(i, i // 2, 3, 2, 1, output_padding=1)
            layers += [up, norm(i // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, shape[-1], 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class _Block(nn.Module):
    def __init__(self, width, norm):
        super().__init__()
        layers = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width)]
        layers += [nn.ReLU(True), nn.ReflectionPad2d(1)]
        layers += [nn.Conv2d(width, width, 3), norm(width)]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv_block(x)


class Patch(nn.Module):
    def __init__(self, channels, width=64, n_layers=3, norm=None):
        super().__init__()
        norm = _norm(norm or "instance")
        layers = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        last = width
        for i in range(1, n_layers + 1):
            now = width * min(2**i, 8)
            conv = nn.Conv2d(last, now, 4, 2 if i < n_layers else 1, 1)
            layers += [conv, norm(now), nn.LeakyReLU(0.2, True)]
            last = now
        self.model = nn.Sequential(*layers, nn.Conv2d(last, 1, 4, 1, 1))

    def forward(self, x):
        return self.model(x)


NETWORKS = {"unet": UNet, "translator": Translator, "patch": Patch}
NETWORKS |= {"srresnet": enlarging.SRResNet, "msrresnet": enlarging.MSRResNet}


def _norm(norm):
    name, options = names.named(norm, "norm")
    return lambda channels: _NORMS[name](channels, **options)


class Networks:
    """What systems of translation share: memory format, optimisers, autocast.

    Args:
      config: a resolved config.
      device, channels_last, compiled, dtype: see `training.Training`.
    """

    def __init__(self, config, device, channels_last, compiled, dtype):
        self.config, self.device, self.dtype = config, torch.device(device), dtype
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.compiled = compiled

    def ready(self, *networks: nn.Module) -> list[nn.Module]:
        """Moves networks to their device and memory format, and compiles them."""
        moved = [x.to(self.device).to(memory_format=self.format) for x in networks]
        for network in moved if self.compiled else []:
            network.compile()
        return moved

    def optimizer(self, part, *networks: nn.Module) -> torch.optim.Optimizer:
        """Returns one optimiser for several networks."""
        return optimizer(nn.ModuleList(networks), part.optimizer)

    def autocast(self):
        """The context of forward passes."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=enabled)
