"""The only wiring: settings in, an ASGI application out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from crdt_server import web
from crdt_server.access.access import Access
from crdt_server.access.keys import Keys, KeySet
from crdt_server.access.limits import Allowance, SharedBudget
from crdt_server.access.origins import AllowedOrigins
from crdt_server.access.policy import policy_of
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.access.request_limits import RequestLimits
from crdt_server.access.role_switch import RoleSwitch
from crdt_server.access.token_access import TokenOrDevAccess
from crdt_server.access.tokens import Claims, TokenRules, TokenVerifier, sign
from crdt_server.api import (
    attachments,
    audit,
    commands,
    conflicts,
    document_list,
    documents,
    errors,
    events,
    inbox,
    join,
    outbox,
    presence,
    probes,
    search,
    sentences,
    sessions,
    unsubscribe,
    webhooks,
    weddings,
)
from crdt_server.api import members as members_api
from crdt_server.api import messages as messages_api
from crdt_server.api import preferences as preferences_api
from crdt_server.api import threads as threads_api
from crdt_server.api.description import describe as complete_description
from crdt_server.api.problems import on_disconnect, on_http_error, on_invalid_request, on_server_error
from crdt_server.api.requests import authorize, count_read
from crdt_server.api.rights import describe_roles
from crdt_server.cluster.cluster import Cluster
from crdt_server.editing import Editor
from crdt_server.errors import CrdtServerError
from crdt_server.file_sweeps import sweep_files, sweep_search
from crdt_server.files.opening import open_files
from crdt_server.hosts.jobs import JobFailed
from crdt_server.hub.bookings import read_vouched
from crdt_server.hub.commands import IdempotentCommands
from crdt_server.hub.hub import LOGGED_REFUSALS, SECONDS_PER_LOGGED_REFUSAL, Hub
from crdt_server.hub.pacing import role_limits
from crdt_server.hub.rights import Recheck
from crdt_server.hub.rights_cache import HeldMembers
from crdt_server.key_source import FetchedKeys, open_keys, read_link_secrets, read_secret
from crdt_server.messaging import Messaging
from crdt_server.metrics import Metrics
from crdt_server.services.attachments import AttachmentService, FileLimits
from crdt_server.services.changes import ChangeLimit
from crdt_server.services.grants import GrantService
from crdt_server.services.members import MemberService
from crdt_server.services.messaging.channels import read_configuration, senders
from crdt_server.services.messaging.model import Channel, Sender
from crdt_server.services.search import SearchService
from crdt_server.services.sessions import SessionService, Sign
from crdt_server.settings import Settings
from crdt_server.transport.asgi import serve_websocket
from crdt_server.transport.expiry import close_expired
from crdt_server.transport.gate import Gate
from crdt_server.transport.picows import PicowsTransport
from documents.derived import find
from storage import Storage, StorageError, open_storage
from storage.bus import QUEUE_BYTES

_RESOURCES = (
    *(join, document_list, documents, commands, events, conflicts, presence, members_api, audit),
    *(inbox, outbox, webhooks, attachments, search, preferences_api, threads_api, messages_api),
)
_ROUTERS = tuple(resource.router for resource in _RESOURCES)
"""Whose calls `authorize` decides about."""
_OTHERS = (sessions.router, unsubscribe.router, sentences.router, errors.router, weddings.router)
"""Those of `public` calls, and of those about no wedding in particular."""


_REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Range")
"""Headers that pages of other hosts may send."""

_LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?"

OpenSenders = Callable[[Settings], Mapping[Channel, Sender]]
"""Opens the senders of the channels that the settings name."""


class AccessRequired(Exception):
    """Nothing decides who may read and write: no key for tokens, no object of the caller's own, no ``dev``."""


