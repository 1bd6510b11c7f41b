"""Names with options, as configs have them."""

import pytest

from gans import names


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("r1", ("r1", {})),
        (" r1() ", ("r1", {})),
        ("r1(weight=10, every=16)", ("r1", {"weight": 10, "every": 16})),
        (
            "ada(target=-0.5, policy='color')",
            ("ada", {"target": -0.5, "policy": "color"}),
        ),
        ("x(a=(1, 2), b=None, c=True)", ("x", {"a": (1, 2), "b": None, "c": True})),
    ],
)
def test_a_name_and_its_options(spec, expected):
    assert names.parse(spec, "here") == expected


@pytest.mark.parametrize(
    "spec",
    ["", "r1 r2", "r1(10)", "r1(weight=w)", "a.b", "r1(weight=1", "1", "x(**{})",
     "x(a=__import__('os'))", "(lambda: 1)()"],
)  # fmt: skip
def test_anything_else_is_refused(spec):
    with pytest.raises(ValueError, match="here: .*is neither NAME nor"):
        names.parse(spec, "here")


def test_options_that_are_not_known():
    names.options(["weight"], {"weight": 1}, "r1")
    with pytest.raises(ValueError, match="option of r1: 'wieght'.*mean 'weight'"):
        names.options(["weight", "every"], {"wieght": 1}, "r1")
    with pytest.raises(ValueError, match="option of hinge: 'a' is not one of: none"):
        names.options([], {"a": 1}, "hinge")


def test_named_is_a_name_or_a_mapping_with_one():
    assert names.named("r1", "here") == ("r1", {})
    given = {"name": "r1", "weight": 10}
    assert names.named(given, "here") == ("r1", {"weight": 10})
    assert given == {"name": "r1", "weight": 10}
    for wrong in (None, 3, {}, {"name": None}, {"weight": 10}, ("r1", {})):
        with pytest.raises(ValueError, match="here: .*is neither a name nor"):
            names.named(wrong, "here")
