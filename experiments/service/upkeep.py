"""What a service does by itself: newer checkpoints, and checks for drift."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from experiments.service import drift, models
from experiments.service.app import Service
from experiments.service.drift import Canary
from experiments.service.models import Served


async def every(seconds: float, work: Callable) -> None:
    """Awaits work() again and again, some seconds apart; for ever."""
    while True:
        await asyncio.sleep(seconds)
        await work()


async def reload(service: Service, opened: Callable[[Served], Served]) -> None:
    """Replaces models whose runs have a newer checkpoint.

    Requests that have come before are answered by the older one. If a newer one cannot
    be opened, the older one stays.

    opened: an older model -> the newest one, compiled. It is called in a thread.
    """
    for name, before in list(service.models.items()):
        try:
            if not await asyncio.to_thread(models.newer, before):
                continue
            after = await asyncio.to_thread(opened, before)
        except Exception as error:
            service.metrics.reloads.labels(name, "failed").inc()
            print(
                f"warning: {name}: the newer checkpoint cannot be served: {error}",
                file=sys.stderr,
            )
            continue
        service.put(after)
        service.metrics.reloads.labels(name, "loaded").inc()
        print(f"{name}: step {before.step:,} -> {after.step:,}", file=sys.stderr)


async def check(service: Service, canary: Canary) -> None:
    """Compares the fixed samples of all models, and scores their recent ones."""
    for name, served in list(service.models.items()):
        for output in served.outputs:
            try:
                made = await service.batcher.aside(served.outputs[output].canary)
                levels = canary.levels(name, served.step, output, made)
                service.metrics.canary.labels(name, output).set(levels)
                recent = service.recent.get((name, output))
                images = recent.images() if recent else None
                if images is None:
                    continue
                found = await asyncio.to_thread(drift.scores, served.workdir, images)
                for score, value in found.items():
                    service.metrics.score.labels(name, output, score).set(value)
            except Exception as error:
                service.metrics.errors.labels(type(error).__name__).inc()
                print(
                    f"warning: {name}/{output}: not checked for drift: {error}",
                    file=sys.stderr,
                )