def create_app(
    settings: Settings | None = None, access: Access | None = None, open_senders: OpenSenders = senders
) -> FastAPI:
    """The server as an ASGI application, to serve alone or to mount in an application of your own.

    ``access`` decides who may read and write. Without it tokens do, which the keys of the settings verify; or ``dev``
    must be set, and everybody may who has no token. ``open_senders`` gives the channels by which messages leave.
    Mounted, its lifespan must run: pass ``app.router.lifespan_context`` on (``examples/embed.py`` shows it).
    Its WebSockets then take the plain ASGI transport; the fast one needs ``crdt-server serve``. While it runs,
    ``app.state.server`` is an `Editor`: programs read and write rows with it.
    Raises AccessRequired, KeyFileError where a key cannot be used, ChannelSettingsError where a channel of messages
    cannot, StorageError where the settings name stores that do not go together, or a file that cannot be read, and
    WrongFileStore.
    """
    settings = settings or Settings.load()
    push_key = _check(settings)
    keys = None if access is not None else open_keys(settings)
    members = HeldMembers()
    access = access or _token_access(settings, keys, members)

    app = FastAPI(
        title="crdt-server",
        lifespan=partial(_lifespan, settings, keys, members, open_senders),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # behind a proxy the redirect would be to http://, with the token
        exception_handlers={
            ClientDisconnect: on_disconnect,
            CrdtServerError: on_server_error,
            JobFailed: on_server_error,
            StorageError: on_server_error,
            HTTPException: on_http_error,
            RequestValidationError: on_invalid_request,
        },
    )
    app.state.access = access
    app.state.push_key = push_key
    _include_routers(app, settings)
    app.router.routes.append(WebSocketRoute("/ws/{address:path}", _websocket))
    app.router.routes.append(WebSocketRoute("/hocuspocus", _websocket))
    app.router.routes.extend(web.routes())
    app.openapi = partial(_openapi, app, app.openapi)  # type: ignore[method-assign]
    _allow_origins(app, settings)
    return app


def _include_routers(app: FastAPI, settings: Settings) -> None:
    app.state.routers = (probes.router, *_OTHERS, *_ROUTERS)
    if settings.probes_port < 0:
        app.include_router(probes.router)
    for router in _OTHERS:
        app.include_router(router)
    for router in _ROUTERS:
        app.include_router(router, dependencies=[Depends(authorize), Depends(count_read)])


def _check(settings: Settings) -> str:
    """Raise what `create_app` raises for settings that cannot be used. Returns the public key of push messages."""
    _require_cluster(settings)
    read_vouched(settings.vouched_organizations)
    role_limits(settings)
    open_files(settings.files, settings.database_url)
    read_link_secrets(settings)
    return read_configuration(settings).push_key


