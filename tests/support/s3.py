"""As much of the protocol of Amazon S3 as a store of files needs: objects in memory, over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.gate import until

BUCKET = "bucket"


class ObjectServer:
    """The objects of one bucket. ``failing``: answer every request with this status; ``requests``: method and key."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.failing = 0
        self.requests: list[tuple[str, str]] = []
        self.url = ""

    async def answer(self, request: Request) -> Response:
        key = request.path_params.get("key", "")
        self.requests.append((request.method, key))
        if self.failing:
            return Response(status_code=self.failing)
        if request.method == "POST":
            return await self._delete(request)
        if not key:
            return self._listed(request.query_params.get("prefix", ""))
        if request.method == "PUT":
            return await self._put(request, key)
        if key not in self.objects:
            return Response(status_code=404)
        return self._got(request, *self.objects[key])

    async def _put(self, request: Request, key: str) -> Response:
        source = request.headers.get("x-amz-copy-source")
        if source is None:
            self.objects[key] = await request.body(), datetime.now(UTC)
            return Response(headers={"ETag": '"1"'})
        source = unquote(source).strip("/").removeprefix(f"{BUCKET}/")
        if source not in self.objects:
            return Response(status_code=404)
        self.objects[key] = self.objects[source][0], datetime.now(UTC)
        return Response("<CopyObjectResult><ETag>1</ETag></CopyObjectResult>", media_type="application/xml")

    async def _delete(self, request: Request) -> Response:
        deleted = re.findall("<Key>([^<]+)</Key>", (await request.body()).decode())
        for key in deleted:
            self.objects.pop(key, None)
        listed = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in deleted)
        return Response(f"<DeleteResult>{listed}</DeleteResult>", media_type="application/xml")

    def _got(self, request: Request, content: bytes, at: datetime) -> Response:
        headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}  # noqa: S324 - no secret
        headers["Last-Modified"] = at.strftime("%a, %d %b %Y %H:%M:%S GMT")
        if request.method == "HEAD":
            return Response(headers=headers | {"Content-Length": str(len(content))})
        part = request.headers.get("Range")
        if part is None:
            return Response(content, headers=headers)
        first, last = map(int, part.removeprefix("bytes=").split("-"))
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return Response(content[first : last + 1], 206, headers)

    def _listed(self, prefix: str) -> Response:
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f'<ETag>"1"</ETag><Size>{len(content)}</Size></Contents>'
            for key, (content, at) in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        listed = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return Response(listed, media_type="application/xml")


@asynccontextmanager
async def object_server() -> AsyncIterator[ObjectServer]:
    """A server of one bucket, until the end of the block."""
    objects = ObjectServer()
    methods = ["GET", "HEAD", "PUT"]
    app = Starlette(
        routes=[
            Route(f"/{BUCKET}/{{key:path}}", objects.answer, methods=methods),
            Route(f"/{BUCKET}", objects.answer, methods=["GET", "POST"]),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    objects.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield objects
    finally:
        server.should_exit = True
        await serving
