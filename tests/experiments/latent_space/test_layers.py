"""Layers by name and number."""

import numpy as np
import pytest

from experiments.latent_space.layers import RANGES, named, read, said


def test_ranges_of_the_paper():
    found = named(18)  # 1024 pixels: 0-3, 4-7, 8-17
    assert [len(found[name]) for name in RANGES] == [4, 4, 10, 18]
    assert (found["middle"][0], found["fine"][0]) == (4, 8)
    for n in range(3, 30):
        parts = [[*named(n)[name]] for name in ("coarse", "middle", "fine")]
        assert sum(parts, []) == [*range(n)] and all(parts)


@pytest.mark.parametrize(
    "text, layers",
    [
        ("coarse", [0, 1]),
        ("5", [5]),
        ("0-2", [0, 1, 2]),
        ("fine + 0-1", [0, 1, 4, 5]),
        ("all", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_read(text, layers):
    found = read(text, 6)
    np.testing.assert_array_equal(found, layers)
    assert read(said(found).replace(", ", "+"), 6).tolist() == layers


@pytest.mark.parametrize(
    "text, error",
    [
        ("6", "--layers=6: this generator has the layers 0 to 5"),
        ("3-1", "--layers=3-1: this generator has the layers 0 to 5"),
        ("corse", "did you mean 'coarse'.*, or numbers as 0-3"),
        ("", "'' is not one of"),
    ],
)
def test_what_cannot_be_read(text, error):
    with pytest.raises(ValueError, match=error):
        read(text, 6)
