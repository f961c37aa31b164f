"""The store of files that the settings name."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from crdt_server.files.local import LocalFiles
from crdt_server.files.store import FileStore

FOLDER = "files"
REGION = "us-east-1"
"""Of an object store, where the setting names none; many have no regions."""
_QUERY = ("endpoint", "region")

CONNECT, REQUEST = timedelta(seconds=5), timedelta(seconds=60)
"""How long an object store may take to accept a connection, and for one request."""
RETRIES, RETRY_TIMEOUT = 3, timedelta(seconds=20)
"""How often a request to it is repeated that failed, and until when."""


class WrongFileStore(Exception):
    """The setting names no store of files."""


def open_files(place: str, database_url: str) -> FileStore:
    """The store of files at a place: a path, or `s3://BUCKET/PREFIX?endpoint=URL&region=NAME` with credentials in the
    environment. An empty one is the folder `files` beside the file of the database, else in the working directory.

    Raises WrongFileStore. Nothing is read or written yet.
    """
    if place.startswith("s3://"):
        return _objects(place)
    if "://" in place:
        raise WrongFileStore(f"files are in a folder or in s3://BUCKET/PREFIX, not in {place}")
    if place:
        return LocalFiles(Path(place))
    scheme, _, path = database_url.partition(":///")
    beside = Path(path.removeprefix("file:").partition("?")[0]).parent if scheme.startswith("sqlite") else Path()
    return LocalFiles(beside / FOLDER)


def _objects(place: str) -> FileStore:
    if find_spec("obstore") is None:
        raise WrongFileStore("an object store needs a client: pip install 'crdt-server[s3]'")
    from obstore.store import S3Store  # an extra

    from crdt_server.files.objects import ObjectFiles

    url = urlsplit(place)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if not url.netloc or not query.keys() <= set(_QUERY):
        raise WrongFileStore(f"an object store is s3://BUCKET/PREFIX?endpoint=URL&region=NAME, not {place}")
    insecure = query.get("endpoint", "").startswith("http://")
    store = S3Store(
        url.netloc,
        prefix=url.path.strip("/") or None,
        config={"endpoint": query["endpoint"]} if "endpoint" in query else None,
        client_options={"allow_http": insecure, "connect_timeout": CONNECT, "timeout": REQUEST},
        retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT},
        region=query.get("region", REGION),
    )
    return ObjectFiles(store)
