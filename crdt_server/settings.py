"""Every setting of the server, once. Each is a flag of ``crdt-server serve``, a ``CRDT_SERVER_…`` variable and a key of
the optional TOML file; the order of precedence is that of this sentence."""

from __future__ import annotations

import os
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


def default_document_hosts() -> int:
    """Cores less one, at least one."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


class Settings(BaseSettings):
    """Defaults are for one machine. Counts of 0 mean: no limit. Of what an address may have, half is for one
    person at most."""

    model_config = SettingsConfigDict(env_prefix="CRDT_SERVER_", extra="forbid", toml_file=None)

    host: str = Field("127.0.0.1", description="Address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="Port to listen on; 0 takes a free one")
    listen_fd: Annotated[int, Field(ge=-1)] = Field(
        -1, description="Descriptor of an inherited listening socket, instead of host and port; -1: none"
    )
    probes_host: str = Field("", description="Address for --probes-port; none: that of --host")
    probes_port: Annotated[int, Field(ge=-1, le=65535)] = Field(
        -1, description="Port of /healthz, /readyz and /metrics; 0 takes a free one, -1: that of everything else"
    )
    probes_fd: Annotated[int, Field(ge=-1)] = Field(
        -1, description="Descriptor of an inherited listening socket for --probes-port; -1: none"
    )
    trusted_proxies: str = Field(
        "",
        description="Networks and addresses of reverse proxies whose X-Forwarded-For is believed, with commas; or none",
    )
    workers: Positive = Field(1, description="Nodes on this machine; more than one need PostgreSQL and Redis")
    database_url: str = Field(
        "sqlite:///wedding.db",
        description="Where documents rest: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
    )
    database_synchronous: Literal["FULL", "NORMAL", "EXTRA"] = Field(
        "FULL", description="SQLite's synchronous pragma; below FULL a power cut may lose commits"
    )
    redis_url: str = Field("", description="Redis between several nodes on one PostgreSQL database; none: one node")
    dev: bool = Field(False, description="No token needed; a socket without one acts as couple")
    jwt_secret_file: str = Field(
        "", description="File with a secret of 32 bytes or more that signs tokens (HS256), for a backend of your own"
    )
    jwt_public_key: str = Field(
        "",
        description="Files with public keys that verify tokens (PEM: RS256, ES256, EdDSA), with commas; KID=FILE names "
        "the key id of one",
    )
    jwks_file: str = Field("", description="File with a JSON Web Key Set that verifies tokens")
    jwks_url: str = Field("", description="Where an identity provider publishes its JSON Web Key Set")
    jwt_issuer: str = Field("", description="The issuer (iss) that tokens must have; none: any")
    jwt_audience: str = Field("", description="The audience (aud) that tokens must be for; none: tokens without one")
    jwt_max_age: Positive = Field(86_400, description="Seconds until the expiry of a token, at most (4401 above)")
    public_url: str = Field(
        "", description="Where people reach this server, for links in messages: https://HOST; none: there are no links"
    )
    link_secret_files: str = Field(
        "",
        description="Files with secrets of 32 bytes or more for links that unsubscribe, with commas, the newest first; "
        "older ones are still valid (default: that of --jwt-secret-file)",
    )
    allowed_origins: str = Field(
        "",
        description="Origins of pages on other hosts that may connect, with commas, or *; none: no origin is checked",
    )
    websocket_lane: Literal["fast", "asgi"] = Field(
        "fast", description="Implementation of WebSockets: picows, or plain ASGI as under any other server"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged")

    document_hosts: Positive = Field(
        default_factory=default_document_hosts, description="Processes that hold documents (default: cores less one)"
    )
    host_memory_bytes: Count = Field(4 << 30, description="Address space of one document host")
    host_timeout_seconds: Seconds = Field(5.0, description="A host that needs longer for a batch is replaced")
    max_document_bytes: Positive = Field(64 << 20, description="Largest document")
    loaded_bytes: Positive = Field(256 << 20, description="Documents held in memory, all together, in stored bytes")
    room_grace_seconds: Seconds = Field(30.0, description="How long an empty room stays loaded")
    compact_after_updates: Positive = Field(500, description="Stored rows of a room that are merged while it is open")

    max_frame_bytes: Positive = Field(16 << 20, description="Largest WebSocket message and HTTP body")
    max_unfinished_bytes: Count = Field(
        256 << 20, description="Bytes of messages and bodies that are not complete, in all (1013, HTTP 503 above)"
    )
    max_unfinished_per_address: Count = Field(
        64 << 20, description="Such bytes of one address, half of one person (1013, HTTP 503 above)"
    )
    max_checking_bytes: Count = Field(
        128 << 20, description="Large updates that wait for their check, in all (1013 for the address of most, above)"
    )
    max_checking_per_sender: Count = Field(
        32 << 20, description="Large updates of one person that wait for their check (1013 above)"
    )
    message_seconds: Seconds = Field(120.0, description="Time for a large message or a body (1013, HTTP 408 after it)")
    write_buffer_bytes: Positive = Field(8 << 20, description="Unsent bytes after which a slow reader is closed (1013)")
    max_connections: Count = Field(20_000, description="Sockets in all (4503 above)")
    max_connections_per_address: Count = Field(
        1_000,
        description="Sockets of one address, half of one person (4503 above), and other connections (reset above)",
    )
    max_connections_per_room: Count = Field(2_000, description="Sockets in one room (4503 above)")
    max_documents_per_socket: Positive = Field(
        64, description="Documents on one socket of Hocuspocus' protocol; each counts as a socket in the limits above"
    )
    max_pending_connections: Count = Field(1_000, description="Sockets that wait for a decision on access (4503 above)")
    max_pending_per_address: Count = Field(100, description="Such sockets of one address (4503 above)")
    admission_seconds: Seconds = Field(10.0, description="Time for a decision on access (4503, or HTTP 503, after it)")
    max_streams_per_address: Count = Field(
        20, description="Event streams of one address, half of one person (503 above)"
    )
    requests_per_second: Count = Field(
        200,
        description="HTTP requests of one person, with a burst of as many; 16 KB of a body count as one (429 above)",
    )
    requests_per_address: Count = Field(
        1_000, description="HTTP requests of one address a second, with a burst of as many (429 above)"
    )
    changes_per_hour: Count = Field(
        1_200,
        description="Changes of one person to members, invitations, devices, policy, grants, threads, webhooks and "
        "rules of a wedding, deleted files too, with a burst of as many (429 above)",
    )
    role_limits: str = Field(
        "", description="File with limits of one person by role, or `none` (default: role_limits.toml in the package)"
    )
    search_cpu_seconds: Seconds = Field(0.25, description="CPU time of the database for one search (HTTP 422 above)")
    max_reads_per_person: Count = Field(8, description="HTTP reads of one person at a time (429 above)")
    max_reads_per_address: Count = Field(32, description="HTTP reads of one address at a time (429 above)")
    handshakes_per_second: Count = Field(
        100, description="WebSocket handshakes of one address, half of one person, with a burst of as many"
    )
    max_strikes: Count = Field(
        10,
        description="Refused updates and malformed messages of one person a minute; persons of one address that send "
        "what kills a document host (4529, 429 above)",
    )
    frames_per_second: Count = Field(
        1_000,
        description="WebSocket frames of one person, with a burst of twice as many; its sockets are not read for a "
        "while above",
    )
    request_seconds: Seconds = Field(15.0, description="Time for the headers of an HTTP request, upgrades included")
    ping_seconds: Seconds = Field(30.0, description="A socket silent for this long is pinged, after twice that closed")
    awareness_tick_seconds: Seconds = Field(0.03, description="Presence is gathered for this long before it is sent")
    awareness_silence_seconds: Seconds = Field(
        30.0, description="Presence that is not renewed for this long is removed"
    )
    max_awareness_bytes: Positive = Field(4096, description="Largest presence state of one client")
    presence_states_per_second: Positive = Field(
        1000, description="Presence states of one socket; it is not read for a while above"
    )
    presence_bytes_per_second: Positive = Field(
        512 << 10, description="Bytes of presence of one socket; it is not read for a while above"
    )
    max_loop_lag_seconds: Seconds = Field(1.0, description="Above this new sockets get 4503, /readyz 503")

    max_wedding_bytes: Count = Field(
        1 << 30, description="Stored bytes of one wedding: updates, rows, events… (4409, HTTP 409 above)"
    )
    max_wedding_records: Count = Field(200_000, description="Records of one wedding in all its documents (likewise)")
    max_wedding_documents: Count = Field(1_000, description="Documents of one wedding (likewise for those beyond)")
    files: str = Field(
        "",
        description="Where files rest: a folder, of all nodes, or s3://BUCKET/PREFIX?endpoint=URL&region=NAME with its "
        "credentials in the environment; none: the folder `files` beside the database",
    )
    max_file_bytes: Positive = Field(25 << 20, description="Largest file (HTTP 413 above)")
    max_wedding_file_bytes: Count = Field(2 << 30, description="Bytes of files of one wedding (HTTP 409 above)")
    max_upload_bytes: Count = Field(2 << 30, description="Bytes of files that are under way, in all (HTTP 503 above)")
    max_upload_bytes_per_address: Count = Field(
        256 << 20, description="Such bytes of one address, half of one person (HTTP 503 above)"
    )
    max_downloads_per_address: Count = Field(
        100, description="Downloads of files of one address, half of one person (503 above)"
    )
    upload_seconds: Seconds = Field(600.0, description="Time for a file (HTTP 408 after it)")
    event_days: Count = Field(0, description="Days for which events are kept; 0: for ever")
    inbox_days: Count = Field(400, description="Days for which items of inboxes are kept; 0: for ever")
    inbox_bytes: Count = Field(
        256 << 20, description="Bytes of items that are kept in the inboxes of one wedding, the newest; 0: all of them"
    )
    event_bytes: Count = Field(
        256 << 20, description="Bytes of events that are kept of one wedding, the newest; 0: all of them"
    )
    removed_record_days: Count = Field(
        30, description="Days for which the writers of removed records are kept; 0: for ever"
    )
    delivery_lease_seconds: Seconds = Field(
        15.0, description="How long messages that a node was sending are left alone when it has ended"
    )
    vouched_organizations: str = Field(
        "", description="File with an organization per line of which weddings may learn the bookings of each other"
    )

    smtp_url: str = Field(
        "",
        repr=False,
        description="Where mail is handed over: smtp://HOST, starttls://USER:PASSWORD@HOST or smtps://…; none: no mail",
    )
    smtp_password_file: str = Field("", description="File with the password for --smtp-url, in place of one in it")
    mail_from: str = Field("", description="The sender of mail: Name <mailbox@host>")
    sms_url: str = Field("", description="Where SMS are posted, shaped like Twilio's Messages.json; none: no SMS")
    sms_credentials_file: str = Field("", description="TOML file with user, password and from, for --sms-url")
    push_vapid_key_file: str = Field(
        "", description="File with the private key (PEM, P-256) that signs push messages to browsers; none: no such"
    )
    push_fcm_url: str = Field("", description="Where messages to apps are posted, shaped like FCM's; none: no such")
    push_fcm_key_file: str = Field("", description="File with the key of a service account (JSON), for --push-fcm-url")
    push_hosts: str = Field(
        "fcm.googleapis.com,updates.push.services.mozilla.com,*.push.apple.com,*.notify.windows.com",
        description="Hosts of push services that browsers may name, with commas; *.example.org: all below; *: all",
    )
    webhooks_allow_private: bool = Field(
        False,
        description="Webhooks may lead to private addresses, without TLS too; anybody who may enter one reaches your "
        "network then",
    )
    send_seconds: Seconds = Field(15.0, description="Time for one attempt to hand over a mail, SMS, push or webhook")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for name in filter(None, map(str.strip, value.split(","))):
            ip_network(name, strict=False)
        return value

    @classmethod
    def load(cls, config: str | None = None, **flags: Any) -> Settings:
        """Settings from flags, environment and a TOML file. Raises pydantic's ValidationError."""

        class Sourced(cls):  # type: ignore[misc, valid-type]
            model_config = SettingsConfigDict(env_prefix="CRDT_SERVER_", extra="forbid", toml_file=config)

            @classmethod
            def settings_customise_sources(
                cls, settings_cls: type[BaseSettings], **sources: PydanticBaseSettingsSource
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                toml = TomlConfigSettingsSource(settings_cls)
                return sources["init_settings"], sources["env_settings"], toml

        settings: Settings = Sourced(**flags)
        return settings
