"""The wire protocol: bytes in, values out. Standard library only; no I/O, no clock, no randomness, no pycrdt."""
