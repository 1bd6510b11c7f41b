"""Whose a folder is: kinds are told apart, and what is not ours is refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import rundir
from experiments.rundir import folder
from experiments.rundir.lock import Lock

ROOT = Path(__file__).parents[3]
CONFIG = {"variant": "gan", "data": "circle", "batch_size": 4, "steps": 10, "seed": 0}
CONFIG |= {"checkpoint_every": 5}


def holding(path, files):
    """Makes a folder of {name: text, bytes or a dict}; "NAME/" is empty."""
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            file.mkdir()
        elif isinstance(content, bytes):
            file.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            file.write_text(text)
    return path


def content(path):
    return {
        str(x.relative_to(path)): x.read_bytes() if x.is_file() else None
        for x in path.rglob("*")
    }


KINDS = {
    "run": [
        {"config.json": CONFIG},
        {"config.json": {**CONFIG, "critic": {}}, "report.html": "", "samples/": ""},
        {"checkpoints/10/checksums.json": {"d/0": 1}},
        {".jax-gans": {"kind": "run"}, "report.html": "x"},
    ],
    "ablation": [
        {"results.json": {"arms": {}, "baseline": "base", "protocol": {}}},
        {".jax-gans": {"kind": "ablation", "pid": 1}, "programs/a/": ""},
    ],
    "sweep": [
        {"sweep.json": {"objective": "eval/fid", "trials": []}},
        {".jax-gans": {"kind": "sweep"}, "sweep.db": b""},
    ],
}
EVERY = [(kind, i) for kind, found in KINDS.items() for i in range(len(found))]


@pytest.mark.parametrize("kind, i", EVERY)
def test_kinds_are_told_apart(tmp_path, kind, i):
    place = holding(tmp_path, KINDS[kind][i])
    assert folder.kind_of(place) == kind == folder.expect(place, kind)
    rundir.claim(place, kind)
    before = content(place)
    for other in KINDS.keys() - {kind}:
        with pytest.raises(ValueError) as caught:
            rundir.claim(place, other)
        said = f"workdir {place} holds {folder.KINDS[kind]}, not {folder.KINDS[other]}"
        assert str(caught.value) == f"{said}; choose another --workdir"
        with pytest.raises(ValueError):
            Lock(place, other)
        with pytest.raises(FileNotFoundError, match=f"holds {folder.KINDS[kind]}, not"):
            folder.expect(place, other)
    assert content(place) == before


def test_a_study_is_a_sweep(tmp_path):
    optuna = pytest.importorskip("optuna")
    place = tmp_path / "a?b%20#c"
    place.mkdir()
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'x.db'}")
    optuna.create_study(storage=storage)
    (tmp_path / "x.db").rename(place / "sweep.db")
    assert folder.kind_of(place) == "sweep"
    (place / "sweep.db").write_bytes(b"SQLite format 3\0 or not")
    assert folder.kind_of(place) is None


FOREIGN = [
    ({"config.json": {"model_type": "bert"}}, "config.json"),
    ({"config.json": "variant: gan"}, "config.json"),
    ({"metrics.jsonl": '{"step": 1}\n'}, "metrics.jsonl"),
    ({"report.html": "<html>"}, "report.html"),
    ({"samples/me.png": b"x", "src/a.py": ""}, "samples/"),
    ({"checkpoints/100/_METADATA": "{}"}, "checkpoints/"),
    ({"checkpoints/100/checksums.json": "[]"}, "checkpoints/"),
    ({"run.json": "{}", "trials/1.csv": "", "results.json": "{}"}, "results.json, run"),
    ({"events.out.tfevents.17.me": b"x"}, "events.out.tfevents.17.me"),
    ({"sweep.db": b"mine"}, "sweep.db"),
    ({"curves.png": b"mine"}, "curves.png"),
    ({".jax-gans": "mine", "run.json": "{}"}, "run.json"),
]


@pytest.mark.parametrize("files, named", FOREIGN)
@pytest.mark.parametrize("kind", folder.KINDS)
def test_what_is_not_ours_is_refused(tmp_path, files, named, kind):
    place = holding(tmp_path, files)
    before = content(place)
    with pytest.raises(folder.WorkdirError) as caught:
        Lock(place, kind)
    said = str(caught.value)
    assert f"overwritten: {named}" in said and "\n" not in said
    assert content(place) == before


@pytest.mark.parametrize("kind", folder.KINDS)
def test_unrelated_files_do_not_matter(tmp_path, kind):
    files = {"notes.txt": "x", ".git/HEAD": "x", ".DS_Store": b"x", "samples/": ""}
    place = holding(tmp_path, files)
    before = content(place)
    with Lock(place, kind):
        assert folder.kind_of(place) == kind
    assert content(place) == before  # nothing was written
    with Lock(place, kind):
        (place / "config.json").write_text("{}")
    assert folder.kind_of(place) == kind and before.items() < content(place).items()


@pytest.mark.parametrize(
    "name, said",
    [
        ("file", "file: this is not a folder"),
        ("file/below", "file is not a folder"),
        ("dangling", "dangling: this is not a folder"),
    ],
)
def test_no_folder_can_be_there(tmp_path, name, said):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(folder.WorkdirError, match=said):
        Lock(tmp_path / name, "run")


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    """By `os.access`, and, where that is wrong, by the attempt."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(folder.WorkdirError, match=f"{tmp_path} cannot be written to"):
        rundir.claim(tmp_path / "a/b", "run")
    monkeypatch.undo()
    lock = Lock(tmp_path / "a", "run")

    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(folder.WorkdirError, match="cannot write .*Permission denied"):
        lock.__enter__()


@pytest.mark.parametrize("name", ["photos", "photos/run", "photos/a/b"])
def test_a_workdir_among_the_training_images_is_refused(tmp_path, name):
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    for data in (f"folder:{tmp_path}/photos", f"folder:{tmp_path}/link"):
        with pytest.raises(folder.WorkdirError, match="would become training images"):
            rundir.claim(tmp_path / name, "run", data)
        rundir.claim(tmp_path / "photos-run", "run", data)
        rundir.claim(tmp_path, "run", data)
    rundir.claim(tmp_path / name, "run", "digits")


COMMANDS = {
    "run": ["run", "--config=configs/gan.py"],
    "ablation": ["ablate", "--config=configs/ablations/mode_collapse.py"],
    "sweep": ["sweep", "--config=configs/gan.py", "--space=latent=int(2, 4)"],
}
READERS = (["report"], ["sample"], ["evaluate"])


def command(name, *flags, workdir):
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", *flags, f"--workdir={workdir}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_commands_leave_other_folders_alone(tmp_path, kind):
    if kind == "sweep":
        pytest.importorskip("optuna")
    name, *flags = COMMANDS[kind]
    place = holding(tmp_path / "foreign", FOREIGN[0][0] | FOREIGN[4][0])
    before = content(place)
    code, said = command(name, *flags, workdir=place)
    assert code == 1 and "config.json, samples/" in said and said.count("\n") == 1
    for reader in READERS:
        code, said = command(*reader, workdir=place)
        assert code == 1 and "there" in said and said.count("\n") == 1
    assert content(place) == before
    for other in KINDS.keys() - {kind}:
        place = holding(tmp_path / other, KINDS[other][0])
        before = content(place)
        code, said = command(name, *flags, workdir=place)
        assert code == 1 and f"holds {folder.KINDS[other]}" in said
        if other != "run":
            for reader in READERS[1:]:
                code, said = command(*reader, workdir=place)
                assert code == 1 and f"holds {folder.KINDS[other]}, not a run" in said
        assert content(place) == before
        shutil.rmtree(place)
