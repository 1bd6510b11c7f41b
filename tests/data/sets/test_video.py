"""Clips of videos of every form: frame t of video v is flat, of brightness 10 v + t."""

import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import footage, pipeline
from gans.data.sets import NoSplit, OptionWanted, video


def flat(v, t, size=(12, 8)):
    return Image.new("L", size, 10 * v + t)


def animation(path, v, n, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (flat(v, t).convert("RGB") for t in range(n))
    first.save(path, save_all=True, append_images=rest, duration=50, **options)


def folder(path, v, n, size=(12, 8)):
    path.mkdir(parents=True, exist_ok=True)
    for t in range(n):
        flat(v, t, size).save(path / f"frame{t}.png")


def strip(path, videos, n, size=(4, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = Image.new("L", (n * size[0], len(videos) * size[1]))
    for i, v in enumerate(videos):
        for t in range(n):
            whole.paste(flat(v, t, size), (t * size[0], i * size[1]))
    whole.save(path)


def levels(clips):
    """The brightness of each frame, which is flat: [B, T]."""
    assert (clips == clips[:, :, :1, :1]).all()
    return clips[:, :, 0, 0, 0].astype(int)


def test_every_form(tmp_path):
    animation(tmp_path / "a.gif", 1, 6)
    animation(tmp_path / "b.webp", 2, 6, lossless=True)
    animation(tmp_path / "c.png", 3, 6)
    folder(tmp_path / "d", 4, 12)  # frame10 comes after frame9
    animation(tmp_path / "e.tif", 6, 6)
    source = data.load(f"video:{tmp_path}", resolution=4, channels=1, frames=6)
    assert (
        source.spec["video"].shape == (6, 4, 4, 1) and source.label_of("video") is None
    )
    found = levels(source.take(np.arange(len(source)))["video"])
    expected = [10 * v + np.arange(s, s + 6) for v, s in
                ((1, 0), (2, 0), (3, 0), (4, 0), (4, 6), (6, 0))]  # fmt: skip
    np.testing.assert_array_equal(found, expected)
    own = data.load(f"video:{tmp_path}/a.gif", frames=3, stride=2)
    assert own.spec["video"].shape == (3, 8, 12, 3)
    np.testing.assert_array_equal(
        levels(own.take(np.array([0]))["video"]), [[10, 12, 14]]
    )


def test_strips_are_rows_of_frames(tmp_path):
    strip(tmp_path / "one" / "a.png", [1, 2], 5)
    strip(tmp_path / "two" / "b.png", [3], 9)
    name = f"video:{tmp_path}:strip=4"
    source = data.load(name, frames=4, channels=1)
    assert source.spec["label"].names == ("one", "two") and len(source) == 4
    taken = source.take(np.arange(4))
    starts = [10, 20, 30, 34]
    np.testing.assert_array_equal(
        levels(taken["video"]), np.add.outer(starts, np.arange(4))
    )
    np.testing.assert_array_equal(taken["label"], [0, 0, 1, 1])
    smaller = data.load(name, frames=4, channels=1, resolution=2)
    np.testing.assert_array_equal(
        levels(smaller.take(np.arange(4))["video"]), levels(taken["video"])
    )
    wide = data.load(f"video:{tmp_path}:strip=2x4:classes=no", frames=4)
    assert wide.spec["video"].shape == (4, 4, 2, 3) and "label" not in wide.spec
    with pytest.raises(
        OptionWanted, match="a.png: it is 20x8, which rows of frames of "
    ):
        data.load(f"video:{tmp_path}:strip=3", frames=2)
    with pytest.raises(ValueError, match="strip='4by4' is not the width of a frame"):
        data.load(f"video:{tmp_path}:strip=4by4")
    with pytest.raises(OptionWanted, match="several sizes .* video:PATH:strip=64"):
        strip(tmp_path / "one" / "c.png", [3], 9)
        data.load(f"video:{tmp_path}", frames=2)


def test_too_large_to_hold(tmp_path, monkeypatch):
    animation(tmp_path / "a.gif", 1, 9)
    folder(tmp_path / "d", 4, 9)
    strip(tmp_path / "rows" / "b.png", [3, 5], 9)
    rows, draws = np.arange(4), [np.arange(4, dtype=np.uint64) << np.uint64(32)]
    for name in (f"video:{tmp_path}/rows:strip=4", f"video:{tmp_path}/a.gif"):
        held = data.load(name, frames=4, stride=2)
        monkeypatch.setattr(video, "MEMORY_LIMIT", 0)
        other = data.load(name, frames=4, stride=2)
        monkeypatch.undo()
        assert other.streamed and not held.streamed
        i = rows[: len(held)]
        for given in (None, [x[i] for x in draws]):
            a, b = (x.take(i, given)["video"] for x in (held, other))
            np.testing.assert_array_equal(a, b)


def test_a_clip_begins_anywhere_in_training(tmp_path):
    folder(tmp_path / "d", 0, 30)
    source = data.load(f"video:{tmp_path}", frames=4, stride=2, resolution=8, jitter=2)
    assert len(source) == 4  # of 7 frames each
    batches = pipeline.batches(source, 4, seed=0)
    firsts = [levels(batches[i]["video"])[:, 0].tolist() for i in range(100)]
    assert {*np.ravel(firsts)} == {*range(24)}  # the last that has 7 frames is 23
    again = pipeline.batches(source, 4, seed=0)[7]["video"]
    np.testing.assert_array_equal(levels(again)[:, 0], firsts[7])
    np.testing.assert_array_equal(levels(again), levels(again)[:, :1] + [0, 2, 4, 6])
    plain = levels(source.take(np.arange(4))["video"])
    np.testing.assert_array_equal(plain[:, 0], [0, 7, 14, 21])


def test_one_crop_and_one_flip_a_clip(tmp_path):
    # A bright column at the left of every frame, beside a gradient.
    (tmp_path / "d").mkdir()
    frame = np.tile(np.arange(12, dtype=np.uint8) * 20, (12, 1))
    for t in range(8):
        Image.fromarray(frame + np.uint8(t)).save(tmp_path / "d" / f"{t}.png")
    source = data.load(
        f"video:{tmp_path}", frames=8, resolution=8, channels=1, jitter=4
    )
    batches = pipeline.batches(source, 16, seed=1, flip=True)
    x = np.asarray(batches.prepare(batches[0])["video"])
    same = np.rint((x + 1) * 127.5) - np.arange(8)[:, None, None, None]
    assert (same == same[:, :1]).all()
    assert len(np.unique(same[:, 0], axis=0)) > 4  # and they differ between clips


def test_splits_and_classes(tmp_path):
    for split, n in (("train", 2), ("test", 1)):
        for v, word in enumerate(("walk", "jump")):
            for i in range(n):
                folder(tmp_path / split / word / f"clip{i}", v, 4)
    train, test = (
        data.load(f"video:{tmp_path}", frames=4, resolution=4, split=s)
        for s in ("train", "test")
    )
    assert (len(train), len(test)) == (4, 2)
    assert train.spec["label"].names == ("jump", "walk")
    np.testing.assert_array_equal(test.take(np.arange(2))["label"], [0, 1])
    with pytest.raises(NoSplit, match="has no split 'all', only train, test"):
        data.load(f"video:{tmp_path}", frames=4, resolution=4, split="all")


def test_what_is_left_out_is_counted(tmp_path, capsys):
    folder(tmp_path / "long", 1, 9)
    folder(tmp_path / "short", 2, 3)
    (tmp_path / "notes.txt").write_text("x")
    source = data.load(f"video:{tmp_path}", frames=4, stride=2, resolution=4)
    assert len(source) == 1
    assert source.reading() == {"left_out": {".txt": 1}, "short": 1}
    said = capsys.readouterr().err
    assert (
        "left out 1 of 2 videos under 7 frames (frames=4, stride=2): short (3)" in said
    )
    with pytest.raises(
        ValueError, match="no video has 16 frames; the longest, long, has 9"
    ):
        data.load(f"video:{tmp_path}", resolution=4)


def test_broken_files_and_sizes(tmp_path, capsys):
    folder(tmp_path / "good", 1, 4)
    animation(tmp_path / "whole.webp", 1, 4, lossless=True)
    content = (tmp_path / "whole.webp").read_bytes()
    (tmp_path / "cut.webp").write_bytes(content[:60])
    (tmp_path / "good" / "frame9.png").write_bytes(b"no picture")
    with pytest.raises(OptionWanted, match=r"^cannot read .*\w: ") as error:
        data.load(f"video:{tmp_path}", frames=2, resolution=4)
    assert error.value.option == "skip_corrupt" and "\n" not in str(error.value)
    source = data.load(f"video:{tmp_path}", frames=2, resolution=4, skip_corrupt=True)
    assert len(source) == 2 and source.reading()["corrupt"] == 2
    assert "left out 2 of 3 files" in capsys.readouterr().err
    (tmp_path / "cut.webp").unlink()
    (tmp_path / "good" / "frame9.png").unlink()
    folder(tmp_path / "wide", 1, 4, size=(16, 8))
    with pytest.raises(OptionWanted, match="videos of several sizes") as error:
        data.load(f"video:{tmp_path}", frames=2)
    assert error.value.option == "resolution"
    folder(tmp_path / "wide", 1, 3)  # of two sizes in one folder, now
    with pytest.raises(OptionWanted, match="wide: its frames are of several sizes"):
        data.load(f"video:{tmp_path}", frames=2, resolution=4)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        data.load(f"video:{tmp_path}/none")
    with pytest.raises(
        FileNotFoundError, match="holds nothing; wanted videos, such as"
    ):
        data.load(f"video:{tmp_path}")


def test_films_need_a_package(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"")

    def missing():
        raise ImportError("av")

    monkeypatch.setattr(footage, "_av", missing)
    with pytest.raises(ValueError, match=r"a.mp4 is a film.*: pip install av; GIF"):
        data.load(f"video:{tmp_path}")


def test_films(tmp_path, monkeypatch):
    av = pytest.importorskip("av", reason="the package av reads films")
    with av.open(tmp_path / "a.mp4", "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        stream.gop_size = 5
        for t in range(17):
            picture = flat(1, 5 * t, (32, 16)).convert("RGB")
            film.mux(stream.encode(av.VideoFrame.from_image(picture)))
        film.mux(stream.encode())
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:200])
    for limit in (2**30, 0):
        monkeypatch.setattr(video, "MEMORY_LIMIT", limit)
        source = data.load(
            f"video:{tmp_path}", frames=4, stride=2, channels=1, skip_corrupt=True
        )
        assert source.streamed == (not limit) and source.n_frames.tolist() == [17]
        found = source.take(np.array([0, 1]))["video"].mean((2, 3, 4))
        wanted = 10 + 5 * np.array([[0, 2, 4, 6], [7, 9, 11, 13]])
        np.testing.assert_allclose(found, wanted, atol=3)
