"""Both kinds of source answer alike, and one is made into the other."""

import numpy as np
import pytest

from gans.data.source import InMemory, Rows, Streamed, Unpaired, hold
from gans.data.spec import Field

IMAGES = np.arange(5 * 2 * 3 * 1, dtype=np.uint8).reshape(5, 2, 3, 1)
LABELS = np.arange(5, dtype=np.int32) % 2


def read(indices):
    return {"image": IMAGES[indices], "label": LABELS[indices]}


SPEC = {
    "image": Field("image", (2, 3, 1), "uint8"),
    "label": Field("label", (), "int32", 2),
}
SOURCES = [
    InMemory("set", {"image": IMAGES, "label": LABELS}),
    Streamed("set", read, 5, SPEC),
]


@pytest.mark.parametrize("source", SOURCES)
def test_random_access(source):
    assert len(source) == 5 and source.shape == (2, 3, 1) and source.n_classes == 2
    assert source.spec == SPEC and list(source.spec) == ["image", "label"]
    assert source.groups == (("image", "label"),) and source.lengths == (5,)
    assert source.streamed == isinstance(source, Streamed)
    item = source[-1]
    np.testing.assert_array_equal(item["image"], IMAGES[4])
    assert item["label"] == 0 and item["label"].shape == ()
    with pytest.raises(IndexError):
        source[5]


@pytest.mark.parametrize("source", SOURCES)
def test_take_keeps_order_and_repeats_and_is_a_copy(source):
    taken = source.take(np.array([3, 0, 3]))
    np.testing.assert_array_equal(taken["image"], IMAGES[[3, 0, 3]])
    np.testing.assert_array_equal(taken["label"], [1, 0, 1])
    assert taken["label"].dtype == np.int32
    taken["image"][:] = 0
    assert source[3]["image"].any()


def test_hold_decodes_what_fits():
    n = 600  # more than two of the parts that are decoded at once
    images = np.random.default_rng(0).integers(0, 256, (n, 2, 2, 1), np.uint8)
    labels = np.arange(n, dtype=np.int32)
    spec = {
        "image": Field("image", (2, 2, 1), "uint8"),
        "label": Field("label", (), "int32", n),
    }
    streamed = Streamed(
        "set", lambda i: {"image": images[i], "label": labels[i]}, n, spec
    )
    held = hold(streamed, limit=8 * n)  # four pixels and a label of four bytes
    assert held.spec == spec and held.spec["label"].n_classes == n
    assert isinstance(held, InMemory) and held.name == "set" and held.n_classes == n
    np.testing.assert_array_equal(held.arrays["image"], images)
    np.testing.assert_array_equal(held.arrays["label"], labels)
    assert hold(streamed, limit=8 * n - 1) is streamed


def test_hold_passes_errors_on():
    def broken(indices):
        if 300 in indices:
            raise ValueError("cannot read cat.png")
        return {"image": np.zeros((len(indices), 1, 1, 1), np.uint8)}

    with pytest.raises(ValueError, match="cat.png"):
        hold(
            Streamed("set", broken, 600, {"image": Field("image", (1, 1, 1), "uint8")})
        )


def arrays(**shapes):
    kinds = {"video": np.uint8, "voxels": np.uint8, "image": np.uint8}
    return {k: np.zeros((4, *s), kinds.get(k, np.float32)) for k, s in shapes.items()}


def test_fields_are_of_any_kind():
    held = arrays(
        series=(6, 2), video=(5, 4, 4, 3), voxels=(4, 4, 4, 1), image=(4, 6, 1)
    )
    held["tokens"] = np.array([[1, 7, 0]] * 4)
    source = InMemory("many", held)
    assert {k: (f.kind, f.shape, f.dtype) for k, f in source.spec.items()} == {
        "series": ("series", (6, 2), "float32"),
        "video": ("video", (5, 4, 4, 3), "uint8"),
        "voxels": ("voxels", (4, 4, 4, 1), "uint8"),
        "image": ("image", (4, 6, 1), "uint8"),
        "tokens": ("tokens", (3,), "int64"),
    }
    assert source.spec["tokens"].n_classes == 8 and source.n_classes is None
    pairs = {"a": held["image"], "b": held["image"][:, :2]}
    source = InMemory("pairs", pairs, {"a": "image", "b": "image"})
    assert source.spec["b"] == Field("image", (2, 6, 1), "uint8")


def test_classes_are_counted_unless_they_are_given():
    assert InMemory("set", {"image": IMAGES, "label": LABELS}).n_classes == 2
    given = {"label": Field("label", (), "int32", 10)}
    source = InMemory("set", {"image": IMAGES, "label": LABELS}, given)
    assert source.n_classes == 10 and source.spec["image"].kind == "image"


