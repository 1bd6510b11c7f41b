"""Names of results, and places where none may be."""

import pytest
from PIL import Image

from experiments.translation.places import jobs, masked


@pytest.fixture
def photos(tmp_path):
    """photos(*names) -> the folder with pictures of these names."""
    folder = tmp_path / "in"

    def make(*names):
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (2, 2)).save(path)
        return str(folder)

    return make


def targets(found, folder):
    return {
        job.name: [target.relative_to(folder).as_posix() for target in job.targets]
        for job in found
    }


def test_names_and_folders_are_kept(photos, tmp_path, capsys):
    folder, out = photos("a.jpg", "deep/er/b.png", "deep/c.tif"), tmp_path / "out"
    (tmp_path / "in" / "notes.txt").write_text("x")
    found = jobs(folder, str(out))
    assert targets(found, out) == {
        "a.jpg": ["a.png"],
        "deep/c.tif": ["deep/c.png"],
        "deep/er/b.png": ["deep/er/b.png"],
    }
    assert found[0].source == tmp_path / "in" / "a.jpg"
    assert "not read: 1 .txt" in capsys.readouterr().err
    assert not out.exists()


def test_variants_and_formats(photos, tmp_path):
    found = jobs(photos("s/a.jpg"), str(tmp_path / "out"), n=2, ending=".webp")
    assert targets(found, tmp_path / "out") == {"s/a.jpg": ["s/a_1.webp", "s/a_2.webp"]}


def test_pictures_that_differ_in_their_endings_alone(photos, tmp_path):
    found = jobs(photos("a.jpg", "A.png", "b.jpg"), str(tmp_path / "out"))
    assert targets(found, tmp_path / "out") == {
        "A.png": ["A.png.png"],
        "a.jpg": ["a.jpg.png"],
        "b.jpg": ["b.png"],
    }


def test_a_single_picture(photos, tmp_path):
    photos("a.jpg")
    source = str(tmp_path / "in" / "a.jpg")
    for out, wanted in (("y.webp", "y.webp"), ("out", "out/a.png"), ("in/", None)):
        (job,) = jobs(source, f"{tmp_path}/{out}")
        assert job.name == "a.jpg" and job.source == tmp_path / "in" / "a.jpg"
        assert job.targets == (tmp_path / (wanted or "in/a.png"),)
    (job,) = jobs(source, f"{tmp_path}/y.jpg", n=2)
    assert [x.name for x in job.targets] == ["y_1.jpg", "y_2.jpg"]
    with pytest.raises(ValueError, match=r"y.tif: wanted a folder, or a file that"):
        jobs(source, f"{tmp_path}/y.tif")
    with pytest.raises(FileExistsError, match="choose another --out"):
        jobs(source, source)


def test_results_never_lie_among_the_pictures(photos, tmp_path):
    folder = photos("a.jpg", "s/b.jpg")
    (tmp_path / "link").symlink_to(folder)
    for out in ("in", "in/", "in/out", "link", "link/out"):
        with pytest.raises(FileExistsError, match="results would be among"):
            jobs(folder, f"{tmp_path}/{out}")
    with pytest.raises(FileExistsError, match="results would be among"):
        jobs(f"{folder}/s", folder + "/s")
    assert jobs(f"{folder}/s", folder)  # in/b.png is not in in/s


def test_two_pictures_are_never_one_file(photos, tmp_path):
    folder = photos("x.jpg", "x.png", "x.jpg.gif")
    with pytest.raises(ValueError, match=r"would both become .*x\.jpg\.png"):
        jobs(folder, str(tmp_path / "out"))


def test_what_is_not_there(photos, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        jobs(str(tmp_path / "in"), str(tmp_path / "out"))
    folder = photos("a.jpg")
    (tmp_path / "in" / "a.jpg").rename(tmp_path / "in" / "a.txt")
    with pytest.raises(FileNotFoundError, match="holds no pictures, only 1 .txt"):
        jobs(folder, str(tmp_path / "out"))
    with pytest.raises(ValueError, match="--input is a folder, so this must be one"):
        jobs(folder and photos("b.jpg"), str(tmp_path / "y.png"))


def test_masks(photos, tmp_path):
    found = jobs(photos("a.jpg", "s/b.jpg"), str(tmp_path / "out"))
    folder = tmp_path / "masks"
    (folder / "s").mkdir(parents=True)
    for name in ("a.png", "s/b.gif"):
        Image.new("L", (2, 2)).save(folder / name)
    wanted = [folder / "a.png", folder / "s" / "b.gif"]
    assert [job.mask for job in masked(found, str(folder))] == wanted
    one = str(folder / "a.png")
    assert [str(job.mask) for job in masked(found, one)] == [one, one]
    (folder / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match="masks has no mask of a.jpg"):
        masked(found, str(folder))
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        masked(found, one)
