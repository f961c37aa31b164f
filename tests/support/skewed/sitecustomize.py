"""Loaded by Python itself where this directory is in PYTHONPATH: the process has a clock that is wrong."""

import os
import time

_SECONDS = float(os.environ["SKEW_SECONDS"])
_time = time.time
time.time = lambda: _time() + _SECONDS
