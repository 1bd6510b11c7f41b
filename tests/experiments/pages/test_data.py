"""What a run says of its data, on its page and at its start."""

from experiments.pages import data

READING = {
    "left_out": {".txt": 2, "": 1},
    "links": 1,
    "corrupt": 3,
    "median_size": [640, 480],
    "cropped": 240,
    "cut_off": 0.3125,
    "enlarged": 12,
    "made_grey": 250,
}


def test_nothing_that_was_lost_is_left_out():
    run = {"examples_in_data": 1250, "reading": READING}
    assert data.sentence({"data": "folder:x"}, run) == (
        "folder:x: 1,250 training examples; files left out: 2 .txt, 1 without ending; "
        "links left out: 1; unreadable files left out: 3; 240 pictures cropped to a "
        "square (31% of all pixels cut off); 12 smaller ones enlarged; 250 stored in "
        "colour, read as grey"
    )


def test_nothing_is_said_where_nothing_was_lost():
    run = {"examples_in_data": 250, "reading": {"median_size": [64, 64]}}
    assert data.sentence({"data": "x"}, run) == "x: 250 training examples"
    assert data.sentence({"data": "x"}, {}) == ""  # an older run


def test_sets_that_do_not_correspond_are_said_by_name():
    run = {
        "examples_in_data": {"a": 1000, "b": 20},
        "reading": {"b": {"left_out": {".txt": 1}, "cropped": 2, "cut_off": 0.1}},
    }
    assert data.sentence({"data": "x"}, run) == (
        "x: 1,000 of a and 20 of b training examples; b: files left out: 1 .txt; "
        "b: 2 pictures cropped to a square (10% of all pixels cut off)"
    )


def test_changes_of_the_data():
    changes = [
        {"step": 1000, "n_before": 250, "n": 300, "checksum_before": "a"},
        {"step": 2000, "n_before": 300, "n": 300, "checksum_before": "b"},
    ]
    run = {"examples_in_data": 300, "data_changes": changes}
    assert data.sentence({"data": "x"}, run) == (
        "x: 300 training examples; 250 until step 1,000, 300 since; "
        "others, though as many, since step 2,000"
    )
    assert data.marks(run) == [
        (1000, "300 examples, before 250"),
        (2000, "other data"),
    ]
    assert data.marks({}) == []
