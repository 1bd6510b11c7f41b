"""The routes of the service, and what each answers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from experiments.service import asked, encoding, limits, metrics, page
from experiments.service.asked import Invalid, Limits
from experiments.service.batcher import Batcher, Closed, Full, Watch
from experiments.service.drift import Recent
from experiments.service.limits import Gone
from experiments.service.metrics import Metrics
from experiments.service.models import Served
from experiments.service.outputs import MEDIA, Output, Samples
from experiments.service.refusals import Refusals, Refused
from gans.names import nearest

_THREADS = 2  # that prepare requests and encode answers
_CLOSED = 499  # of a request whose client has left


class Service:
    """What the routes share.

    Args:
      limits: of requests.
      wait: seconds that a batch waits for more requests.
      refusals: what is not served.

    Attributes:
      models: {name: model}; an entry is replaced when there is a newer checkpoint.
      ready: whether requests are taken: not before all models are there, and not while
        it stops.
      recent: {(model, output): its last images}, of runs that can score them.
    """

    def __init__(
        self,
        limits: Limits,
        wait: float = 0.005,
        refusals: Refusals | None = None,
    ):
        self.limits, self.refusals = limits, refusals or Refusals()
        self.metrics = Metrics()
        self.models: dict[str, Served] = {}
        self.ready = False
        self.recent: dict[tuple[str, str], Recent] = {}
        watch = Watch(self.metrics.queue.set, self._batch)
        self.batcher = Batcher(limits.queue, wait, watch)
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="requests")

    def _batch(self, rows, most, seconds):
        self.metrics.batch.observe(rows)
        self.metrics.batch_seconds.observe(seconds)

    def put(self, served: Served) -> None:
        """Serves a model from now on, in place of an older one of its name."""
        self.models[served.name] = served
        self.metrics.step.labels(served.name).set(served.step)

    def found(self, name: str, output: str) -> tuple[Served, Output]:
        """Returns a model and its output. Raises Invalid, with the nearest name."""
        if name not in self.models:
            near = nearest(name, self.models)
            known = ", ".join(self.models) or "none yet"
            raise Invalid(
                f"there is no model {name[:60]!r}; there are {known}{near}", 404
            )
        served = self.models[name]
        if output not in served.outputs:
            near = nearest(output, served.outputs)
            known = ", ".join(served.outputs)
            raise Invalid(
                f"{name} has no output {output[:60]!r}; it has {known}{near}", 404
            )
        return served, served.outputs[output]

    async def made(self, served: Served, output: Output, parts, samples) -> Samples:
        """Returns samples, made together with those of other requests."""
        results = await self.batcher.submit(output, parts)
        fields = {
            name: np.concatenate([x[name] for x in results]) for name in results[0]
        }
        for name, x in fields.items():
            if x.dtype.kind == "f" and not np.isfinite(x).all():
                raise FloatingPointError(f"the model makes NaN ({name})")
        self.metrics.samples.labels(served.name, output.output).inc(len(samples.seeds))
        if served.scored:
            place = served.name, output.output
            self.recent.setdefault(place, Recent()).put(output.spec, fields)
        return samples._replace(fields=fields)

    async def aside(self, work, *arguments) -> Any:
        """Returns what a function gives, called in a thread beside the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, work, *arguments)


async def _answered(service: Service, name: str, output: str, request: Request):
    """The samples that a request asks for, encoded."""
    served, found = service.found(name, output)
    if not service.ready:
        raise Invalid("the service is not ready", 503)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    at_most = service.limits
    if found.uploads:
        if kind not in MEDIA:
            accepted = ", ".join(MEDIA)
            raise Invalid(
                f"content-type: got {kind[:60]!r}; accepted are {accepted}", 415
            )
        query = asked.read_query(request.scope["query_string"])
        content = await limits.body(
            request.headers, request.receive, at_most.upload, at_most.body_seconds
        )
        form, arguments = query.format, (content, query)
    else:
        if kind != "application/json":
            accepted = "accepted is application/json"
            raise Invalid(f"content-type: got {kind[:60]!r}; {accepted}", 415)
        content = await limits.body(
            request.headers, request.receive, at_most.body, at_most.body_seconds
        )
        wanted = asked.read(content)
        asked.check_total(wanted, at_most)
        _check_refusals(service, found, wanted)
        form, arguments = wanted.format, (wanted,)

    async def work():
        parts, samples = await service.aside(found.prepared, *arguments)
        samples = await service.made(served, found, parts, samples)
        known = {"model": name, "output": output, "step": served.step}
        of = served.origins[output]
        return await service.aside(
            encoding.encoded, samples, found.spec, form, known, of
        )

    content, media = await limits.unless_gone(request.receive, work())
    headers = {"x-model-step": str(served.step), "cache-control": "no-store"}
    return Response(content, media_type=media, headers=headers)


