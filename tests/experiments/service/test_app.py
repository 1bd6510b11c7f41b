"""What a service answers: the same samples as `sample`, in every format."""

import asyncio
import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from gans.data.kinds.image import encode

URL = "/v1/models/digits/sample"
TRANSLATED = "/v1/models/cycle/a_to_b"


def pixels(content):
    found = np.asarray(Image.open(io.BytesIO(content)))
    return found if found.ndim == 3 else found[..., None]


def arrays(answer):
    assert answer.status == 200, answer.body
    with np.load(io.BytesIO(answer.body)) as found:
        return dict(found)


def test_samples_equal_those_of_sample_bit_for_bit(service):
    model = service.models["digits"].model
    wanted = model.sample(9, seed=3, label=("1", 0), batch_size=4)
    asked = {"n": 9, "seed": 3, "class": ["1", 0], "format": "npz"}
    found = arrays(service.ask("POST", URL, asked))
    np.testing.assert_array_equal(found["image"], encode(wanted["image"]))
    assert found["label"].tolist() == wanted["label"].tolist() == [1, 0] * 4 + [1]
    assert found["seed"].tolist() == [3] * 9 and found["index"].tolist() == [*range(9)]
    other = arrays(service.ask("POST", URL, {**asked, "seed": 4}))
    assert (other["image"] != found["image"]).mean() > 0.1  # the negative control


def test_together_with_others_they_are_the_same(service):
    """Requests of one moment share batches, in other places of them."""
    model = service.models["digits"].model
    sizes = [1, 2, 3, 1, 4, 2]

    async def all_at_once():
        from .conftest import ask

        requests = [{"n": n, "seed": i, "format": "npz"} for i, n in enumerate(sizes)]
        asked = [ask(service.routes, "POST", URL, x) for x in requests]
        return await asyncio.gather(*asked)

    before = service.service.metrics.batch._sum.get()
    answers = service.run(all_at_once())
    assert service.service.metrics.batch._sum.get() - before == sum(sizes)
    for i, (n, answer) in enumerate(zip(sizes, answers, strict=True)):
        wanted = encode(model.sample(n, seed=i, batch_size=4)["image"])
        np.testing.assert_array_equal(arrays(answer)["image"], wanted)


