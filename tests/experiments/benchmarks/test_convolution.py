"""Shapes and costs of one convolution's three maps."""

import pytest

from experiments.benchmarks.convolution import Convolution


def test_a_convolution_knows_its_shapes():
    geometry = ((8, 6), (4, 4), (4, 3), (2, 2), (1, 1), 1)
    x, w, y = (5, 8, 6, 2), (4, 4, 2, 7), (5, 4, 3, 7)
    for kind, a, b in (
        ("forward", x, w),
        ("input gradient", y, w),
        ("kernel gradient", x, y),
    ):
        one = Convolution(kind, a, b, geometry)
        assert (one.large, one.kernel, one.small) == (x, w, y)
        assert one.name == f"{kind} 5x8x6x2 4x4x2x7 /2"
        # 5 4 3 7 outputs, each a sum of 4 4 2 products.
        assert one.gflop == pytest.approx(2e-9 * 420 * 32)
