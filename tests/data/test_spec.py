"""What an example holds, described."""

import json

import ml_collections
import numpy as np
import pytest

from gans.data.spec import (
    Field,
    blank,
    check_classes,
    class_of,
    decoded,
    from_json,
    label_field,
    main_field,
    same_classes,
    to_json,
)

SPEC = {
    "image": Field("image", (4, 6, 3), "uint8"),
    "label": Field("label", (), "int32", n_classes=10),
}


def test_decoded_and_blank_are_what_a_gan_gets():
    found = decoded(SPEC)
    assert list(found) == ["image", "label"]
    assert found["image"].shape == (4, 6, 3) and found["image"].dtype == np.float32
    assert found["label"].shape == () and found["label"].dtype == np.int32
    batch = blank(SPEC, 5)
    assert {k: (x.shape, x.dtype.name) for k, x in batch.items()} == {
        "image": ((5, 4, 6, 3), "float32"),
        "label": ((5,), "int32"),
    }
    assert not any(x.any() for x in batch.values())


def test_the_main_field_is_the_only_one_besides_labels():
    assert main_field(SPEC) == "image"
    two = {"a": SPEC["image"], "b": SPEC["image"], "label": SPEC["label"]}
    with pytest.raises(ValueError, match="it has 2: a, b"):
        main_field(two)
    with pytest.raises(ValueError, match="it has 0: none"):
        main_field({"label": SPEC["label"]})


def test_the_label_field_is_found_by_its_kind():
    assert label_field({"digit": SPEC["label"], "image": SPEC["image"]}) == "digit"
    assert label_field({"label": SPEC["image"]}) is None
    with pytest.raises(ValueError, match="at most one label; it has 2: a, b"):
        label_field({"a": SPEC["label"], "b": SPEC["label"]})


def test_json_and_back():
    content = json.loads(json.dumps(to_json(SPEC)))
    assert from_json(content) == SPEC and list(from_json(content)) == list(SPEC)
    assert content["image"]["shape"] == [4, 6, 3]
    # As a part of a config.
    assert from_json(ml_collections.ConfigDict(content)) == SPEC


def test_names_of_classes_are_kept_where_they_are_given():
    field = Field("label", (), "int32", 2, names=["cat", "dog"])
    assert field.names == ("cat", "dog")
    content = json.loads(json.dumps(to_json({"label": field})))
    assert content["label"]["names"] == ["cat", "dog"]
    assert from_json(content) == {"label": field}
    assert from_json(ml_collections.ConfigDict(content)) == {"label": field}
    assert "names" not in to_json(SPEC)["label"]


def test_numbers_mean_the_same_classes_as_far_as_names_tell():
    def field(*names, n=None):
        return Field("label", (), "int32", n or len(names), names or None)

    assert same_classes(field("cat", "dog"), field("cat", "dog"))
    assert same_classes(field("cat", "dog"), field(n=2))
    assert not same_classes(field("cat", "dog"), field("dog", "cat"))
    assert not same_classes(field("cat", "dog"), field("cat", "emu"))
    assert not same_classes(field("cat", "dog"), field(n=3))


def test_classes_of_a_model_and_of_its_data_are_compared():
    def spec(*names):
        label = Field("label", (), "int32", len(names), names)
        return to_json({"label": label, "image": SPEC["image"]})

    unnamed = to_json({"label": Field("label", (), "int32", 2)})
    check_classes(spec("cat", "dog"), spec("cat", "dog"), True)
    check_classes(unnamed, spec("cat", "dog"), True)
    check_classes(unnamed, spec("dog", "cat"), False)
    check_classes(spec("cat", "dog"), unnamed, True)
    with pytest.raises(ValueError, match="class 0 is 'a10', today's 'a9'"):
        check_classes(unnamed, spec("a9", "a10"), True)
    for now, message in (
        (
            spec("bee", "cat", "dog"),
            "2 classes, the data has 3; class 0 was 'cat', and",
        ),
        (spec("cat"), "class 1 was 'dog', and is None now"),
    ):
        with pytest.raises(ValueError, match=message):
            check_classes(spec("cat", "dog"), now, True)


def test_a_class_is_given_by_name_or_number():
    pets = Field("label", (), "int32", 2, ("cat", "dog"))
    given = ("cat", "dog", 0, "1", np.int64(1))
    assert [class_of(pets, x) for x in given] == [0, 1, 0, 1, 1]
    assert class_of(SPEC["label"], "7") == class_of(SPEC["label"], 7) == 7
    # Where names are numbers, a string is a name, and never the place of another.
    months = Field("label", (), "int32", 12, tuple(str(i) for i in range(1, 13)))
    assert class_of(months, "1") == 0 and class_of(months, 1) == 1
    for field, wrong, message in (
        (pets, "dgo", "class 'dgo': the classes are cat, dog; did you mean 'dog'"),
        (pets, 2, "class 2: the classes are cat, dog"),
        (pets, -1, "class -1"),
        (months, "0", "class '0': the classes are 1, 2, 3"),
        (SPEC["label"], "cat", "class 'cat': the classes are 0 to 9"),
    ):
        with pytest.raises(ValueError, match=message):
            class_of(field, wrong)
    with pytest.raises(ValueError) as caught:  # no class is nearly another number
        class_of(Field("label", (), "int32", 3, ("1", "2", "13")), "12")
    assert str(caught.value) == "class '12': the classes are 1, 2, 13"


def test_fields_are_normalised():
    field = Field("image", [np.int64(4), 6, 3], np.uint8)
    assert field == Field("image", (4, 6, 3), "uint8") and hash(field)
    assert isinstance(field.shape[0], int) and field.dtype == "uint8"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("imag", (4, 4, 1), "uint8"), "kind of a field: 'imag'.*did you mean 'image'"),
        (("image", (4, 4), "uint8"), r"image has shape \(4, 4\); wanted \[H, W, C\]"),
        (("label", (), "int32"), "label needs n_classes"),
        (("tokens", (5,), "int32"), "tokens needs n_classes"),
        (("image", (4, 4, 1), "uint16"), "dtype uint16; wanted uint8 or float32"),
        (("video", (2, 4, 4, 1), "int8"), "dtype int8; wanted uint8 or float32"),
        (("label", (), "int32", 3, "ab"), "2 names for n_classes=3"),
        (("label", (), "int32", 3, "aba"), "two classes have the name 'a'"),
        (("label", (), "float32", 3), "label has dtype float32; wanted integer"),
        (("series", (5, 1), "int32"), "series has dtype int32; wanted floating"),
    ],
)
def test_wrong_fields(arguments, message):
    with pytest.raises(ValueError, match=message):
        Field(*arguments)
