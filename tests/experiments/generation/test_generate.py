"""Samples by the million: whole shards, and the same ones after any death."""

import errno
import functools
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import experiments
from experiments import config as configs
from experiments.files import replacing
from experiments.generation import generate as module
from experiments.generation import shards
from experiments.generation.generate import generate
from experiments.origin import files as origins
from experiments.rundir.checkpoint import Checkpoints
from gans import core
from gans.data.kinds.image import encode


@pytest.fixture(scope="module")
def workdir(tiny, tmp_path_factory):
    """An untrained model of classes, of dense layers."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny("cgan", "digits")
    for player in ("generator", "discriminator"):
        config[player] = {
            "network": "mlp",
            "widths": (8,),
            "condition": "concat",
            "optimizer": config[player].optimizer,
        }
    with config.unlocked(), config.ignore_type():
        config.spec.label.names = ("cat", "dog", "cow")
    (folder / "config.json").write_text(configs.to_json(config))
    state = jax.jit(functools.partial(core.init, configs.build(config)))(
        jax.random.key(0)
    )
    checkpoints = Checkpoints(folder, keep=None)
    checkpoints.save(7, state.replace(step=np.int32(7)), {})
    checkpoints.close()
    return folder


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def test_shards_of_pictures(workdir, tmp_path):
    out = tmp_path / "out"
    assert generate(workdir, out, n=20, seed=3, shard_size=8, batch_size=4) == 0
    lines = [json.loads(x) for x in (out / "manifest.jsonl").read_text().splitlines()]
    assert [x["index"] for x in lines] == [*range(20)]
    assert [x["class"] for x in lines[:4]] == ["cat", "dog", "cow", "cat"]
    assert lines[9]["file"] == "00001/000000009.png" and lines[9]["seed"] == 3
    images = experiments.load(workdir).sample(20, seed=3, batch_size=4)["image"]
    for line, image in zip(lines, images, strict=True):
        path = out / line["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == line["sha256"]
        np.testing.assert_array_equal(
            np.asarray(Image.open(path)), encode(image)[..., 0]
        )
    known = origins.read(out / lines[9]["file"])
    assert (known["seed"], known["index"], known["step"]) == ("3", "9", "7")
    # As tar files: the same bytes in each, and of its own a constant.
    for i in (1, 2):
        again = tmp_path / f"tar{i}"
        generate(workdir, again, n=20, seed=3, shard_size=8, batch_size=4, form="tar")
    assert content(tmp_path / "tar1") == content(tmp_path / "tar2")
    with tarfile.open(tmp_path / "tar1/00001.tar") as tar:
        member = tar.getmember("000000009.png")
        assert tar.extractfile(member).read() == (out / lines[9]["file"]).read_bytes()
        assert member.mtime == 0 and len(tar.getnames()) == 8


class Dead(BaseException):
    """Ends a call where it is, as kill -9 does."""


def test_what_is_left_by_a_death_is_finished(workdir, tmp_path, monkeypatch):
    options = {"n": 12, "shard_size": 4, "batch_size": 4}
    for form, moments in (("files", (6,)), ("tar", (1, 9))):
        options["form"] = form
        generate(workdir, tmp_path / f"whole_{form}", **options)
        wanted = content(tmp_path / f"whole_{form}")
        for deadly in moments:
            out, count = tmp_path / f"{form}{deadly}", 0
            kind = shards.FORMS[form]

            def add(self, name, given, add=kind.add, deadly=deadly):
                nonlocal count
                count += 1
                if count == deadly:
                    left = self._folder if form == "files" else out  # noqa: B023
                    (left / f".{2**22 + 1}-0123abcd.tmp").write_bytes(b"half")
                    raise Dead
                return add(self, name, given)

            with monkeypatch.context() as patch:
                patch.setattr(kind, "add", add)
                with pytest.raises(Dead):
                    generate(workdir, out, **options)
            assert not (out / "manifest.jsonl").exists()
            assert generate(workdir, out, **options) == 0
            assert content(out) == wanted


def test_processes_make_different_shards(workdir, tmp_path, capsys):
    options = {"n": 12, "shard_size": 4, "batch_size": 4}
    out = tmp_path / "out"
    generate(workdir, tmp_path / "whole", **options)
    code = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'ab');"
        "fcntl.lockf(file, fcntl.LOCK_EX, 1, 1); print(flush=True); time.sleep(600)"
    )
    out.mkdir()
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(out / ".shards.lock")], stdout=subprocess.PIPE
    )
    try:
        other.stdout.readline()
        assert generate(workdir, out, **options) == 1  # the other has shard 1
        assert "1 shards are being made by other" in capsys.readouterr().err
        assert not (out / "00001").exists()
    finally:
        other.kill()
        other.wait()
    assert generate(workdir, out, **options) == 0
    assert "3 shards; 2 were there already" in capsys.readouterr().err
    assert content(out) == content(tmp_path / "whole")


def test_a_full_disk(workdir, tmp_path, monkeypatch):
    options = {"n": 12, "shard_size": 4, "batch_size": 4}
    written, out = [], tmp_path / "out"

    def full(path):
        written.append(path)
        if len(written) == 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return replacing(path)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "replacing", full)
        with pytest.raises(OSError, match="1 of 3 shards are finished, and the same"):
            generate(workdir, out, **options)
    assert not [*out.rglob("*.tmp")]
    generate(workdir, tmp_path / "whole", **options)
    generate(workdir, out, **options)
    assert content(out) == content(tmp_path / "whole")


def test_arrays_of_outputs_without_pictures(untrained, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    untrained("series", run)
    generate(run, out, output="score", n=10, shard_size=6, batch_size=4)
    with np.load(out / "00001/000000006.npz") as arrays:
        assert arrays["index"].tolist() == [6, 7, 8, 9]
        found = experiments.load(run).sample(10, output="score", batch_size=4)
        np.testing.assert_array_equal(arrays["score"], found["score"][6:])
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[7])
    assert (line["row"], line["index"]) == (1, 7)
    with pytest.raises(ValueError, match="depends on the 40 examples of the data"):
        generate(run, tmp_path / "b", output="score", n=50)
    with pytest.raises(ValueError, match="without single pictures"):
        generate(run, tmp_path / "b", output="score", what="pictures")
    assert not (tmp_path / "b").exists()


def test_what_is_refused(workdir, tmp_path):
    generate(workdir, tmp_path / "out", n=2)
    with pytest.raises(FileExistsError, match="its shards have n 2, not 3"):
        generate(workdir, tmp_path / "out", n=3)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/notes.txt").write_text("x")
    with pytest.raises(FileExistsError, match="this folder holds something else"):
        generate(workdir, tmp_path / "own", n=3)
    for wrong, message in (
        ({}, "--n is missing"),
        ({"n": 0}, "--n=0: wanted 1 to"),
        ({"n": 3, "shard_size": 0}, "--shard_size=0: wanted at least 1"),
        ({"n": 3, "form": "zip"}, "--form: 'zip' is not one of files, tar"),
        ({"n": 3, "label": "horse"}, "horse"),
        ({"n": 3, "truncation": 0.5}, "has no mapping network"),
    ):
        with pytest.raises(ValueError, match=message):
            generate(workdir, tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
    assert module.ARRAYS == "npz"


@pytest.mark.slow
def test_kill_at_ten_random_moments(workdir, tmp_path):
    options = ["--n=12000", "--shard_size=600", "--batch_size=50", "--form=tar"]
    command = [sys.executable, "-m", "experiments.generate", f"--workdir={workdir}"]
    command += options
    whole, out = tmp_path / "whole", tmp_path / "out"
    began = time.time()
    subprocess.run([*command, f"--out={whole}"], check=True)
    ends = sorted(path.stat().st_mtime for path in whole.glob("0*.jsonl"))
    to_start, each = ends[0] - began, (ends[-1] - ends[0]) / (len(ends) - 1)
    drawn = random.Random(0)
    for attempt in range(10):
        process = subprocess.Popen([*command, f"--out={out}"])
        # Half of them before a shard is there, the others while shards are written: of
        # each fewer than two, so that work is left for the last.
        if attempt % 2:
            while process.poll() is None and not [*out.glob(".*.tmp")]:
                time.sleep(0.005)
            time.sleep(drawn.uniform(0, 1.8 * each))
        else:
            time.sleep(drawn.uniform(0, 0.9 * to_start))
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (out / "manifest.jsonl").exists()
    subprocess.run([*command, f"--out={out}"], check=True)
    assert content(out) == content(whole)
