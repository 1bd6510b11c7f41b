"""Requests that no well-meaning client sends: each gets its status, in one line."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

URL, UPLOAD = "/v1/models/digits/sample", "/v1/models/cycle/a_to_b"
JSON = "application/json"


def png(width=8, height=8, body=None, extra=b""):
    """A PNG whose header may lie."""

    def chunk(name, content):
        length = struct.pack(">I", len(content))
        return length + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    if body is None:
        body = zlib.compress(bytes((3 * min(width, 64) + 1) * min(height, 64)))
    chunks = chunk(b"IHDR", head) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def saved(form, size=(8, 8), **options):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, form, **options)
    return file.getvalue()


def animated():
    frames = [Image.fromarray(np.full((8, 8, 3), x, np.uint8)) for x in (0, 255)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    return file.getvalue()


def text_bomb():
    content = b"a\0\0" + zlib.compress(bytes(80 * 2**20), 9)
    length, name = struct.pack(">I", len(content)), b"zTXt"
    return length + name + content + struct.pack(">I", zlib.crc32(name + content))


VALUES = {
    # of n
    '{"n": 1000000000}': "n: 1000000000 samples are asked for; accepted are 1 to 12",
    '{"n": 13}': "n: 13 samples",
    '{"n": 0}': "n: got 0; wanted a whole number",
    '{"n": -1}': "n: got -1",
    '{"n": 1e3}': "n: got 1000.0",
    '{"n": 1.5}': "n: got 1.5",
    '{"n": "3"}': "n: got '3'",
    '{"n": true}': "n: got True",
    '{"n": [1]}': "n: got",
    '{"n": {}}': "n: got",
    f'{{"n": {"9" * 400}}}': "n: ",
    # of seeds
    '{"seed": "3"}': "seed: got '3'; wanted a whole number from 0",
    '{"seed": true}': "seed: got True",
    '{"seed": -1}': "seed: got -1",
    '{"seed": 4294967296}': "seed: got 4294967296",
    '{"seed": 0.5}': "seed: got 0.5",
    '{"seed": null}': "seed: got None",
    '{"seed": []}': "seed: got []",
    '{"seed": [1, "2"]}': "seed: got",
    '{"seed": [1, 2], "n": 7}': "n: 14 samples",
    f'{{"seed": {[1] * 1000}}}': "n: 1000 samples",
    # of classes
    '{"class": 3}': "class 3: the classes are 0 to 2",
    '{"class": -1}': "class: got -1",
    '{"class": "dog"}': "class 'dog'",
    '{"class": true}': "class: got True",
    '{"class": 1.0}': "class: got 1.0",
    '{"class": ["0", null]}': "class: got",
    f'{{"class": "{"x" * 300}"}}': "class: got",
    '{"class": 99999999999999999999999}': "class",
    '{"class": []}': "class: ",
    # of latents
    '{"latents": [[1, 2]]}': "latents: got lengths [2]; wanted 5",
    '{"latents": [[1, 2, 3, 4, 5], [1]]}': "latents: got lengths",
    '{"latents": [[NaN, 0, 0, 0, 0]]}': "latents: ",
    '{"latents": [[Infinity, 0, 0, 0, 0]]}': "latents: ",
    '{"latents": [[1e39, 0, 0, 0, 0]]}': "latents: some are too large",
    '{"latents": [["1", 0, 0, 0, 0]]}': "latents: got",
    '{"latents": [[true, 0, 0, 0, 0]]}': "latents: got",
    '{"latents": [1, 2, 3, 4, 5]}': "latents: got",
    '{"latents": []}': "n: 0 samples",
    '{"latents": [[1,2,3,4,5]], "n": 2}': "n: got 2, and 1 latents",
    '{"latents": [[1,2,3,4,5]], "seed": [1, 2]}': "seed: latents take one",
    # of the rest
    '{"truncation": 0.5}': "truncation 0.5: cgan has no mapping network",
    '{"truncation": NaN}': "truncation: ",
    '{"truncation": "0.5"}': "truncation: got '0.5'",
    '{"given": {"image": [[1]]}}': "given: ",
    '{"given": {"image": [["a"]]}}': "given: ",
    '{"given": {}}': "n: 0 samples",
    '{"given": {"image": [[1], [1, 2]]}}': "given: ",
    '{"text": "a cat"}': "is made of no sentences, but of",
    '{"text": 1}': "text: got 1",
    '{"format": "gif"}': "format: got 'gif'; wanted png",
    '{"format": "../../etc/passwd"}': "format: got",
    '{"seeds": 1}': "'seeds' is not known; accepted are n, seed, class",
    '{"__class__": 1}': "'__class__' is not known",
    '{"n": 1, "n": 99}': "n: 99 samples",
    "[]": "the body is not a JSON object",
    "3": "the body is not a JSON object",
    "null": "the body is not a JSON object",
}

BODIES = [
    ("not JSON", b"{n: 1}", 400),
    ("cut off", b'{"n": 1', 400),
    ("two values", b"{} {}", 400),
    ("no UTF-8", b'{"class": "\xff\xfe"}', 400),
    ("half a surrogate", b'{"class": "\\ud800"}', 400),
    ("a NUL", b'{"n": 1}\0', 400),
    ("deep lists", b"[" * 100_000, 400),
    ("deep objects", b'{"given":' * 50_000, 400),
    ("deep given", b'{"given": {"image": ' + b"[" * 150 + b"]" * 150 + b"}}", 422),
    ("too large", b'{"text": "' + b"x" * 2**20 + b'"}', 413),
    ("a long text", b'{"text": "' + b"x" * 2000 + b'"}', 422),
    ("many keys", b"{" + b",".join(b'"k%d": 1' % i for i in range(9999)) + b"}", 422),
    ("a refused class", b'{"class": 2}', 403),
    ("a refused class by name", b'{"class": ["1", "2"]}', 403),
    ("refused words", b'{"text": "a FORBIDDEN  fruit"}', 403),
]

PICTURES = [
    ("nothing", b"", 422),
    ("no picture", b"GIF89a" + bytes(99), 422),
    ("half a picture", saved("PNG", (64, 64))[:70], 422),
    ("half a JPEG", saved("JPEG", (64, 64))[:150], 422),
    ("another format", saved("BMP"), 422),
    ("a script", b"%!PS-Adobe-3.0 EPSF-3.0\n", 422),
    ("a bomb", png(50_000, 50_000), 413),
    ("a wide one", png(2**31 - 1, 1), 413),
    ("just too large", saved("PNG", (65, 64)), 413),
    ("a lie about its sides", png(64, 64, zlib.compress(b"short")), 422),
    ("more than it says", png(8, 8, zlib.compress(bytes(2**22))), 200),
    ("a compressed text", png(extra=text_bomb()), 413),
    ("no sides", png(0, 0), 422),
    ("several frames", animated(), 422),
    ("too large a file", saved("PNG") + bytes(2**16), 413),
    ("a large JPEG", saved("JPEG", (4000, 3000)), 413),
]

PATHS = [
    ("GET", "/v1/models/digits/sample", 405),
    ("DELETE", "/v1/models", 405),
    ("POST", "/v1/models/nothing/sample", 404),
    ("POST", "/v1/models/digits/nothing", 404),
    ("POST", "/v1/models/../../etc/passwd", 404),
    ("POST", "/v1/models/digits/../sample", 404),
    ("POST", "/v1/models/%2e%2e/sample", 404),
    ("POST", "/v1/models/digits\0/sample", 404),
    ("POST", "/v1/models/digits/__call__", 404),
    ("POST", "/v1/models//sample", 404),
    ("POST", "/v1/models/digits/sample/", 404),
    ("GET", "/etc/passwd", 404),
    ("GET", "/static/../../../etc/passwd", 404),
    ("GET", "//", 404),
    ("GET", "/metrics/../config.json", 404),
    ("GET", "/" + "a" * 3000, 414),
]


def checked(service, answer, status):
    """An error is a line of JSON, says nothing of the inside, and costs nobody else."""
    assert answer.status == status, answer.body[:300]
    if status != 200:
        assert "\n" not in answer.error and len(answer.error) < 400
        for inside in ("Traceback", "site-packages", "/tmp", ".py"):
            assert inside not in answer.error
    good = service.ask("POST", URL, {"seed": 1})
    assert good.status == 200 and good.body.startswith(b"\x89PNG")
    return answer


@pytest.mark.parametrize("body", VALUES, ids=lambda body: body[:40])
def test_values(service, body):
    answer = checked(service, service.ask("POST", URL, body.encode()), 422)
    assert VALUES[body] in answer.error


@pytest.mark.parametrize(
    "body, status", [x[1:] for x in BODIES], ids=[x[0] for x in BODIES]
)
def test_bodies(service, body, status):
    checked(service, service.ask("POST", URL, body), status)


@pytest.mark.parametrize(
    "body, status", [x[1:] for x in PICTURES], ids=[x[0] for x in PICTURES]
)
def test_pictures(service, body, status):
    checked(service, service.ask("POST", UPLOAD, body, kind="image/png"), status)


@pytest.mark.parametrize("method, path, status", PATHS, ids=lambda x: str(x)[:40])
def test_paths(service, method, path, status):
    checked(service, service.ask(method, path, {}), status)


@pytest.mark.parametrize(
    "given, status",
    [
        ({"kind": "text/plain"}, 415),
        ({"kind": ""}, 415),
        ({"kind": "multipart/form-data; boundary=x"}, 415),
        ({"kind": "image/png"}, 415),
        ({"kind": "application/json; charset=utf-8"}, 200),
        ({"headers": [(b"x-flood", b"x" * 17_000)]}, 431),
        ({"headers": [(b"x-%d" % i, b"x") for i in range(6000)]}, 431),
        ({"headers": [(b"content-length", b"99999999999")]}, 413),
        ({"headers": [(b"content-length", b"-1")]}, 400),
        ({"headers": [(b"content-length", b"1e3")]}, 400),
        ({"parts": [b'{"n"', None]}, 408),  # the rest never comes
        ({"parts": [b"{", b'"n": ', b"1}"]}, 200),
        ({"parts": [b" " * 2**19] * 3}, 413),  # without a length
    ],
    ids=str,
)
def test_requests(service, given, status):
    given = {"body": b"{}", **given}
    checked(service, service.ask("POST", URL, **given), status)


@pytest.mark.parametrize(
    "query, status",
    [
        (b"seed=3", 200),
        (b"seed=x", 422),
        (b"seed=-1", 422),
        (b"seed=1.5", 422),
        (b"format=exe", 422),
        (b"path=/etc/passwd", 422),
        (b"seed=\xff", 400),
        (b"&".join([b"a=1"] * 99), 400),
        (b"seed=" + b"1" * 3000, 414),
    ],
    ids=lambda x: str(x)[:30],
)
def test_queries(service, query, status):
    body = saved("PNG")
    answer = service.ask("POST", UPLOAD, body, kind="image/png", query=query)
    checked(service, answer, status)


def test_nothing_is_written(service, tmp_path, monkeypatch):
    """Not in the folder of the run, nor where the service was started."""
    monkeypatch.chdir(tmp_path)
    folder = service.models["digits"].workdir
    before = {(x, x.stat().st_mtime_ns) for x in folder.rglob("*")}
    service.ask("POST", URL, {"n": 5, "format": "npz"})
    service.ask("POST", UPLOAD, saved("PNG"), kind="image/png")
    service.ask("POST", UPLOAD, png(50_000, 50_000), kind="image/png")
    service.ask("POST", "/v1/models/../../x", {})
    assert {(x, x.stat().st_mtime_ns) for x in folder.rglob("*")} == before
    assert not list(tmp_path.iterdir())


def test_a_key_and_a_host(service):
    """Without the key nothing is told; a page of another site cannot reach it."""
    from experiments.service import app
    from experiments.service.limits import LOOPBACK, Guard

    from .conftest import ask

    inner = service.routes._app
    metrics = service.service.metrics
    guard = Guard(inner, service.limits, metrics, "k" * 16, LOOPBACK, app.routes)

    def status(method, path, *headers):
        return service.run(ask(guard, method, path, {}, headers=headers)).status

    key = (b"authorization", b"Bearer " + b"k" * 16)
    for path in ("/v1/models", "/metrics"):
        assert status("GET", path) == 401
        assert status("GET", path, (b"authorization", b"Bearer " + b"k" * 15)) == 401
        assert status("GET", path, (b"authorization", b"\xff")) == 401
        assert status("GET", path, key) == 200
    assert status("POST", URL) == 401 and status("POST", URL, key) == 200
    for path in ("/", "/docs", "/openapi.json", "/health", "/ready"):
        assert status("GET", path) == 200
    for host in (b"evil.example", b"localhost.evil.example:8000", b""):
        assert status("GET", "/ready", (b"host", host)) == 403
    for host in (b"127.0.0.1:8000", b"[::1]:8000", b"localhost"):
        assert status("GET", "/ready", (b"host", host)) == 200


def test_too_many_at_once(service):
    from experiments.service.asked import Limits
    from experiments.service.limits import Guard

    from .conftest import ask

    guard = Guard(service.routes._app, Limits(requests=0), service.service.metrics)
    answer = service.run(ask(guard, "GET", "/v1/models"))
    assert answer.status == 503 and answer.headers["retry-after"] == "1"
    assert service.run(ask(guard, "GET", "/health")).status == 200


def test_few_routes_are_measured(service):
    """Whatever is asked for: each value of a label is kept for ever."""
    for i in range(5):
        service.ask("GET", f"/nothing/{i}")
        service.ask("POST", f"/v1/models/nothing{i}/x", {})
    text = service.ask("GET", "/metrics").body.decode()
    assert "nothing" not in text and 'route="other"' in text


def test_the_table_is_long_enough():
    cases = len(VALUES) + len(BODIES) + len(PICTURES) + len(PATHS)
    assert cases >= 60 and json
