"""Counters for Prometheus. Labels are route templates and statuses: never a path as sent, never a number.

Several processes share one port, and a scrape reaches any of them. With `VNS_METRICS_DIR` they keep their counters in
files of one folder (prometheus_client's multiprocess mode), and whichever is asked answers for all.
"""

import os
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # set by api.__main__ before prometheus_client is imported
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class HttpMetrics:
    """How many requests were answered, how, and how fast."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "vns_http_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "vns_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["method", "route"],
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._limited = Counter(
            "vns_rate_limit_without_redis",
            "Requests of limited tenants that a process counted alone because Redis did not answer.",
            registry=self._registry,
        )
        self._counter_of = lru_cache(maxsize=1024)(self._requests.labels)
        self._histogram_of = lru_cache(maxsize=256)(self._seconds.labels)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self._counter_of(method, route, str(status)).inc()
        self._histogram_of(method, route).observe(seconds)

    def counted_alone(self) -> None:
        self._limited.inc()

    def text(self) -> bytes:
        """What a scrape gets: of all processes where they share a folder, else of this one."""
        source: CollectorRegistry | Collector = self._registry
        if SHARED_FOLDER in os.environ:
            source = CollectorRegistry()
            MultiProcessCollector(source)  # type: ignore[no-untyped-call]  # prometheus_client does not type it
        return generate_latest(source)
