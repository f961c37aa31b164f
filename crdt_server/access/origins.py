"""The pages that may connect from a browser, by the header ``Origin`` that browsers send and pages cannot change."""

from __future__ import annotations

from collections.abc import Mapping


class AllowedOrigins:
    """``listed``: origins such as ``https://app.example``, separated by commas; ``*``: all. None: no check is made."""

    def __init__(self, listed: str = "") -> None:
        names = (name.strip().rstrip("/").lower() for name in listed.split(","))
        self.listed = tuple(filter(None, names))
        self._any = not self.listed or "*" in self.listed

    def admit(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may come from where it does: from a listed origin, this host, or a program that is no
        browser."""
        if self._any:
            return True
        origin = headers.get("Origin")
        if origin is None:
            return True
        origin, host = origin.lower(), headers.get("Host", "").lower()
        return origin in self.listed or (host != "" and origin.partition("://")[2] == host)
