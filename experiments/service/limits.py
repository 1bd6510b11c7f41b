"""What stands before the service: sizes, keys, time, and a count of every request."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from experiments.service.asked import Invalid, Limits
from experiments.service.metrics import Metrics

HEADERS = 16 * 1024  # bytes of all headers together
URL = 2048  # bytes
OPEN = {"/", "/docs", "/openapi.json", "/health", "/ready"}  # without a key
LOOPBACK = {"localhost", "127.0.0.1", "[::1]", "::1"}
_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
App = Callable[[dict, Callable, Callable], Awaitable[None]]


class Guard:
    """An ASGI application around another: it refuses what is not to be worked on.

    Args:
      app: which gets the rest.
      limits: see `Limits`.
      metrics: in which every answer is counted.
      key: that a client has to send, as `Authorization: Bearer KEY`; None: none.
      hosts: names by which the service may be addressed; None: any. A page of another
        site in a browser could reach a service of this machine by a name of its own.
      routes: a path -> what stands for it in the metrics.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        metrics: Metrics,
        key: str | None = None,
        hosts: Collection[str] | None = None,
        routes: Callable[[str], str] = lambda path: path,
    ):
        self._app, self._limits, self._metrics = app, limits, metrics
        self._key, self._hosts, self._routes = key, hosts, routes
        self.active = 0

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Answers a request, or passes it on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":  # a WebSocket, which is not accepted
            return await send({"type": "websocket.close", "code": 1000})
        begun, status = time.monotonic(), []

        async def counted(message):
            if message["type"] == "http.response.start":
                status.append(message["status"])
                message["headers"] = [*message.get("headers", ()), *_SAFE]
            await send(message)

        self.active += 1
        self._metrics.active.set(self.active)
        try:
            refused = self._refused(scope)
            if refused is None:
                await self._app(scope, receive, counted)
            else:
                await answer(counted, *refused)
        except Exception as error:
            self._metrics.errors.labels(type(error).__name__).inc()
            traceback.print_exception(error)
            if not status:
                await answer(counted, 500, "the service failed at this request")
        finally:
            self.active -= 1
            self._metrics.active.set(self.active)
            route = self._routes(scope["path"])
            code = str(status[0]) if status else "none"
            self._metrics.requests.labels(route, code).inc()
            self._metrics.seconds.labels(route).observe(time.monotonic() - begun)

    def _refused(self, scope) -> tuple | None:
        """Status, text and headers of a refusal; None if there is no reason for one."""
        headers = scope["headers"]
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URL:
            return 414, f"the URL is longer than {URL} bytes"
        if sum(len(name) + len(value) for name, value in headers) > HEADERS:
            return 431, f"the headers are longer than {HEADERS} bytes"
        path = scope["path"]
        given = dict(headers)
        if self._hosts is not None:
            host = re.sub(r":\d+$", "", given.get(b"host", b"").decode("latin-1"))
            if host not in self._hosts:
                return 403, "this service is not known by that name"
        if path in ("/health", "/ready"):  # they answer also where there is much to do
            return None
        if self.active > self._limits.requests:
            retry = [(b"retry-after", b"1")]
            return 503, "too many requests at the same time; try again in 1 s", retry
        if self._key is not None and path not in OPEN:
            wanted = f"Bearer {self._key}".encode()
            if not hmac.compare_digest(given.get(b"authorization", b""), wanted):
                challenge = [(b"www-authenticate", b"Bearer")]
                return 401, "wanted a key: Authorization: Bearer KEY", challenge
        return None


async def answer(
    send: Callable, status: int, said: str, headers: list | None = None
) -> None:
    """Sends an error in one line, as JSON."""
    body = json.dumps({"error": said}).encode()
    start: dict[str, Any] = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *(headers or ()),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})


class Gone(Exception):
    """The client has left."""


async def body(headers: Any, receive: Callable, most: int, seconds: float) -> bytes:
    """Returns the body of a request.

    headers: a mapping. most: bytes. seconds: for all of it.

    Raises Invalid if it is too large, comes too slowly or says a wrong length; Gone if
    the client leaves.
    """
    too_large = Invalid(f"the body is larger than {most} bytes", 413)
    said = headers.get("content-length")
    if said is not None and (not re.fullmatch(r"\d{1,18}", said)):
        raise Invalid("content-length is no number", 400)
    if said is not None and int(said) > most:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise too_large
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise Invalid(f"the body did not come within {seconds:g} s", 408) from None


async def unless_gone(receive: Callable, work: Awaitable[Any]) -> Any:
    """Returns what `work` gives; it is cancelled if the client leaves: Gone is raised.

    The body has to be read.
    """

    async def leaving():
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(leaving())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise Gone
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
