"""Folders of pictures: what is made, kept, refused, and left when something fails."""

import errno
import json
import os

import numpy as np
import pytest
from PIL import Image

import experiments
from experiments.translation import folder, picture
from experiments.translation.folder import Count, translate


def run(workdir, source, out, **options):
    return translate(workdir, source=str(source), out=str(out), **options)


def contents(folder):
    """{path: bytes} of all files, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_folder_of_all_kinds(unpaired, photos, tmp_path, capsys):
    source = photos(
        a_png=("RGB", 20, 30),
        deep__b_jpg=("RGB", 9, 8),
        deep__er__grey_png=("L", 17, 8),
        wide_png=("I;16", 8, 11),
        one_png=("RGB", 1, 1),
        alpha_png=("RGBA", 12, 10),
        long_webp=("RGB", 300, 3),
    )
    out = tmp_path / "new" / "out"
    assert run(unpaired, source, out) == Count(made=7)
    said = capsys.readouterr().err.splitlines()
    assert sorted(contents(out)) == [
        "a.png",
        "alpha.png",
        "deep/b.png",
        "deep/er/grey.png",
        "long.png",
        "one.png",
        "wide.png",
    ]
    assert said.pop().startswith("grey pictures stay grey")
    assert said == ["output: a_to_b; --output also takes b_to_a, cycle_a, cycle_b"]
    modes = {"alpha": "RGBA", "deep/er/grey": "L", "wide": "I;16"}
    for path in out.rglob("*.png"):
        name = path.relative_to(out).with_suffix("").as_posix()
        with Image.open(path) as made, Image.open(next(source.glob(f"{name}.*"))) as x:
            assert made.size == x.size and made.mode == modes.get(name, "RGB")
            if name == "alpha":
                np.testing.assert_array_equal(made.getchannel("A"), x.getchannel("A"))


def test_it_is_what_the_library_makes(unpaired, photos, tmp_path):
    source, out = photos(a_png=("RGB", 20, 30)), tmp_path / "y.png"
    run(unpaired, source / "a.png", out, output="b_to_a", checkpoint=3)
    x = np.asarray(Image.open(source / "a.png"))
    (made,) = experiments.load(unpaired, 3).translate([x], output="b_to_a")
    np.testing.assert_array_equal(np.asarray(Image.open(out)), made)
    record = picture.record_of(out)
    assert record["step"] == 3 and record["output"] == "b_to_a"
    assert str(tmp_path) not in json.dumps(record)


def test_grey_may_become_coloured(unpaired, photos, tmp_path, capsys):
    source = photos(grey_png=("L", 9, 9), other_png=("L", 9, 9))
    run(unpaired, source, tmp_path / "stays")
    assert capsys.readouterr().err.count("grey pictures stay grey; --colour") == 1
    run(unpaired, source, tmp_path / "out", colour=True)
    with Image.open(tmp_path / "out" / "grey.png") as made:
        assert made.mode == "RGB"


def test_results_depend_on_seed_and_name_alone(noisy, photos, tmp_path):
    source = photos(a_png=("L", 9, 9), b_png=("L", 20, 9), s__a_png=("L", 9, 9))
    (source / "s" / "a.png").write_bytes((source / "a.png").read_bytes())
    one = tmp_path / "one"
    run(noisy, source, one, seed=3, n=2)
    pixels = {p: np.asarray(Image.open(p)) for p in one.rglob("*.png")}
    assert len(pixels) == 6
    assert (pixels[one / "a_1.png"] != pixels[one / "a_2.png"]).any()
    assert (pixels[one / "a_1.png"] != pixels[one / "s/a_1.png"]).any()
    # The same picture with no others beside it, and with a single variant.
    (source / "b.png").unlink()
    run(noisy, source, tmp_path / "two", seed=3)
    run(noisy, source / "a.png", tmp_path / "three", seed=3)
    for other in ("two/a.png", "three/a.png"):
        found = np.asarray(Image.open(tmp_path / other))
        np.testing.assert_array_equal(found, pixels[one / "a_1.png"])
    run(noisy, source, tmp_path / "four", seed=4)
    found = np.asarray(Image.open(tmp_path / "four" / "a.png"))
    assert (found != pixels[one / "a_1.png"]).any()


def test_files_that_cannot_be_read_are_named_and_the_rest_is_done(
    unpaired, photos, tmp_path, capsys
):
    source = photos(a_png=("RGB", 9, 9), m_png=("RGB", 90, 90), z_png=("RGB", 9, 9))
    whole = (source / "m.png").read_bytes()
    (source / "m.png").write_bytes(whole[:500])
    (source / "n.png").write_text("no picture")
    out = tmp_path / "out"
    assert run(unpaired, source, out) == Count(made=2, failed=2)
    said = capsys.readouterr().err
    assert f"cannot translate {source / 'm.png'}: " in said
    assert f"{source / 'n.png'}: it is not a picture of a known format" in said
    assert sorted(contents(out)) == ["a.png", "z.png"]
    (source / "m.png").write_bytes(whole)
    (source / "n.png").unlink()
    assert run(unpaired, source, out) == Count(made=1, kept=2)


def test_finished_files_are_kept(unpaired, photos, tmp_path):
    source, out = photos(a_png=("RGB", 9, 9), b_png=("RGB", 9, 9)), tmp_path / "out"
    run(unpaired, source, out)
    before = {p: (p.stat().st_ino, p.read_bytes()) for p in out.iterdir()}
    assert run(unpaired, source, out) == Count(kept=2)
    assert before == {p: (p.stat().st_ino, p.read_bytes()) for p in out.iterdir()}
    # Of a picture that is another one now, the file is made again.
    (source / "a.png").write_bytes((source / "b.png").read_bytes())
    assert run(unpaired, source, out) == Count(made=1, kept=1)
    found = contents(out)
    with Image.open(out / "a.png") as a, Image.open(out / "b.png") as b:
        np.testing.assert_array_equal(a, b)
    (out / "a.png").unlink()
    assert run(unpaired, source, out) == Count(made=1, kept=1)
    assert contents(out) == found


def test_files_made_in_another_way(unpaired, noisy, photos, tmp_path):
    source, out = photos(a_png=("RGB", 9, 12)), tmp_path / "out"
    run(unpaired, source, out)
    before = contents(out)
    for options, said in (
        ({"checkpoint": 3}, "with step 7, not 3"),
        ({"output": "b_to_a"}, "with weights .*, not "),
        ({"size": "full"}, "with size training, not full"),
    ):
        with pytest.raises(FileExistsError, match=f"{said}.*--overwrite replaces"):
            run(unpaired, source, out, **options)
    with pytest.raises(FileExistsError):
        run(noisy, source, out)
    assert contents(out) == before
    assert run(unpaired, source, out, size="full", overwrite=True) == Count(made=1)
    assert contents(out) != before
    # With --overwrite, too, the same call goes on where it was stopped.
    assert run(unpaired, source, out, size="full", overwrite=True) == Count(kept=1)


def test_files_of_others_are_never_replaced(unpaired, photos, tmp_path):
    source, out = photos(a_png=("RGB", 9, 9), b_png=("RGB", 9, 9)), tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    Image.new("RGB", (3, 3)).save(out / "b.png")
    before = contents(out)
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="b.png was not made by this command"):
            run(unpaired, source, out, overwrite=overwrite)
    assert contents(out) == before
    (out / "b.png").unlink()
    assert run(unpaired, source, out) == Count(made=2)
    assert (out / "notes.txt").read_text() == "mine"


def test_formats(unpaired, photos, tmp_path, capsys):
    source, out = photos(a_jpg=("RGB", 9, 9)), tmp_path / "out"
    run(unpaired, source, out, form="webp")
    assert "again" not in capsys.readouterr().err
    run(unpaired, source, out, form="jpg")
    assert "JPEG is compressed again" in capsys.readouterr().err
    assert sorted(contents(out)) == ["a.jpg", "a.webp"]
    assert run(unpaired, source, out, form="jpg") == Count(kept=1)


def test_a_full_disk_ends_it_and_loses_nothing(unpaired, photos, tmp_path, monkeypatch):
    source = photos(**{f"p{i}_png": ("RGB", 40, 40) for i in range(8)})
    out, left = tmp_path / "out", [3]
    saved = Image.Image.save

    def filling(image, path, *args, **options):
        if not left[0]:
            with open(path, "wb") as file:
                file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        saved(image, path, *args, **options)

    monkeypatch.setattr(Image.Image, "save", filling)
    with pytest.raises(OSError, match=r"No space left on device: '.*out/p.\.png'"):
        run(unpaired, source, out)
    assert len(contents(out)) == 3
    assert all(picture.record_of(p) for p in out.iterdir())
    monkeypatch.undo()
    assert run(unpaired, source, out) == Count(made=5, kept=3)


def test_options_that_say_nothing(unpaired, photos, tmp_path):
    source = photos(a_png=("RGB", 9, 9))
    for options in ({"seed": 1}, {"n": 2}):
        with pytest.raises(ValueError, match="output 'a_to_b' draws nothing"):
            run(unpaired, source, tmp_path / "out", **options)
    with pytest.raises(ValueError, match="--n=0"):
        run(unpaired, source, tmp_path / "out", n=0)
    with pytest.raises(ValueError, match="'a_to_c'.*did you mean 'a_to_b'"):
        run(unpaired, source, tmp_path / "out", output="a_to_c")
    assert not (tmp_path / "out").exists()


def test_what_is_read_in_advance_comes_in_order():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        assert [*folder._ahead(pool, lambda i: i * i, range(9))] == [
            i * i for i in range(9)
        ]
