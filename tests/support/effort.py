"""How much is tried: a sample in an ordinary run, everything where CRDT_TEST_PROFILE is `all` (`make test-all`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet
from hypothesis import settings

T = TypeVar("T")
Test = TypeVar("Test", bound=Callable[..., object])

PROFILE = os.environ.get("CRDT_TEST_PROFILE", "default")
EVERYTHING = PROFILE == "all"
SAMPLE = 20
PATIENCE_SECONDS = 60.0

# No deadlines: several workers share the machine.
settings.register_profile("default", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("all", max_examples=100, deadline=None, print_blob=True)
settings.load_profile(PROFILE)


def and_repeated(first: T, *others: T) -> list[T | ParameterSet]:
    """Parameters of which an ordinary run takes the first: the others only repeat it."""
    return [first, *repeated(*others)]


def repeated(*others: T) -> list[ParameterSet]:
    """Parameters that an ordinary run leaves out."""
    return [pytest.param(other, marks=pytest.mark.repeat) for other in others]


def timed(test: Test) -> Test:
    """A test whose waits are bounded by `promised`: where those are measured it runs alone."""
    return pytest.mark.serial(test) if EVERYTHING else test


def promised(seconds: float) -> float:
    """How long something may take: what is promised, or in an ordinary run, where other workers compute beside it, as
    long as a busy machine may take."""
    return seconds if EVERYTHING else PATIENCE_SECONDS


def examples(everything: int, sample: int = SAMPLE) -> int:
    """How many examples of something are tried."""
    return everything if EVERYTHING else min(sample, everything)
