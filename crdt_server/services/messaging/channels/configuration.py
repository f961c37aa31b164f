"""The channels that the settings name: read and checked at the start, opened where there is an event loop."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeGuard
from urllib.parse import unquote, urlsplit

import httpcore
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from crdt_server.services.messaging.channels.addresses import GuardedNetwork, Resolver
from crdt_server.services.messaging.channels.http import HttpClient, Now, utc_now
from crdt_server.services.messaging.channels.mail import PORTS, MailSender, MailServer, Security, parse_sender
from crdt_server.services.messaging.channels.push import AppSender, AppService, PushSender, VapidKey
from crdt_server.services.messaging.channels.sms import SmsSender, SmsService
from crdt_server.services.messaging.channels.webhook import WebhookSender
from crdt_server.services.messaging.model import Channel, Sender
from crdt_server.services.messaging.push_hosts import EVERY_HOST, PushHosts, parse_push_hosts
from crdt_server.services.messaging.texts import render
from crdt_server.services.messaging.urls import ANY, ENCRYPTED, fault_of_url
from crdt_server.settings import Settings

FILE_BYTES: Final = 64 * 1024


class ChannelSettingsError(Exception):
    """A setting of a channel that cannot be used; the message is one line without secrets."""


@dataclass(frozen=True, slots=True)
class ChannelConfiguration:
    """The channels that the settings configure; None: there is no such channel."""

    mail: MailServer | None
    sms: SmsService | None
    vapid: VapidKey | None
    apps: AppService | None
    public_url: str
    allow_private: bool
    seconds: float
    push_hosts: PushHosts = EVERY_HOST

    @property
    def push_key(self) -> str:
        """The public key for subscriptions to web push; empty where there is none."""
        return "" if self.vapid is None else self.vapid.public


def read_configuration(settings: Settings) -> ChannelConfiguration:
    """The channels of the settings. Raises ChannelSettingsError."""
    if settings.public_url:
        fault = fault_of_url(settings.public_url)
        if fault is not None:
            raise ChannelSettingsError(f"--public-url: {fault}")
    mail = _mail(settings)
    return ChannelConfiguration(
        mail,
        _sms(settings),
        _vapid(settings, mail),
        _apps(settings),
        settings.public_url,
        settings.webhooks_allow_private,
        settings.send_seconds,
        _push_hosts(settings),
    )


def senders(settings: Settings) -> Mapping[Channel, Sender]:
    """The channels of the settings; that of webhooks always. Raises ChannelSettingsError."""
    return open_senders(read_configuration(settings))


def open_senders(
    configuration: ChannelConfiguration, *, now: Now = utc_now, resolver: Resolver | None = None
) -> Mapping[Channel, Sender]:
    """The channels of a configuration."""
    write = partial(render, public_url=configuration.public_url)
    seconds = configuration.seconds
    schemes = ANY if configuration.allow_private else ENCRYPTED
    guarded = GuardedNetwork(allow_private=configuration.allow_private, resolver=resolver)

    def client() -> HttpClient:
        return HttpClient(httpcore.AnyIOBackend(), seconds=seconds)

    opened: dict[Channel, Sender] = {Channel.WEBHOOK: WebhookSender(HttpClient(guarded, seconds=seconds), now, schemes)}
    if configuration.mail is not None:
        opened[Channel.MAIL] = MailSender(configuration.mail, write, now, seconds=seconds)
    if configuration.sms is not None:
        opened[Channel.SMS] = SmsSender(configuration.sms, client(), write, now)
    if configuration.vapid is not None or configuration.apps is not None:
        apps = None if configuration.apps is None else AppSender(configuration.apps, client(), now)
        browsers = HttpClient(guarded, seconds=seconds)
        opened[Channel.PUSH] = PushSender(
            configuration.vapid, apps, browsers, write, now, schemes=schemes, hosts=configuration.push_hosts
        )
    return opened


def _push_hosts(settings: Settings) -> PushHosts:
    try:
        return parse_push_hosts(settings.push_hosts)
    except ValueError as error:
        raise ChannelSettingsError(f"--push-hosts: {error}") from error


def _mail(settings: Settings) -> MailServer | None:
    if not settings.smtp_url:
        if settings.mail_from or settings.smtp_password_file:
            raise ChannelSettingsError("mail needs --smtp-url")
        return None
    if not settings.mail_from:
        raise ChannelSettingsError("mail needs --mail-from")
    try:
        sender = parse_sender(settings.mail_from)
    except ValueError as error:
        raise ChannelSettingsError(f"--mail-from: {error}") from error
    form = "--smtp-url: smtp://HOST, starttls://USER:PASSWORD@HOST or smtps://USER:PASSWORD@HOST, or with a port"
    try:
        parts = urlsplit(settings.smtp_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ChannelSettingsError(form) from None  # the cause has the password in it
    if not _is_security(parts.scheme) or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ChannelSettingsError(form)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if settings.smtp_password_file:
        password = _read("--smtp-password-file", settings.smtp_password_file).strip()
    if bool(user) != bool(password):
        raise ChannelSettingsError("--smtp-url: a user needs a password, and a password a user")
    if user and parts.scheme == "smtp" and not _is_local(host):
        raise ChannelSettingsError("--smtp-url: a password is sent to another machine by starttls:// or smtps:// only")
    return MailServer(host, port or PORTS[parts.scheme], parts.scheme, user, password, sender)


def _is_security(scheme: str) -> TypeGuard[Security]:
    return scheme in PORTS


def _sms(settings: Settings) -> SmsService | None:
    if bool(settings.sms_url) != bool(settings.sms_credentials_file):
        raise ChannelSettingsError("SMS needs --sms-url and --sms-credentials-file")
    if not settings.sms_url:
        return None
    _require_encrypted("--sms-url", settings.sms_url)
    text = _read("--sms-credentials-file", settings.sms_credentials_file)
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        given = {}
    names = ("user", "password", "from")
    if set(given) != set(names) or not all(isinstance(given[name], str) and given[name] for name in names):
        raise ChannelSettingsError('--sms-credentials-file: three lines like user = "…", also password and from')
    return SmsService(settings.sms_url, given["user"], given["password"], given["from"])


def _vapid(settings: Settings, mail: MailServer | None) -> VapidKey | None:
    if not settings.push_vapid_key_file:
        return None
    name = "--push-vapid-key-file"
    contact = f"mailto:{mail.sender.addr_spec}" if mail is not None else settings.public_url
    if not contact.startswith(("mailto:", "https://")):
        raise ChannelSettingsError(f"{name} needs --mail-from, or --public-url with https, as a contact")
    key = _private_key(name, _read(name, settings.push_vapid_key_file))
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ChannelSettingsError(f"{name}: no private key of the curve P-256")
    return VapidKey(key, contact)


def _apps(settings: Settings) -> AppService | None:
    if bool(settings.push_fcm_url) != bool(settings.push_fcm_key_file):
        raise ChannelSettingsError("push to apps needs --push-fcm-url and --push-fcm-key-file")
    if not settings.push_fcm_url:
        return None
    name = "--push-fcm-key-file"
    _require_encrypted("--push-fcm-url", settings.push_fcm_url)
    try:
        given = json.loads(_read(name, settings.push_fcm_key_file))
        account, pem, token_url = given["client_email"], given["private_key"], given["token_uri"]
    except (ValueError, TypeError, KeyError, RecursionError):
        account = pem = token_url = ""
    if not all(isinstance(value, str) and value for value in (account, pem, token_url)):
        raise ChannelSettingsError(f"{name}: JSON with client_email, private_key and token_uri of a service account")
    _require_encrypted(name, token_url)
    if not isinstance(_private_key(name, pem), rsa.RSAPrivateKey):
        raise ChannelSettingsError(f"{name}: its private_key is no RSA key")
    return AppService(settings.push_fcm_url, account, pem, token_url)


def _private_key(setting: str, pem: str) -> object:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ChannelSettingsError(f"{setting}: no private key in PEM without a password") from error


def _require_encrypted(setting: str, url: str) -> None:
    fault = fault_of_url(url)
    if fault is not None:
        raise ChannelSettingsError(f"{setting}: {fault}")
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_local(parts.hostname or ""):
        raise ChannelSettingsError(f"{setting}: credentials are sent to another machine by https:// only")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(setting: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(FILE_BYTES).decode()
    except OSError as error:
        raise ChannelSettingsError(f"{setting}: {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ChannelSettingsError(f"{setting}: {path} is no text") from None
