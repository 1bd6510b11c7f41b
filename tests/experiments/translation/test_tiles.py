"""Shapes at which a network is run, and tiles of a picture without seams."""

import tracemalloc

import numpy as np
import pytest

from experiments.translation import tiles
from experiments.translation.tiles import Shapes, run, up
from gans.data.kinds import image as images

SHAPES = Shapes(first=32, multiple=4, tile=128)


def noise(height, width, channels=3, seed=0):
    x = np.random.default_rng(seed).standard_normal((height, width, channels))
    return x.astype(np.float32)


def test_sides():
    # Eight sizes between 32 and 64: 4 apart; between 64 and 128: 8 apart.
    wanted = {1: 32, 32: 32, 33: 36, 61: 64, 64: 64, 65: 72, 121: 128, 128: 128}
    assert {n: SHAPES.side(n) for n in wanted} == wanted
    assert SHAPES.side(256) == 128 and SHAPES.side(257) == SHAPES.side(3000) == 96
    deep = Shapes(first=256, multiple=256, tile=1024)  # a U-Net's
    assert [deep.side(n) for n in (1, 257, 600, 1500)] == [256, 512, 768, 1024]
    assert up(5, 4) == 8 and up(8, 4) == 8
    odd = Shapes(first=100, multiple=4, tile=1024)
    for n in range(1, 1500):
        side = odd.side(n)
        assert side >= min(n, 1024) and side % 4 == 0
        assert side <= max(100, 9 / 8 * n + 4)


def test_three_hundred_photos_of_all_sizes_have_few_shapes():
    random, shapes = np.random.default_rng(0), Shapes(256, 4, 1024)
    seen = set()
    for _ in range(300):  # as with size=training: the shorter side is 256
        ratio = random.uniform(1, 2)
        sides = [shapes.side(256), shapes.side(round(256 * ratio))]
        seen.add(tuple(random.permutation(sides).tolist()))
    assert len(seen) <= 17


@pytest.mark.parametrize(
    "size",
    [(1, 1), (1, 300), (5, 2), (32, 32), (33, 47), (128, 128), (129, 40), (400, 301)],
)
def test_the_identity_returns_any_picture(size):
    x, seen = noise(*size), set()

    def identity(tile):
        seen.add(tile.shape)
        return tile

    made = run(identity, x, SHAPES)
    assert made.shape == x.shape
    np.testing.assert_allclose(made, x, atol=1e-6)
    assert len(seen) == 1  # one program
    assert all(side % 4 == 0 and side <= 128 for side in seen.pop()[:2])


def test_a_large_picture_is_never_seen_at_once():
    x = np.zeros((2000, 3000, 3), np.uint8)
    seen = []

    def network(tile):
        seen.append(tile.shape)
        return tile[..., :1].astype(np.float32)

    assert run(network, x, Shapes(256, 4, 1024)).shape == (2000, 3000, 1)
    # They share 128 pixels: (2000 - 128) / (1024 - 128) = 2.1; more than two tiles of
    # 1024 are made tiles of 768, (3000 - 128) / (768 - 128) = 4.5.
    assert seen == [(1024, 768, 3)] * 15


def blurred(x, radius):
    """A network that sees `radius` pixels around each, and nothing beyond the edge."""
    n = 2 * radius + 1
    padded = np.pad(x, [(radius, radius), (radius, radius), (0, 0)])
    kernel = noise(n, n, 1)[..., 0]
    return sum(
        kernel[i, j] * padded[i : i + x.shape[0], j : j + x.shape[1]]
        for i in range(n)
        for j in range(n)
    )


def test_tiles_of_a_network_that_sees_little_are_the_whole():
    x = noise(300, 200, 1)
    whole = blurred(x, 3)
    made = run(lambda tile: blurred(tile, 3), x, SHAPES)
    # Of tiles of 128, neighbours share 32, of which the outermost 8 count nothing.
    np.testing.assert_allclose(made, whole, atol=1e-4)
    # It would be seen: one that sees farther than that is off near a tile's edge.
    wide = run(lambda tile: blurred(tile, 12), x, SHAPES)
    assert np.abs(wide - blurred(x, 12))[:, 20:-20].max() > 0.1


def test_tiles_of_different_brightness_pass_into_each_other():
    """Instance norm shifts each tile by its own mean; no step must be seen."""
    x = np.broadcast_to(np.linspace(-1, 1, 500)[None, :, None], (64, 500, 1))
    x = x.astype(np.float32)
    made = run(lambda tile: tile - tile.mean(), x, SHAPES)
    hard = np.concatenate([x[:, :128] - x[:, :128].mean(), x[:, 128:]], axis=1)
    step = np.abs(np.diff(hard[0, :, 0])).max()
    assert np.abs(np.diff(made[0, :, 0])).max() < 0.1 * step


def test_the_heap_holds_neither_the_result_nor_a_row_of_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "PIXELS", 2**16)
    picture = np.zeros((300, 900, 3), np.uint8)
    shapes = Shapes(first=32, multiple=1, tile=64)
    tracemalloc.start()
    made = run(
        lambda x: np.zeros((4 * len(x), 4 * x.shape[1], 3), np.float32),
        picture,
        shapes,
        scale=4,
        encode=images.encode,
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.shape == (1200, 3600, 3)
    assert (
        peak < 8 * 12 * tiles.PIXELS < made.nbytes
    )  # floats of what is encoded at once
