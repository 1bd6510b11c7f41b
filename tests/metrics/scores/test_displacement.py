"""Displacements of clips whose motion is known."""

import numpy as np
import pytest

from gans.metrics.scores import displacement

SIDE, T = 32, 6


def square(clip, top, left, steps):
    """Draws a bright square of 10 pixels, which moves by whole pixels."""
    for t, frame in enumerate(clip):
        y, x = top + t * steps[0], left + t * steps[1]
        frame[y : y + 10, x : x + 10] = 250


def clip(*objects, side=SIDE):
    found = np.zeros((T, side, side, 1), np.uint8)
    for one in objects:
        square(found, *one)
    return found


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(0)
    moved = clip((4, 2, (0, 2)))
    clips = {
        "right by 2": moved,
        "up by 1": clip((20, 8, (-1, 0))),
        "askew": clip((4, 2, (1, 2))),
        "1 and 3": clip((2, 2, (0, 1)), (18, 2, (0, 3))),
        "still": moved[:1].repeat(T, 0),
        "blank": moved * 0,
        "noise": rng.integers(0, 256, moved.shape, np.uint8),
        "jump": moved[[0, 5, 1, 4, 2, 3]],
    }
    found = displacement.compiled(np.stack([*clips.values()]))
    found = np.stack([np.asarray(x) for x in found], 1)
    return dict(zip(clips, found.tolist(), strict=True))


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("right by 2", 2),
        ("up by 1", 1),
        ("1 and 3", 2),  # two objects, as far from each other as they have to be
        ("still", 0),
        ("blank", 0),
    ],
)
def test_what_moves_by_so_many_pixels(measured, name, wanted):
    # Blocks that see one edge alone move across it only: on a side that runs along the
    # motion not at all. Half of a square's sides do.
    found, unexplained = measured[name]
    sides = {"still": 1, "blank": 1}.get(name, 0.5)
    assert wanted * sides - 1e-3 <= found <= wanted + 1e-3
    assert unexplained < 1e-3


def test_a_texture_that_moves_as_a_whole():
    # All blocks see structure in both directions; what comes in at the borders is new.
    wave = 2 * np.pi * np.arange(SIDE) / 16
    texture = 127 + 60 * np.cos(wave)[:, None] + 60 * np.cos(wave)
    clips = [
        np.stack([np.roll(texture, (t * d[0], t * d[1]), (0, 1)) for t in range(T)])
        for d in ((0, 2), (2, 1), (3, 3))
    ]
    clips = np.stack(clips).astype(np.uint8)[..., None]
    found, unexplained = map(np.asarray, displacement.compiled(clips))
    np.testing.assert_allclose(found, [2, 5**0.5, 18**0.5], rtol=0.05)
    assert unexplained.max() < 0.1
    # Colours are measured by their brightness, at twice the size in its pixels.
    larger = clips.repeat(2, 2).repeat(2, 3).repeat(3, 4)
    twice, _ = displacement.compiled(larger)
    np.testing.assert_allclose(twice, 2 * found, rtol=1e-3)
    assert (
        displacement.reach(clips.shape[1:]),
        displacement.reach(larger.shape[1:]),
    ) == (
        4,
        8,
    )


def test_what_does_not_only_move_is_not_explained(measured):
    assert measured["noise"][1] > 0.5 and measured["noise"][0] > 2
    assert measured["jump"][0] > 1.5 * measured["right by 2"][0]


def test_the_distance_is_that_by_which_all_are_moved():
    a = np.random.default_rng(0).normal(size=500)
    assert displacement.distance(a, a[::-1]) == pytest.approx(0, abs=1e-12)
    assert displacement.distance(a, a + 0.7) == pytest.approx(0.7)
