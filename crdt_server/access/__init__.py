"""Identities, limits and decisions on access. Pure: the clock is passed in."""
