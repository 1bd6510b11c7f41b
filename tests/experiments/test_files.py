"""Files that several processes write."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.evaluation import score_flags
from experiments.files import Lines, check_json, drop_lines, remove_left, replacing

ROOT = Path(__file__).parents[2]
REPLACE = """
import sys
from experiments.files import replacing
path, number = sys.argv[1:]
for _ in range(100):
    with replacing(path) as temporary, open(temporary, "w") as file:
        file.write(number * 10_000)
"""
APPEND = """
import sys
from experiments.files import Lines
lines = Lines(sys.argv[1])
for i in range(200):
    lines.append({"step": int(sys.argv[2]), "i": i, "text": "x" * 5000})
"""


def _at_once(code, path):
    command = [sys.executable, "-c", code, path]
    made = [subprocess.Popen([*command, str(i)], cwd=ROOT) for i in (1, 2, 3)]
    assert [process.wait() for process in made] == [0, 0, 0]


def test_several_writers_of_one_file(tmp_path):
    path = tmp_path / "cache.npz"
    _at_once(REPLACE, path)
    assert path.read_text() in [f"{i}" * 10_000 for i in (1, 2, 3)]
    assert os.listdir(tmp_path) == ["cache.npz"]


def test_several_writers_of_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    _at_once(APPEND, path)
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for number in (1, 2, 3):
        assert [x["i"] for x in found if x["step"] == number] == [*range(200)]


def test_a_line_goes_to_the_file_that_is_there_now(tmp_path):
    """One process has the file open, another replaces it."""
    path = tmp_path / "evaluations.jsonl"
    lines = Lines(path)
    for step in (1, 2, 3):
        lines.append({"step": step})
    drop_lines(path, 2)
    lines.append({"step": 4})
    lines.close()
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 4}\n'


def test_what_killed_processes_have_left_is_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = [f".{os.getpid()}-0123abcd.tmp", ".1-x.tmp", "x.png", ".7.tmp"]
    for name in (f".{dead.pid}-0123abcd.tmp", *kept):
        (tmp_path / name).write_text("x")
    remove_left(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    remove_left(tmp_path / "none")


@pytest.mark.parametrize("name", ["x" * 255, "a?%", os.fsdecode(b"\xff")])
def test_any_name_can_be_replaced(tmp_path, name):
    with replacing(tmp_path / name) as temporary, open(temporary, "w") as file:
        file.write("x")
    assert os.listdir(tmp_path) == [name]


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "x"
    path.write_text("before")
    (tmp_path / ".1-abcd.tmp").write_text("of a killed process")
    with pytest.raises(KeyError), replacing(path) as temporary:
        with open(temporary, "w") as file:
            file.write("half")
        raise KeyError
    assert path.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == [".1-abcd.tmp", "x"]


@pytest.mark.parametrize("text", ["mine", "[]", '{"step": 1}', b"\xff\x00"])
def test_results_replace_results_only(tmp_path, text):
    """`--out=config.json` and `--out=photo.png` are slips."""
    path = tmp_path / "x.json"
    score_flags.check_file("--out", path)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for check in (score_flags.check_file, lambda *x: check_json(*x, "hardware")):
        with pytest.raises(FileExistsError, match="--out=.*x.json: this file holds"):
            check("--out", path)
    path.write_text('{"results": {}, "hardware": "cpu"}')
    score_flags.check_file("--out", path)
    check_json("--out", path, "hardware")


def test_statistics_replace_statistics_only(tmp_path):
    path = tmp_path / "x.npz"
    for arrays in ({"images": np.zeros(3)}, {"mu": np.zeros(3)}):
        np.savez(path, **arrays)
        with pytest.raises(FileExistsError, match="holds no statistics"):
            score_flags.check_file("--save-stats", path, ".npz")
    np.savez(path, mu=np.zeros(3), sigma=np.zeros((3, 3)), n=3)
    score_flags.check_file("--save-stats", path, ".npz")
