"""What a service counts, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Gauges:
    """Requests by the status of their answer, seconds by stage, and how many videos the net is given at once."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter("stzoo_requests", "Videos that were answered", ["status"], registry=self._registry)
        self.seconds = Histogram("stzoo_seconds", "What a video takes", ["stage"], registry=self._registry)
        self.videos = Histogram(
            "stzoo_batch_videos", "Videos that the net is given at once", buckets=_BATCHES, registry=self._registry
        )
        self.inside = Gauge("stzoo_inside", "Videos that are received, read or run", registry=self._registry)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)