def _openapi(app: FastAPI, describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The description of all calls, with the roles that may make them."""
    if app.openapi_schema is None:
        complete_description(describe())
        describe_roles(describe(), (*_ROUTERS, *_OTHERS), policy_of(app.state.access))
    return describe()


def _token_access(settings: Settings, keys: Keys | None, members: HeldMembers) -> Access:
    if keys is None:
        if not settings.dev:
            raise AccessRequired(
                "nobody could be let in: set --jwt-secret-file, --jwt-public-key, --jwks-file or --jwks-url, "
                "or --dev on a machine of your own (everybody may read and write then)"
            )
        return RoleSwitch(find_derived=find)
    verify = TokenVerifier(keys, _token_rules(settings), time.time).verify_credentials
    access = PolicyAccess(verify, members, find_derived=find)
    return TokenOrDevAccess(access) if settings.dev else access


def _token_rules(settings: Settings) -> TokenRules:
    return TokenRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_max_age)


def _signer(settings: Settings) -> Sign | None:
    """Signs the tokens of sessions; None where there is no secret to sign with."""
    if not settings.jwt_secret_file:
        return None
    secret, rules = read_secret(settings.jwt_secret_file), _token_rules(settings)
    return lambda claims: sign(Claims(**claims._asdict()), rules, secret)


def _allow_origins(app: FastAPI, settings: Settings) -> None:
    """Let pages of other hosts call the API; sockets are let in by the gate. With ``dev`` and no list, pages of this
    machine: those of the development server of a client."""
    listed = AllowedOrigins(settings.allowed_origins).listed
    if listed or settings.dev:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=listed,
            allow_origin_regex=None if listed else _LOOPBACK,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=_REQUEST_HEADERS,
            expose_headers=("Content-Disposition", "Content-Range", "ETag", "Idempotency-Replayed", "Retry-After"),
        )


@asynccontextmanager
async def _lifespan(
    settings: Settings,
    keys: KeySet | FetchedKeys | None,
    members: HeldMembers,
    open_senders: OpenSenders,
    app: FastAPI,
) -> AsyncIterator[None]:
    storage = await open_storage(settings.database_url, synchronous=settings.database_synchronous, migrate=True)
    cluster = _cluster(settings, storage)
    hub = Hub(settings, storage, Metrics(), cluster)
    if cluster is not None:
        cluster.join(hub)
    state = app.state
    state.hub = hub
    state.gate = Gate(hub, state.access, time.monotonic)
    state.unfinished = state.gate.unfinished
    state.proxies = state.gate.proxies
    state.fast_transport = PicowsTransport(state.gate)
    state.answers = IdempotentCommands(storage)
    _set_limits(hub, state)
    state.server = Editor(hub, state.access)
    members.cache = hub.rights.cache
    _open_services(hub, state, _signer(settings))
    messaging = Messaging(hub, state, open_senders(settings))
    await hub.start()
    messaging.start()
    hub.spawn(close_expired(hub, time.time))
    hub.spawn(sweep_files(state.attachments, hub.metrics))
    hub.spawn(sweep_search(state.search))
    if isinstance(keys, FetchedKeys):
        keys.refresh()
    pinging = asyncio.create_task(state.fast_transport.keep_pinging())
    try:
        yield
    finally:
        pinging.cancel()
        if isinstance(keys, FetchedKeys):
            keys.stop()
        state.gate.stop()
        await messaging.stop()
        await hub.stop()
        await storage.close()


def _set_limits(hub: Hub, state: State) -> None:
    """Set the limits on what people and addresses may request, and have open, at a time."""
    settings = hub.settings
    state.request_limits = RequestLimits(
        hub.strikes,
        hub.role_buckets,
        per_person=settings.requests_per_second,
        per_address=settings.requests_per_address,
        reads_per_person=settings.max_reads_per_person,
        reads_per_address=settings.max_reads_per_address,
    )
    state.changes = ChangeLimit(settings.changes_per_hour)
    state.logged_aborts = Allowance(LOGGED_REFUSALS, SECONDS_PER_LOGGED_REFUSAL)
    state.uploads = SharedBudget(settings.max_upload_bytes, settings.max_upload_bytes_per_address)
    state.downloads = SharedBudget(settings.max_connections, settings.max_downloads_per_address)
    state.streams = SharedBudget(settings.max_connections, settings.max_streams_per_address)


def _open_services(hub: Hub, state: State, sign: Sign | None) -> None:
    """The services behind the API. Rights that change are decided about again where the access can do that."""
    if isinstance(state.access, Recheck):
        hub.rights.access = state.access
    parts = hub.storage, partial(datetime.now, UTC), hub.rights.changed
    policy = policy_of(state.access)
    state.members = MemberService(*parts, policy, changes=state.changes)
    state.sessions = SessionService(*parts, sign=sign)
    state.grants = GrantService(*parts, published=hub.publish_events, policy=policy, changes=state.changes)
    limits = FileLimits(hub.settings.max_file_bytes, hub.settings.max_wedding_file_bytes)
    files = open_files(hub.settings.files, hub.settings.database_url)
    state.attachments = AttachmentService(hub.storage, files, parts[1], limits, changes=state.changes)
    state.search = SearchService(hub.storage, hub.settings.search_cpu_seconds)


async def _websocket(socket: WebSocket) -> None:
    await serve_websocket(socket, socket.app.state.gate)


def _cluster(settings: Settings, storage: Storage) -> Cluster | None:
    if not settings.redis_url:
        return None
    from storage.redis_bus import RedisBus  # an extra

    return Cluster(storage, RedisBus(settings.redis_url, queue_bytes=bus_queue_bytes(settings)))


def bus_queue_bytes(settings: Settings) -> int:
    """For messages that wait for the bus: one larger than that would be lost each time it is sent. A frame of the
    largest size crosses in one, and comes back to two nodes."""
    return QUEUE_BYTES + 2 * settings.max_frame_bytes


def _require_cluster(settings: Settings) -> None:
    several = settings.workers > 1 or bool(settings.redis_url)
    if several and not settings.database_url.startswith("postgresql"):
        raise StorageError(
            "several nodes need one PostgreSQL database: --database-url postgresql://USER:PASSWORD@HOST/NAME"
        )
    if settings.workers > 1 and not settings.redis_url:
        raise StorageError("several workers need Redis between them: --redis-url redis://HOST")
