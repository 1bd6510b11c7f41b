"""Weights: which file is taken, how it comes, and what is said where it cannot."""

import contextlib
import hashlib
import http.server
import os
import threading

import pytest

from experiments.evaluation import pretrained
from experiments.evaluation.pretrained import Weights, find

CONTENT = b"weights" * 50_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GANS_TOY", raising=False)
    return tmp_path / "cache" / "jax-gans" / "weights"


def toy(url=None, sha256=SHA256[:8]):
    return Weights("toy", "--toy-weights", "GANS_TOY", "a toy", sha256, url)


@contextlib.contextmanager
def server(answer):
    """A server on this machine; yields an address whose answer is `answer(handler)`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/files/toy.pth"
        finally:
            running.shutdown()
            thread.join()


def sends(content, length):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def missing(handler):
    handler.send_error(404)


def nonsense(handler):
    handler.wfile.write(b"neither HTTP nor anything\r\n\r\n")


def test_the_flag_goes_before_the_variable_before_the_cache(
    tmp_path, folder, monkeypatch
):
    by_flag, by_variable = tmp_path / "flag", tmp_path / "variable"
    kept = toy("file:///nowhere/toy.pth").kept
    assert kept == folder / "toy.pth"
    folder.mkdir(parents=True)
    for path in (by_flag, by_variable, kept):
        path.write_bytes(CONTENT)
    assert find(toy("file:///nowhere/toy.pth")) == kept
    monkeypatch.setenv("GANS_TOY", str(by_variable))
    assert find(toy()) == by_variable
    assert find(toy(), by_flag) == by_flag
    assert find(toy(), "") == by_variable  # a flag that was not given


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.pth").touch()
    assert find(toy(), "~/a.pth") == tmp_path / "a.pth"


def test_a_missing_file_is_named_with_its_place(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"^--toy-weights=/no/x: .*a toy"):
        find(toy(), "/no/x")
    with pytest.raises(FileNotFoundError, match=r"^--toy-weights=.*no such file"):
        find(toy(), tmp_path)  # a folder
    # It is not passed over for another place.
    monkeypatch.setenv("GANS_TOY", "/no/y")
    toy().kept.parent.mkdir(parents=True)
    toy().kept.write_bytes(CONTENT)
    with pytest.raises(FileNotFoundError, match=r"^\$GANS_TOY=/no/y: .*a toy"):
        find(toy())


def test_it_is_downloaded_once(folder):
    with server(sends(CONTENT, len(CONTENT))) as url:
        path = find(toy(url))
    assert path.read_bytes() == CONTENT
    assert os.listdir(folder) == ["toy.pth"]
    assert find(toy(url)) == path  # although nobody answers any more


def test_without_a_length(folder):
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT)

    with server(answer) as url:
        assert find(toy(url)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answer, problem",
    [
        (sends(CONTENT[:-1] + b"x", len(CONTENT)), rf"sha256 \w*, not {SHA256[:8]}"),
        (sends(CONTENT[:99], len(CONTENT)), "broke after 99 of 350000 bytes"),
        (sends(b"", len(CONTENT)), "broke after 0 of 350000 bytes"),
        (missing, "Not Found"),
        (nonsense, "neither HTTP"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_what_to_do(folder, answer, problem):
    with server(answer) as url, pytest.raises(FileNotFoundError) as caught:
        find(toy(url))
    assert os.listdir(folder) == []
    caught.match(problem)
    _says_what_to_do(str(caught.value), url)


def _says_what_to_do(message, url):
    for part in (
        f"the weights of toy could not be downloaded from {url} (",
        "Wanted: a toy.",
        "Name a copy by --toy-weights=PATH or $GANS_TOY",
        f"or put it at {toy(url).kept}",
        "`random` needs no file and no labels",
    ):
        assert part in message
    assert "\n" not in message


def test_offline():
    # Port 9 of this machine: nobody listens there.
    url = "http://127.0.0.1:9/toy.pth"
    with pytest.raises(FileNotFoundError, match="refused") as caught:
        find(toy(url))
    _says_what_to_do(str(caught.value), url)


def test_what_is_said_is_done(folder):
    with pytest.raises(FileNotFoundError):
        find(toy("http://127.0.0.1:9/toy.pth"))
    folder.joinpath("toy.pth").write_bytes(CONTENT)
    assert find(toy("http://127.0.0.1:9/toy.pth")) == folder / "toy.pth"


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(FileNotFoundError, match="Not a directory.*Name a copy by"):
        find(toy("file:///nowhere"))


def test_what_cannot_be_downloaded_has_to_be_named():
    with pytest.raises(FileNotFoundError, match="^the weights of toy were not named"):
        find(toy())


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_bar_is_for_terminals(terminal, tmp_path, monkeypatch, capsys):
    (tmp_path / "toy.pth").write_bytes(CONTENT)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    find(toy((tmp_path / "toy.pth").as_uri()))
    shown = capsys.readouterr().err
    assert ("toy.pth: 100%" in shown and "350k/350k" in shown) == terminal
    assert bool(shown) == terminal


def test_the_weights_there_are():
    assert pretrained.INCEPTION.kept.name == "pt_inception-2015-12-05-6726825d.pth"
    assert pretrained.INCEPTION.sha256 == "6726825d"
    assert pretrained.INCEPTION.url.endswith(pretrained.INCEPTION.kept.name)
    assert pretrained.SQUEEZENET.url is None


def test_checksum(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    assert pretrained.checksum(tmp_path / "a") == SHA256
