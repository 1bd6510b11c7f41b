"""Networks that make images larger, in PyTorch: SRResNet with and without batch norm.

Their state dicts have the order that `from_torch` of gans/networks reads. Images are
[B, C, H, W] in [-1, 1].
"""

from torch import nn

FACTORS = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}


class SRResNet(nn.Module):
    def __init__(self, channels, shape, scale, width=64, blocks=16):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, 1, 4), nn.PReLU())
        body = [_Normed(width) for _ in range(blocks)]
        body += [nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width)]
        self.body = nn.Sequential(*body)
        ups = [x for f in FACTORS[scale] for x in (*_up(width, f), nn.PReLU())]
        last = nn.Conv2d(width, shape[-1], 9, 1, 4)
        self.last = nn.Sequential(*ups, last, nn.Tanh())

    def forward(self, x):
        first = self.first((x + 1) / 2)
        return self.last(first + self.body(first))


class _Normed(nn.Module):
    def __init__(self, width):
        super().__init__()
        layers = [nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.PReLU()]
        layers += [nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


class MSRResNet(nn.Module):
    def __init__(self, channels, shape, scale, width=64, blocks=16):
        super().__init__()
        active = nn.LeakyReLU(0.1, True)
        layers = [nn.Conv2d(channels, width, 3, 1, 1), active]
        layers += [_Plain(width) for _ in range(blocks)]
        layers += [x for f in FACTORS[scale] for x in (*_up(width, f), active)]
        layers += [nn.Conv2d(width, width, 3, 1, 1), active]
        layers += [nn.Conv2d(width, shape[-1], 3, 1, 1)]
        self.layers = nn.Sequential(*layers)
        self.base = nn.Upsample(scale_factor=scale, mode="bilinear")

    def forward(self, x):
        return self.base(x) + 2 * self.layers((x + 1) / 2)


class _Plain(nn.Module):
    def __init__(self, width):
        super().__init__()
        layers = [nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, width, 3, 1, 1))

    def forward(self, x):
        return x + self.layers(x)


def _up(width, factor):
    return nn.Conv2d(width, width * factor**2, 3, 1, 1), nn.PixelShuffle(factor)
