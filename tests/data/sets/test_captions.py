"""Pictures with sentences: digits, folders, tables, strips, vectors; and refusals."""

import json

import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import kinds, pipeline, sentences
from gans.data.sets import NoSplit

SIDE = 8


def picture(path, value, size=(SIDE, SIDE)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value,) * 3).save(path)


def texts(source, i):
    field = source.spec["caption"]
    said = source[i]["caption"]
    return [kinds.of(field).text_of(field, x[None]) for x in said if x[0]]


@pytest.fixture
def folder(tmp_path):
    for i, said in enumerate(("a red cat\n\nthe cat", "a dog", "a red dog")):
        picture(tmp_path / f"{i}.png", 100 * i)
        (tmp_path / f"{i}.txt").write_text(said)
    return tmp_path


@pytest.mark.slow
def test_digits_say_what_is_measured_in_them():
    train, test = (
        data.load("captions:digits", resolution=16, split=x) for x in ("train", "test")
    )
    assert train.spec == test.spec and len(train) > 2000 and len(test) > 100
    assert {*train.spec} == {"image", "caption", "label"}
    for source in (train, test):
        rows = np.arange(0, len(source), len(source) // 50)
        taken = source.take(rows)
        said = data.attributes("captions:digits")(taken["image"])
        for i, row in enumerate(rows):
            first = {*texts(source, row)[0].split()}
            assert sentences.DIGITS[taken["label"][i]] in first
            for name, words in sentences.WORDS.items():
                assert first & {*words} <= {said[name][i]}
    assert data.attributes("digits") is None


@pytest.mark.slow
def test_combinations_and_templates_are_held_out():
    found = {}
    for split in ("train", "test"):
        source = data.load("captions:digits", resolution=16, split=split)
        said = data.attributes("captions:digits")(source.arrays["image"])
        combinations = {*zip(source.arrays["label"], *said.values(), strict=True)}
        found[split] = combinations
        seen = {text for i in range(0, len(source), 7) for text in texts(source, i)}
        found[f"{split} texts"] = seen
    assert len(found["test"]) > 15 and not found["train"] & found["test"]
    assert not found["train texts"] & found["test texts"]
    # Every pair of words of a combination is in the training set.
    for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        pairs = {(x[i], x[j]) for x in found["train"]}
        assert {(x[i], x[j]) for x in found["test"]} <= pairs


def test_a_folder_with_texts(folder):
    source = data.load(f"captions:{folder}")
    assert source.spec["caption"].names == ("", "a", "cat", "dog", "red", "the")
    assert source.spec["caption"].shape == (2, 3)
    assert source.spec["image"].shape == (SIDE, SIDE, 3)
    assert texts(source, 0) == ["a red cat", "the cat"] and texts(source, 1) == [
        "a dog"
    ]
    assert source[2]["image"].max() == 200
    with pytest.raises(NoSplit, match="only train"):
        data.load(f"captions:{folder}", split="test")


@pytest.mark.parametrize("form", ["csv", "list", "coco", "files", "jsonl"])
def test_tables(form, folder):
    said = [("0.png", "a cat"), ("1.png", "a dog"), ("0.png", "one cat")]
    path = folder / ("captions.csv" if form == "csv" else "captions.json")
    content = {
        "csv": "File,Caption\n" + "".join(f"{x},{y}\n" for x, y in said),
        "list": json.dumps([{"image": x, "text": y} for x, y in said]),
        "coco": json.dumps(
            {
                "images": [{"id": x, "file_name": x} for x, _ in said[:2]],
                "annotations": [{"image_id": x, "caption": y} for x, y in said],
            }
        ),
        "files": json.dumps({"0.png": ["a cat", "one cat"], "1.png": "a dog"}),
        "jsonl": "".join(json.dumps({"file": x, "name": y}) + "\n" for x, y in said),
    }[form]
    path = path.with_suffix(".jsonl") if form == "jsonl" else path
    path.write_text(content)
    for source in (data.load(f"captions:{path}"), data.load(f"captions:{folder}")):
        assert len(source) == 2
        assert texts(source, 0) == ["a cat", "one cat"] and texts(source, 1) == [
            "a dog"
        ]


def test_strips_with_names_tags_and_splits(tmp_path, capsys):
    for style, n, value in (("line", 2, 50), ("fill", 3, 150)):
        picture(tmp_path / f"{style}_00.png", value, (SIDE, n * SIDE))
    picture(tmp_path / "line_01.png", 60, (SIDE, SIDE))
    (tmp_path / "captions.csv").write_text(
        "name,tags,split,has_fill\n"
        "cat,fur|pet,train,1\nbig dog,pet,train,0\nfur hat,,test,1\n"
    )
    source = data.load(f"captions:{tmp_path}", resolution=4)
    assert [int(source[i]["image"].mean()) for i in range(3)] == [150, 50, 50]
    assert texts(source, 1) == ["cat", "fur pet"] and texts(source, 2)[0] == "big dog"
    test = data.load(f"captions:{tmp_path}", resolution=4, split="test")
    assert test.spec == source.spec and len(test) == 2
    assert [int(test[i]["image"].mean()) for i in range(2)] == [150, 60]
    assert texts(test, 0) == ["fur"]
    assert "1 words of the split 'test' are not in the training set" in (
        capsys.readouterr().err
    )


def test_vectors_in_place_of_words(folder):
    vectors = np.arange(12, dtype=np.float32).reshape(3, 1, 4)
    np.save(folder / "vectors.npy", vectors)
    source = data.load(f"captions:{folder}:embeddings=vectors.npy")
    assert source.spec["embedding"].shape == (1, 4) and "caption" not in source.spec
    np.testing.assert_array_equal(source[2]["embedding"], vectors[2])
    np.save(folder / "vectors.npy", vectors[:2])
    with pytest.raises(ValueError, match=r"float32 \[2, 1, 4\]; wanted floats \[3, K"):
        data.load(f"captions:{folder}:embeddings=vectors.npy")


def test_pictures_are_mirrored_and_sentences_are_not(folder):
    source = data.load(f"captions:{folder}")
    batches = pipeline.batches(source, 3, seed=0, flip=True)
    batch = batches.prepare(batches[0])
    np.testing.assert_array_equal(batch["caption"], batches[0]["caption"])


def test_what_cannot_be_read_is_refused_in_a_line(folder):
    def refused(said, path=folder, error=ValueError):
        with pytest.raises(error, match=said) as found:
            data.load(f"captions:{path}")
        assert "\n" not in str(found.value)

    (folder / "1.txt").unlink()
    refused("1.png has no 1.txt beside it; wanted pictures with a .txt")
    (folder / "1.txt").write_text(" \n")
    refused("1.txt is empty")
    (folder / "1.txt").write_text("...")
    assert len(data.load(f"captions:{folder}")) == 2  # it has no word
    table = folder / "captions.csv"
    for content, said in (
        ("", "has no rows"),
        ("file,colour\n0.png,red\n", "has the columns file, colour; wanted sentences"),
        ("file,text\n9.png,red\n", "row 1: no file '9.png'"),
        ("file,text\n0.png,\n", "row 1: there is no sentence"),
        ("text\na cat\n", "no column of files .* and no strips"),
    ):
        table.write_text(content)
        refused(said)
    table.unlink()
    (folder / "captions.json").write_text("{")
    refused("captions.json cannot be read: ")
    refused("no such folder", "nowhere", FileNotFoundError)
    refused("is a file of another form", folder / "0.png")
