"""Names with options, as games and networks are given them."""

import pytest
from ml_collections import ConfigDict

from gans import names


@pytest.mark.parametrize(
    "value, expected",
    [
        ("r1", ("r1", {})),
        ({"name": "r1"}, ("r1", {})),
        ({"name": "r1", "weight": 10}, ("r1", {"weight": 10})),
        (ConfigDict({"name": "ada", "target": 0.5}), ("ada", {"target": 0.5})),
    ],
)
def test_a_name_and_its_options(value, expected):
    kept = value if isinstance(value, str) else dict(value.items())
    assert names.named(value, "here") == expected
    assert kept == (value if isinstance(value, str) else dict(value.items()))


@pytest.mark.parametrize(
    "value", [None, 3, {}, {"weight": 1}, {"name": 3}, ("r1", {"weight": 1}), ["r1"]]
)
def test_anything_else_is_rejected(value):
    with pytest.raises(ValueError, match="here: .* is neither a name nor a dict"):
        names.named(value, "here")


def test_files_of_a_package():
    found = [m.__name__.rpartition(".")[2] for m in names.modules("gans.losses")]
    assert found == ["adversarial", "matching", "penalties", "regularisers"]


def test_options_that_are_not_known():
    names.options(["weight"], {"weight": 1}, "r1")
    with pytest.raises(
        ValueError,
        match="r1 has no option 'wieght'; accepted are every, weight; did you mean",
    ):
        names.options(["weight", "every"], {"wieght": 1}, "r1")
    with pytest.raises(ValueError, match="hinge has no option 'a'; accepted are none"):
        names.options([], {"a": 1}, "hinge")


def test_a_name_that_is_not_accepted():
    assert names.check("a", ("b", "a"), "loss") == "a"
    with pytest.raises(ValueError, match="^loss: 'hing' is not one of .*mean 'hinge'"):
        names.check("hing", ("hinge", "wasserstein"), "loss")
    with pytest.raises(ValueError, match="^loss: must be 'wasserstein', got 'hinge'$"):
        names.check("hinge", ("wasserstein",), "loss")
