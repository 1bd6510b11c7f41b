"""Points of W by seed and by file."""

import dataclasses
import re

import numpy as np
import pytest

from experiments.latent_space import points
from experiments.latent_space.points import Point, read


def test_seeds_have_always_the_same_class(styled):
    found = read("3, 12-14", styled)
    names = ["seed 3 (3)", "seed 12 (2)", "seed 13 (3)", "seed 14 (4)"]
    assert [x.name for x in found] == names
    (alone,) = read("13", styled)
    np.testing.assert_allclose(alone.ws, found[2].ws, atol=1e-6)
    np.testing.assert_allclose(alone.ws, styled.ws(13, 1, 3)[0], atol=1e-6)


def test_classes_in_turn_and_truncation(styled):
    found = read("1-3", styled, label="7,0", truncation=0.5)
    assert [x.name for x in found] == ["seed 1 (7)", "seed 2 (0)", "seed 3 (7)"]
    wanted = styled.truncated(styled.ws(2, 1, 0), 0.5)[0]
    np.testing.assert_allclose(found[1].ws, wanted, atol=1e-6)


def test_files_keep_their_noise_and_are_not_truncated(styled, tmp_path, capsys):
    ws = np.arange(18.0).reshape(3, 6).astype(np.float32)
    noise = {name: np.full(x.shape, 2.0) for name, x in styled.noise.items()}
    known = {"after": 0.5, "weights": "others"}
    points.save(tmp_path / "me.npz", Point("me", ws, noise), known)
    points.save(tmp_path / "plain.npz", Point("plain", ws))
    me, seed, plain = read(
        f"{tmp_path}/me.npz,4,{tmp_path}/plain.npz", styled, truncation=0.0
    )
    assert (me.name, seed.name, plain.name) == ("me", "seed 4 (4)", "plain")
    np.testing.assert_array_equal(me.ws, ws)
    np.testing.assert_array_equal(me.noise["plane1"], noise["plane1"])
    assert plain.noise == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ") and "me.npz was made with other weigh" in line
    np.testing.assert_allclose(seed.ws[0], styled.w_avg)


def test_what_is_no_point(styled, tmp_path):
    wrong, other = tmp_path / "wrong.npz", tmp_path / "other.npz"
    wrong.write_text("no")
    points.save(other, Point("x", np.zeros((4, 6))))
    for text, error in (
        ("x", "--rows=x: wanted a number, 0,1,2 or 0-15"),
        (f"{tmp_path}/missing.npz", "missing.npz: there is no such file"),
        (f"{wrong}", "wrong.npz: not a file that experiments.latents project has"),
        (f"{other}", r"other.npz: its ws are \[4, 6\], .* are \[3, 6\]"),
    ):
        with pytest.raises((ValueError, OSError), match=error):
            read(text, styled, flag="--rows")
    noise = {"plane0": np.zeros((2, 2))}
    points.save(other, dataclasses.replace(read("0", styled)[0], noise=noise))
    with pytest.raises(ValueError, match="its noise is not of this generator"):
        read(str(other), styled)
    with pytest.raises(ValueError, match="class 'cat': the classes are"):
        read("0", styled, label="cat")
    with pytest.raises(FileExistsError, match=re.escape(f"--out={wrong}: this file")):
        points.check_old(wrong, "directions")