def test_pictures(service):
    model = service.models["digits"].model
    wanted = encode(model.sample(2, seed=[5, 6], batch_size=4)["image"])
    for form in ("png", "webp"):
        answer = service.ask("POST", URL, {"seed": 5, "format": form})
        assert answer.headers["content-type"] == f"image/{form}"
        assert answer.headers["x-model-step"] == "7"
        assert answer.headers["x-content-type-options"] == "nosniff"
        found = pixels(answer.body)[..., :1]
        np.testing.assert_array_equal(found, wanted[0])
    lossy = pixels(service.ask("POST", URL, {"seed": 5, "format": "jpeg"}).body)
    assert np.abs(lossy.astype(int) - wanted[0]).mean() < 12
    grid = pixels(service.ask("POST", URL, {"n": 4}).body)  # png, if nothing is said
    assert grid.shape == (2 * 64 + 2, 2 * 64 + 2, 1)  # enlarged, as `sample` does
    answer = service.ask("POST", URL, {"n": 2, "seed": [5, 6], "format": "json"})
    content = json.loads(answer.body)
    assert (content["model"], content["output"], content["step"]) == (
        "digits",
        "sample",
        7,
    )
    for i, one in enumerate(content["samples"]):
        assert (one["seed"], one["index"]) == (5 + i // 2, i % 2)
        assert one["label"] == i % 2
        found = pixels(base64.b64decode(one["image"]))
        np.testing.assert_array_equal(found, wanted[i])


def test_pictures_say_where_they_come_from(service, tmp_path):
    from experiments.origin import files

    def said(url, *given, **more):
        path = tmp_path / "x"
        path.write_bytes(service.ask("POST", url, *given, **more).body)
        return files.read(path)

    for form in ("png", "webp", "jpeg"):
        found = said(URL, {"seed": 5, "format": form})
        wanted = {"run": "digits", "step": "7", "seed": "5", "index": "0"}
        assert wanted.items() <= found.items() and files.is_made(found)
    grid = said(URL, {"n": 3, "seed": 5})
    assert grid["seed"] == "5" and "index" not in grid
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    made = said(TRANSLATED, file.getvalue(), kind="image/png")
    assert made["source"].startswith("composite")


def test_latents(service):
    model = service.models["digits"].model
    z = np.linspace(-1, 1, 10).reshape(2, 5).astype(np.float32)
    inputs = model.inputs(2, label=2) | {"z": z}
    wanted = next(model.batches(inputs, size=4))["image"]
    asked = {"latents": z.tolist(), "class": 1, "format": "npz"}
    found = arrays(service.ask("POST", URL, asked))
    inputs = model.inputs(2, label=1) | {"z": z}
    wanted = next(model.batches(inputs, size=4))["image"]
    np.testing.assert_array_equal(found["image"], encode(wanted))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
def test_an_uploaded_picture(service, form):
    """It may be of any size; the answer is what `translate` makes of it."""
    x = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(x).save(file, form, lossless=True)
    given = np.asarray(Image.open(file).convert("RGB"))
    answer = service.ask(
        "POST", TRANSLATED, file.getvalue(), kind=f"image/{form.lower()}"
    )
    assert answer.status == 200, answer.body
    model = service.models["cycle"].model
    wanted = model.translate([given], output="a_to_b")[0]
    np.testing.assert_array_equal(pixels(answer.body), wanted)


def test_what_is_served_is_described(service):
    answer = service.ask("GET", "/v1/models")
    found = {x["name"]: x for x in json.loads(answer.body)["models"]}
    digits = found["digits"]
    assert digits["step"] == 7 and digits["variant"] == "cgan"
    sample = digits["outputs"]["sample"]
    assert sample["latents"] == "z" and sample["classes"] == "label"
    assert sample["inputs"]["z"]["shape"] == ["n", 5]
    assert sample["formats"] == ["png", "webp", "jpeg", "npz", "json"]
    assert {*found["cycle"]["outputs"]} == {"a_to_b", "b_to_a", "cycle_a", "cycle_b"}
    assert "image/png" in found["cycle"]["outputs"]["a_to_b"]["upload"]
    assert json.loads(answer.body)["limits"]["samples"] == service.limits.n


def test_pages_and_measurements(service):
    for path, kind in (("/", "text/html"), ("/docs", "text/html")):
        answer = service.ask("GET", path)
        assert answer.status == 200 and answer.headers["content-type"].startswith(kind)
        text = answer.body.decode()
        assert "http://" not in text and "https://" not in text and " src=" not in text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "truncation" in text and "/v1/models/{name}/{output}" in text
    schema = json.loads(service.ask("GET", "/openapi.json").body)
    operation = schema["paths"]["/v1/models/{name}/{output}"]["post"]
    body = operation["requestBody"]["content"]
    assert "class" in body["application/json"]["schema"]["properties"]
    assert {"503", "413", "200"} <= {*operation["responses"]}
    assert json.loads(service.ask("GET", "/health").body) == {"alive": True}
    assert service.ask("GET", "/ready").status == 200
    text = service.ask("GET", "/metrics").body.decode()
    for name in ("requests_total", "request_seconds_bucket", "queue_rows 0.0"):
        assert f"gans_{name}" in text
    assert 'gans_model_step{model="digits"} 7.0' in text


def test_a_service_that_is_not_ready(service, monkeypatch):
    monkeypatch.setattr(service.service, "ready", False)
    assert service.ask("GET", "/ready").status == 503
    assert service.ask("GET", "/health").status == 200
    answer = service.ask("POST", URL, {})
    assert answer.status == 503 and answer.headers["retry-after"] == "1"


def test_a_full_queue_and_a_client_that_leaves(service):
    """The queue is full while the device is busy; what is left is not made."""
    from .conftest import ask

    batcher, metrics = service.service.batcher, service.service.metrics

    async def busy():
        hold = asyncio.Event()
        loop = asyncio.get_running_loop()
        held = asyncio.ensure_future(
            batcher.aside(
                lambda: asyncio.run_coroutine_threadsafe(hold.wait(), loop).result()
            )
        )
        filling = [
            asyncio.ensure_future(ask(service.routes, "POST", URL, {"n": 12}))
            for _ in range(2)
        ]
        while batcher.queued + batcher._running < 24:
            await asyncio.sleep(0.005)
        leaving = await ask(service.routes, "POST", URL, {"n": 1}, leaves=True)
        refused = [await ask(service.routes, "POST", URL, {"n": 12}) for _ in range(2)]
        before = batcher.queued
        gone = await ask(service.routes, "POST", URL, {"n": 2}, leaves=True)
        assert batcher.queued == before
        hold.set()
        await held
        return await asyncio.gather(*filling), leaving, refused, gone

    made = metrics.samples.labels("digits", "sample")._value
    before, left = made.get(), metrics.left._value.get()
    filling, leaving, refused, gone = service.run(busy())
    assert [x.status for x in filling] == [200, 200]
    assert refused[-1].status == 503 and int(refused[-1].headers["retry-after"]) >= 1
    assert leaving.status == gone.status == 499
    assert metrics.left._value.get() == left + 2
    assert made.get() - before == 24 + 12 * [x.status for x in refused].count(200)


def test_an_answer_that_takes_too_long(service, monkeypatch):
    from experiments.service.asked import Limits

    monkeypatch.setattr(service.service, "limits", Limits(n=12, seconds=0.02))
    monkeypatch.setattr(service.service, "aside", lambda *given: asyncio.sleep(10))
    answer = service.ask("POST", URL, {})
    assert answer.status == 504 and answer.error == "it took longer than 0.02 s"


def test_what_the_model_fails_at_is_no_picture(service, monkeypatch):
    output = service.models["digits"].outputs["sample"]
    broken = {"image": np.full((1, 16, 16, 1), np.nan, np.float32)}
    monkeypatch.setattr(type(output), "__call__", lambda self, given: [broken])
    answer = service.ask("POST", URL, {})
    assert answer.status == 500 and "Traceback" not in answer.error
    errors = service.service.metrics.errors.labels("FloatingPointError")
    assert errors._value.get() >= 1
    monkeypatch.undo()
    assert service.ask("POST", URL, {}).status == 200
