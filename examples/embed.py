"""The sync server inside an application of your own: `uvicorn examples.embed:app`.

Everything under /collab is the server: ws://HOST/collab/ws/{wedding}/{document}, /collab/api/…, /collab/healthz.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from crdt_server import Settings, create_app

collab = create_app(Settings(dev=True, database_url="sqlite:///wedding.db"))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """A mounted application's own start and end run only if its parent runs them."""
    async with collab.router.lifespan_context(collab):
        yield


async def home(request: Request) -> PlainTextResponse:
    """Your application."""
    return PlainTextResponse("our planner")


app = Starlette(routes=[Route("/", home), Mount("/collab", collab)], lifespan=lifespan)
