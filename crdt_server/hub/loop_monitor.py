"""Measures the delay of the event loop."""

from __future__ import annotations

import asyncio
import time

import structlog

from crdt_server.metrics import Metrics

log = structlog.get_logger(__name__)

LAG_SECONDS = 0.02
LAG_SAMPLES = 12
SLOW_LOOP_SECONDS = 0.05


class LoopMonitor:
    """How late the event loop is: ``seconds`` is the worst of the latest quarter of a second or two."""

    def __init__(self, metrics: Metrics) -> None:
        self.seconds = 0.0
        self._metrics = metrics

    @property
    def slow(self) -> bool:
        """Whether work that can wait is to be delayed."""
        return self.seconds > SLOW_LOOP_SECONDS

    async def run(self) -> None:
        """Sleep again and again, and measure how late each sleep ends. Long ones would hide stalls."""
        while True:
            worst = 0.0
            for _ in range(LAG_SAMPLES):
                worst = max(worst, await self._measure())
            self.seconds = worst

    async def _measure(self) -> float:
        loop = asyncio.get_running_loop()
        before, worked = loop.time(), time.thread_time()
        await asyncio.sleep(LAG_SECONDS)
        late = max(0.0, loop.time() - before - LAG_SECONDS)
        self.seconds = max(self.seconds, late)
        self._metrics.loop_late_seconds.observe(late)
        if late > SLOW_LOOP_SECONDS:
            # Little CPU time in a long stall: another process of the machine was the cause, not this one.
            cpu = time.thread_time() - worked
            log.warning("loop_late", late_ms=round(late * 1000), cpu_ms=round(cpu * 1000))
        return late