@pytest.mark.parametrize(
    "content, spec, message",
    [
        ({"a": IMAGES}, {}, "set: field 'a': kind of a field: 'a' is not one of"),
        ({"a": IMAGES}, {"a": "imag"}, "did you mean 'image'"),
        ({"a": IMAGES}, {"a": "point"}, r"shape \(2, 3, 1\); wanted \[D\]"),
        ({"image": IMAGES}, {"b": "image"}, "no array for field 'b'"),
        (
            {"a": IMAGES.astype(np.int32)},
            {"a": "image"},
            "set: field 'a': a field of kind image has dtype int32; wanted uint8",
        ),
        (
            {"image": IMAGES.astype(np.uint16)},
            {},
            "dtype uint16; wanted uint8 or float32",
        ),
        (
            {"image": IMAGES.astype(np.float32)},
            {},
            r"'image': float32 values from 0 to 29 .* must lie in \[-1, 1\]",
        ),
        (
            {"image": IMAGES.astype(np.float32) / 29},
            {},
            r"\[-1, 1\], these are in \[0, 1\]; `gans.data.values.to_bytes`",
        ),
        (
            {"image": np.full((2, 2, 2, 1), np.nan, np.float32)},
            {},
            "'image': example 0 holds NaN or infinity",
        ),
        ({"image": IMAGES // 29}, {}, r"in \[0, 255\], these are in \[0, 1\]"),
        ({"point": np.full((3, 2), np.inf, np.float32)}, {}, "example 0 holds NaN or"),
        ({"label": LABELS + 1}, {}, "'label': no example has the class 0 of 3"),
        ({"label": LABELS - 1}, {}, r"'label': labels in \[-1, 0\]"),
        (
            {"label": LABELS + 4},
            {"label": Field("label", (), "int32", 5)},
            r"labels in \[4, 5\]; n_classes=5 has 0 to 4",
        ),
        (
            {"label": LABELS.astype(np.float32)},
            {},
            "label has dtype float32; wanted integer",
        ),
        ({"point": IMAGES[:, :, 0, 0]}, {}, "point has dtype uint8; wanted floating"),
        ({"image": IMAGES, "label": LABELS[:4]}, {}, "image 5, label 4"),
        (
            {"image": IMAGES},
            {"image": Field("image", (2, 3, 3), "uint8")},
            r"'image' is uint8 \(2, 3, 1\); its field says uint8 \(2, 3, 3\)",
        ),
    ],
)
def test_arrays_and_fields_that_do_not_fit(content, spec, message):
    with pytest.raises(ValueError, match=message):
        InMemory("set", content, spec)


def test_unpaired_sets():
    points = np.arange(6, dtype=np.float32).reshape(3, 2)
    both = Unpaired("both", {"a": SOURCES[1], "b": InMemory("p", {"point": points})})
    assert both.groups == (("a", "a/label"), ("b",)) and both.lengths == (5, 3)
    assert list(both.spec) == ["a", "a/label", "b"] and both.spec["b"].kind == "point"
    assert len(both) == 5 and both.streamed and both.name == "both"
    taken = both.take(np.array([4, 0]), np.array([2, 2]))
    np.testing.assert_array_equal(taken["a"], IMAGES[[4, 0]])
    np.testing.assert_array_equal(taken["a/label"], LABELS[[4, 0]])
    np.testing.assert_array_equal(taken["b"], points[[2, 2]])
    # At one index the shorter set begins again.
    np.testing.assert_array_equal(both[4]["a"], IMAGES[4])
    np.testing.assert_array_equal(both[4]["b"], points[1])
    pairs = InMemory("pairs", {"x": points, "y": points}, {"x": "point", "y": "point"})
    with pytest.raises(ValueError, match="both: b: pairs has the fields x, y; wanted"):
        Unpaired("both", {"a": SOURCES[0], "b": pairs})


def sides():
    """a (5, labelled) and b (3), which do not correspond."""
    a = {"image": np.arange(5)[:, None, None, None].astype(np.uint8)}
    b = {"image": np.arange(10, 13)[:, None, None, None].astype(np.uint8)}
    labels = {"label": np.arange(5, dtype=np.int32) % 2}
    return Unpaired("ab", {"a": InMemory("a", a | labels), "b": InMemory("b", b)})


def test_a_field_has_the_length_and_the_labels_of_its_group():
    both = sides()
    assert [both.length_of(x) for x in ("a", "a/label", "b")] == [5, 5, 3]
    assert both.label_of("a") == "a/label" and both.label_of("b") is None
    paired = {"a": np.zeros((2, 1)), "b": np.zeros((2, 1)), "n": np.zeros(2, int)}
    of = {"a": "point", "b": "point", "n": "label"}
    assert InMemory("p", paired, of).label_of("b") == "n"
    paired |= {"label": np.zeros(2, int), "b/label": np.zeros(2, int)}
    several = InMemory("p", paired, of | {"label": "label", "b/label": "label"})
    assert several.label_of("b") == "b/label" and several.label_of("a") == "label"


def test_rows_of_a_group():
    rows = Rows(sides(), np.array([2, 0]), "b")
    assert list(rows.spec) == ["b"] and len(rows) == rows.length_of("b") == 2
    assert rows.take(np.array([1, 0]))["b"].ravel().tolist() == [10, 12]