def _check_refusals(service, output, wanted):
    """Raises Refused for what is not served."""
    fields = [x for x in output.spec.values() if x.kind == "label"]
    for label in wanted.labels:
        names = [label]
        for field in fields:
            if isinstance(label, int) and field.names and label < len(field.names):
                names.append(field.names[label])
            elif label in (field.names or ()):
                names.append(field.names.index(label))
        service.refusals.check_class(*names)
    if wanted.text is not None:
        service.refusals.check_text(wanted.text)


def build(service: Service) -> FastAPI:
    """Returns the application: all routes of a service."""
    app = FastAPI(
        title="jax-gans",
        description="Samples of trained generative adversarial networks.",
        version="1",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )

    @app.exception_handler(Invalid)
    async def invalid(request, error):
        retry = {"retry-after": "1"} if error.status == 503 else None
        return _error(error.status, error, retry)

    @app.exception_handler(Refused)
    async def refused(request, error):
        return _error(403, error)

    @app.exception_handler(Full)
    async def full(request, error):
        return _error(503, error, {"retry-after": f"{error.seconds:.0f}"})

    @app.exception_handler(Closed)
    async def closed(request, error):
        return _error(503, error, {"retry-after": "1", "connection": "close"})

    @app.exception_handler(Gone)
    async def gone(request, error):
        service.metrics.left.inc()
        return Response(status_code=_CLOSED)

    @app.exception_handler(TimeoutError)
    async def late(request, error):
        return _error(504, f"it took longer than {service.limits.seconds:g} s")

    @app.exception_handler(Exception)
    async def failed(request, error):
        return _error(500, "the service failed at this request")

    @app.exception_handler(HTTPException)
    async def other(request, error):
        said = {404: "there is nothing here; /docs lists what there is"}
        return _error(
            error.status_code, said.get(error.status_code, error.detail), error.headers
        )

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def try_it():
        """The page on which models can be tried."""
        return HTMLResponse(page.trying(), headers=page.HEADERS)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs():
        """The description of all routes, for people."""
        return HTMLResponse(page.docs(app.openapi()), headers=page.HEADERS)

    @app.get("/health", summary="Whether the process works at all")
    async def health():
        """200 while batches can be run, else 500: the process has to be replaced."""
        alive = service.batcher.alive
        return JSONResponse({"alive": alive}, 200 if alive else 500)

    @app.get("/ready", summary="Whether requests are taken")
    async def ready():
        """200, or 503 while models are loaded, and while the service stops."""
        return JSONResponse({"ready": service.ready}, 200 if service.ready else 503)

    @app.get("/metrics", summary="Measurements, for Prometheus")
    async def measurements():
        """Counters, histograms and gauges in Prometheus' text format."""
        return Response(service.metrics.page(), media_type=metrics.CONTENT_TYPE)

    @app.get("/v1/models", summary="The models, with what each takes and makes")
    async def models():
        """Names, checkpoints, outputs, their inputs and formats, and the limits."""
        found = [x.described() for x in service.models.values()]
        return JSONResponse(
            {"models": found, "limits": asked.described(service.limits)}
        )

    @app.post(
        "/v1/models/{name}/{output}",
        summary="Samples of a model",
        openapi_extra={"requestBody": _body()},
        responses=_responses(),
        response_class=Response,
    )
    async def make(name: str, output: str, request: Request):
        """Samples by seeds, latents or examples; or what is made of a picture.

        A picture is uploaded as the body itself; `seed` and `format` stand in the URL.
        """
        async with asyncio.timeout(service.limits.seconds):
            return await _answered(service, name, output, request)

    return app


def routes(path: str) -> str:
    """Returns what stands for a path in the metrics: few values, whatever is asked."""
    if path.startswith("/v1/models/"):
        return "/v1/models/{name}/{output}"
    known = limits.OPEN | {"/metrics", "/v1/models"}
    return path if path in known else "other"


def _error(status, said, headers=None):
    return JSONResponse({"error": str(said)}, status, headers)


def _body() -> dict[str, Any]:
    content = {"application/json": {"schema": asked.Asked.model_json_schema()}}
    for media in MEDIA:
        content[media] = {"schema": {"type": "string", "format": "binary"}}
    return {"content": content}


def _responses() -> dict[int, dict[str, Any]]:
    media = {name: {} for name in encoding.MEDIA.values()}
    error = {
        "application/json": {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}}
        }
    }
    said = {
        400: "Not JSON, or a URL that cannot be read",
        401: "No key",
        403: "A class or a text that is not served",
        404: "No such model or output",
        408: "The body came too slowly",
        413: "The body or the picture is too large",
        415: "Another content type",
        422: "A value that is not accepted",
        503: "The queue is full, or the service stops; see Retry-After",
        504: "It took too long",
    }
    return {200: {"description": "The samples", "content": media}} | {
        status: {"description": text, "content": error} for status, text in said.items()
    }
