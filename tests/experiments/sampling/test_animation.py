"""Animations as MP4: what ffmpeg is given, and what is said where it fails."""

import os
import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest

from experiments.sampling import animation

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 15, 20, 3), np.uint8)


def program(folder, body):
    """Puts a program called ffmpeg into a folder, alone on the PATH."""
    path = folder / "ffmpeg"
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(folder)


COPY = """
given = sys.stdin.buffer.read()
with open(sys.argv[-1], "wb") as file:
    file.write(b"    ftyp" + repr(sys.argv[1:-1]).encode() + b"|" + given)
"""


def test_frames_go_to_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", program(tmp_path, COPY))
    path = tmp_path / "x.mp4"
    animation.check(path)
    assert animation.save(path, iter(FRAMES), fps=10, hold=250) == 3
    told, _, pixels = path.read_bytes().partition(b"|")
    # Odd heights get a row more; 250 ms at 10 frames a second are 2 frames.
    found = np.frombuffer(pixels, np.uint8).reshape(-1, 16, 20, 3)
    np.testing.assert_array_equal(found[:3, :15], FRAMES)
    np.testing.assert_array_equal(found[:, 15], found[:, 14])
    assert len(found) == 4 and (found[3] == found[2]).all()
    assert b"'20x16'" in told and b"'10'" in told
    assert animation.is_ours(path)
    path.write_bytes(b"    ftyp of another program")
    assert not animation.is_ours(path)
    grey = FRAMES[..., :1]
    animation.save(path, iter(grey))
    pixels = path.read_bytes().partition(b"|")[2]
    found = np.frombuffer(pixels, np.uint8).reshape(-1, 16, 20, 3)
    np.testing.assert_array_equal(found[:, :15], grey.repeat(3, 3))


def test_without_ffmpeg_and_where_it_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "x.mp4"
    with pytest.raises(ValueError, match="x.mp4: MP4 needs the program ffmpeg, which"):
        animation.check(path)
    animation.check(tmp_path / "x.webp")
    fails = 'sys.stderr.write("a line\\nUnknown encoder\\n"); sys.exit(1)'
    monkeypatch.setenv("PATH", program(tmp_path, fails))
    many = np.zeros((40, 256, 256, 3), np.uint8)  # more than a pipe holds
    for frames in (FRAMES, many):
        with pytest.raises(ValueError, match="ffmpeg: Unknown encoder"):
            animation.save(path, iter(frames))
    assert sorted(os.listdir(tmp_path)) == ["ffmpeg"]
    with pytest.raises(ValueError, match="x.mp4: there are no frames"):
        animation.save(path, iter([]))


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_ffmpeg_itself(tmp_path):
    path = tmp_path / "x.mp4"
    flat = np.arange(0, 240, 10, dtype=np.uint8)[:, None, None, None]
    frames = np.broadcast_to(flat, (24, 32, 48, 3))
    assert animation.save(path, iter(frames), fps=12) == 24
    assert animation.is_ours(path)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    read = ["ffmpeg", "-loglevel", "error", "-i", str(path), *raw]
    out = subprocess.run(read, stdout=subprocess.PIPE, check=True).stdout
    found = np.frombuffer(out, np.uint8).reshape(24, 32, 48, 3)
    np.testing.assert_allclose(found.astype(int), frames, atol=4)
