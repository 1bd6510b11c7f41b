"""What a service counts and times, for Prometheus."""

from __future__ import annotations

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class Metrics:
    """Counters, histograms and gauges of one service, in a registry of their own."""

    def __init__(self):
        self.registry = CollectorRegistry()
        asked = ("model", "output")

        def made(kind, name, said, labels=(), **options):
            return kind(f"gans_{name}", said, labels, registry=self.registry, **options)

        self.requests = made(
            Counter, "requests", "Answers, by route and status.", ("route", "status")
        )
        self.seconds = made(
            Histogram,
            "request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route",),
            buckets=_SECONDS,
        )
        self.samples = made(Counter, "samples", "Samples that were made.", asked)
        self.batch = made(
            Histogram, "batch_rows", "Samples that were made together.", buckets=_ROWS
        )
        self.batch_seconds = made(
            Histogram, "batch_seconds", "Time of a batch.", buckets=_SECONDS
        )
        self.queue = made(Gauge, "queue_rows", "Samples that wait.")
        self.active = made(Gauge, "requests_active", "Requests that are worked on.")
        self.left = made(Counter, "clients_left", "Clients that left before an answer.")
        self.errors = made(Counter, "errors", "Failures of the service.", ("error",))
        self.step = made(
            Gauge, "model_step", "Step of the checkpoint in use.", ("model",)
        )
        self.reloads = made(
            Counter,
            "reloads",
            "Newer checkpoints: loaded, or failed.",
            ("model", "result"),
        )
        self.canary = made(
            Gauge,
            "canary_levels",
            "Largest difference of fixed samples from the first ones, in grey levels.",
            asked,
        )
        self.score = made(
            Gauge,
            "recent_samples_score",
            "A score of the recent samples, by the run's own statistics.",
            (*asked, "score"),
        )

    def page(self) -> bytes:
        """Returns all of them in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)
