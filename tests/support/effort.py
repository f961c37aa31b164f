"""How much is tried: a sample in an ordinary run, everything where CRDT_TEST_PROFILE is `all` (`make test-all`)."""

from __future__ import annotations

import os
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet
from hypothesis import settings

T = TypeVar("T")

PROFILE = os.environ.get("CRDT_TEST_PROFILE", "default")
EVERYTHING = PROFILE == "all"
SAMPLE = 20

# No deadlines: several workers share the machine.
settings.register_profile("default", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("all", max_examples=100, deadline=None, print_blob=True)
settings.load_profile(PROFILE)


def and_repeated(first: T, *others: T) -> list[T | ParameterSet]:
    """Parameters of which an ordinary run takes the first: the others only repeat it."""
    return [first, *(pytest.param(other, marks=pytest.mark.repeat) for other in others)]


def examples(everything: int, sample: int = SAMPLE) -> int:
    """How many examples of something Hypothesis is to find."""
    return everything if EVERYTHING else min(sample, everything)
