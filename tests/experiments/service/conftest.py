"""Models behind a service in this process, and a client that speaks ASGI."""

import asyncio
import functools
import json
import types

import jax
import numpy as np
import pytest

from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from gans import core

SIZE = 4  # of the only bucket


@pytest.fixture(scope="session")
def classes_run(tiny, tmp_path_factory):
    """The workdir of an untrained model of three classes, with a name like a path's."""
    return begun(tiny, tmp_path_factory.mktemp("service"))


def begun(tiny, parent):
    """Makes that workdir, with a checkpoint of step 7."""
    folder = parent / "digits"
    folder.mkdir()
    config = tiny("cgan", "digits", steps=9)
    (folder / "config.json").write_text(configs.to_json(config))
    save(folder, 7)
    return folder


def save(folder, step):
    """Adds a checkpoint to a run: a first state of another seed."""
    config = configs.from_json((folder / "config.json").read_text())
    state = jax.jit(functools.partial(core.init, configs.build(config)))
    checkpoints = Checkpoints(folder, keep=None)
    checkpoints.save(step, state(jax.random.key(step)).replace(step=np.int32(step)), {})
    checkpoints.close()


@pytest.fixture(scope="session")
def service(classes_run, untrained, tmp_path_factory):
    """A service of two models, `digits` and `cycle`, and `ask` for its answers."""
    for package in ("fastapi", "granian", "prometheus_client"):
        pytest.importorskip(package, reason="extra serve")
    from experiments.service import app, models
    from experiments.service.asked import Limits
    from experiments.service.limits import Guard
    from experiments.service.refusals import Refusals

    cycle = tmp_path_factory.mktemp("service") / "cycle"
    cycle.mkdir()
    limits = Limits(
        n=12, queue=24, pixels=4096, upload=2**16, body_seconds=0.2, seconds=20
    )
    made = app.Service(limits, 0.002, Refusals(["2", "forbidden fruit"]))
    for folder in (classes_run, untrained("cycle", cycle)):
        made.put(models.opened(folder.name, folder, "last", (SIZE,), limits))
    made.ready = True
    routes = Guard(app.build(made), limits, made.metrics, routes=app.routes)
    with asyncio.Runner() as runner:
        runner.run(_started(made))
        yield types.SimpleNamespace(
            service=made,
            routes=routes,
            run=runner.run,
            ask=lambda *given, **more: runner.run(ask(routes, *given, **more)),
            models=made.models,
            limits=limits,
        )
        runner.run(made.batcher.close())


async def _started(service):
    service.batcher.start()


class Answer(types.SimpleNamespace):
    """`status`, `headers` and `body` of an answer; `error` is its line."""

    @property
    def error(self):
        return json.loads(self.body)["error"]


async def ask(
    app,
    method,
    path,
    body=b"",
    *,
    kind="application/json",
    query=b"",
    headers=(),
    parts=None,
    leaves=False,
):
    """Returns the answer of an ASGI application to a request.

    parts: of the body, as they come; None among them: nothing comes any more. leaves:
    the client leaves once the body is sent.
    """
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    parts = [body] if parts is None else list(parts)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"localhost"), (b"content-type", kind.encode())]
        + list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    sent = []

    async def receive():
        if parts and parts[0] is not None:
            content = parts.pop(0)
            more = bool(parts)
            return {"type": "http.request", "body": content, "more_body": more}
        if leaves:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(x.get("body", b"") for x in sent[1:])
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return Answer(status=sent[0]["status"], headers=found, body=content)
