"""The page at `/`, built from `clients/planner`: a planner of one wedding, live.

It is built into `static/` by esbuild (`make web`), and lives under a strict content security policy: no inline
script or style, nothing from another host. URLs in it are relative, so the routes can be mounted below a prefix.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).parent / "static"

SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# The page names its files by their content's hash: it must be asked for again, they never.
PAGE_HEADERS = SECURITY_HEADERS | {"Cache-Control": "no-cache"}
PAGES = {"": "index.html", "worker.js": "worker.js"}
FILE_HEADERS = SECURITY_HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"}


def routes(static: Path = STATIC) -> list[BaseRoute]:
    """Return the routes of the page `/`, of its former address, and of its files `/static/{name}` in `static`.

    Its service worker is beside it: it could not answer for the page from below `/static`.

    The endpoints are plain functions, which Starlette runs in its thread pool: they wait for the disk.
    """

    def page(request: Request) -> Response:
        index = static / PAGES[request.url.path.rpartition("/")[2]]
        if not index.is_file():
            text = "The page is not built. On the server's machine: make web\n"
            return PlainTextResponse(text, status_code=503, headers=PAGE_HEADERS)
        return FileResponse(index, headers=PAGE_HEADERS)

    def moved(request: Request) -> Response:
        # Relative, so that a prefix stays; browsers keep the fragment.
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"./{query}", headers=PAGE_HEADERS)

    def file(request: Request) -> Response:
        # Compared with a listing, so that no spelling of a name reaches outside the directory.
        name = request.path_params["name"]
        names = {path.name for path in static.iterdir()} if static.is_dir() else set()
        if name not in names:
            return PlainTextResponse("not found\n", status_code=404, headers=PAGE_HEADERS)
        return FileResponse(static / name, headers=FILE_HEADERS)

    return [*(Route(f"/{name}", page) for name in PAGES), Route("/planner", moved), Route("/static/{name}", file)]
