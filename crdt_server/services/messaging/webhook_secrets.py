"""The secrets that sign the messages of a webhook: https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import secrets
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A secret, as the specification writes it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
