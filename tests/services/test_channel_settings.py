"""The settings of channels: which there are, and which are refused without a secret in the message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from crdt_server import Settings, create_app
from crdt_server.cli import cli
from crdt_server.services.messaging.channels import ChannelSettingsError, read_configuration, senders
from crdt_server.services.messaging.model import Channel, NotSent
from crdt_server.services.messaging.webhook_secrets import new_secret
from tests.support.deliveries import delivery

HIDDEN = "hunter2"
File = Callable[[str], str]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


P256 = pem(ec.generate_private_key(ec.SECP256R1()))
P384 = pem(ec.generate_private_key(ec.SECP384R1()))
RSA = pem(rsa.generate_private_key(65537, 2048))
LOCKED = pem(ec.generate_private_key(ec.SECP256R1()), b"x")
ACCOUNT = {"client_email": "svc@example.org", "private_key": RSA, "token_uri": "https://oauth2.example/token"}
SMS = f'user = "AC1"\npassword = "{HIDDEN}"\nfrom = "+15550100"\n'


@pytest.fixture
def file(tmp_path: Path) -> File:
    def write(text: str) -> str:
        path = tmp_path / f"file_{len(list(tmp_path.iterdir()))}"
        path.write_text(text)
        return str(path)

    return write


def settings(**values: str | bool) -> Settings:
    return Settings(dev=True, **values)  # type: ignore[arg-type]


async def test_without_settings_there_are_webhooks_only() -> None:
    opened = senders(settings())
    assert set(opened) == {Channel.WEBHOOK}
    for sender in opened.values():
        await sender.close()


async def test_all_channels(file: File) -> None:
    given = settings(
        smtp_url=f"starttls://wed%40x:{HIDDEN}@mail.example.org",
        mail_from="Our Wedding <w@example.org>",
        sms_url="https://sms.example/Messages.json",
        sms_credentials_file=file(SMS),
        push_vapid_key_file=file(P256),
        push_fcm_url="https://fcm.example/send",
        push_fcm_key_file=file(json.dumps(ACCOUNT)),
        public_url="https://wed.example",
        send_seconds="2.5",
    )
    opened = senders(given)
    assert set(opened) == {Channel.WEBHOOK, Channel.MAIL, Channel.SMS, Channel.PUSH}
    found = read_configuration(given)
    assert found.mail is not None
    assert (found.mail.host, found.mail.port, found.mail.security) == ("mail.example.org", 587, "starttls")
    assert (found.mail.user, found.mail.password) == ("wed@x", HIDDEN)
    assert found.vapid is not None
    assert found.vapid.contact == "mailto:w@example.org"
    assert len(found.push_key) == 87
    assert found.seconds == 2.5
    for text in (repr(found), repr(given), str(given), repr(opened)):
        assert HIDDEN not in text
        assert "PRIVATE KEY" not in text
    for sender in opened.values():
        await sender.close()


async def test_without_permission_nothing_goes_out_without_tls() -> None:
    secret = json.dumps([new_secret()])
    for allowed, reason in ((False, "https://"), (True, "no connection")):
        sender = senders(settings(webhooks_allow_private=allowed))[Channel.WEBHOOK]
        refused = await sender.send(delivery(Channel.WEBHOOK, "http://127.0.0.1:9/", secret=secret))
        assert isinstance(refused, NotSent)
        assert reason in refused.reason
        await sender.close()


def test_the_command_ends_with_one_line() -> None:
    ended = CliRunner().invoke(cli, ["serve", "--dev", "--smtp-url", f"smtps://wed:{HIDDEN}@h/path"])
    assert ended.exit_code == 2
    assert "--mail-from" in ended.output
    assert HIDDEN not in ended.output


def test_a_password_in_a_file(file: File) -> None:
    url = "smtps://wed@mail.example.org:4650"
    found = read_configuration(
        settings(smtp_url=url, smtp_password_file=file(f"{HIDDEN}\n"), mail_from="w@example.org")
    )
    assert found.mail is not None
    assert (found.mail.password, found.mail.port) == (HIDDEN, 4650)


def test_a_local_relay_needs_no_encryption() -> None:
    for url in ("smtp://127.0.0.1:2525", f"smtp://wed:{HIDDEN}@localhost", "smtp://relay.internal"):
        assert read_configuration(settings(smtp_url=url, mail_from="w@example.org")).mail is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"mail_from": "w@example.org"},
        {"smtp_url": "smtp://mail.example.org"},
        {"smtp_url": "smtp://mail.example.org", "mail_from": "nobody"},
        {"smtp_url": "smtp://mail.example.org", "mail_from": f"w@example.org\r\nBcc: {HIDDEN}"},
        *(
            {"smtp_url": url, "mail_from": "w@example.org"}
            for url in (
                *(f"http://wed:{HIDDEN}@mail.example.org", f"wed:{HIDDEN}@mail.example.org", f"smtps://wed:{HIDDEN}@"),
                *(f"smtps://wed:{HIDDEN}@h:port", f"smtps://wed:{HIDDEN}@h/path", f"smtps://wed:{HIDDEN}@h?x=1"),
                *(f"smtp://wed:{HIDDEN}@mail.example.org", "smtps://wed@mail.example.org", f"smtps://:{HIDDEN}@h"),
                f"smtps://wed:{HIDDEN}@[h",
            )
        ),
        {"sms_url": "https://sms.example/"},
        {"sms_credentials_file": "/nowhere"},
        {"push_vapid_key_file": "/nowhere", "public_url": "https://wed.example"},
        {"push_fcm_url": "https://fcm.example"},
        *({"push_hosts": hosts} for hosts in ("https://push.example", "*.*.example", "push", "a.example;b.example")),
        {"public_url": "wed.example"},
        {"public_url": f"https://wed:{HIDDEN}@wed.example"},
        {"smtp_password_file": "/nowhere"},
        {"smtp_url": "smtps://wed@h", "smtp_password_file": "/nowhere", "mail_from": "w@example.org"},
    ],
)
def test_what_cannot_be_used_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ChannelSettingsError) as refused:
        create_app(settings(**wrong))
    assert HIDDEN not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None or HIDDEN not in str(refused.value.__cause__)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        *(
            ({"sms_url": "https://sms.example/"}, text)
            for text in ("", HIDDEN, SMS.replace("from", "sender"), SMS + "x = 1")
        ),
        ({"sms_url": "https://sms.example/"}, SMS.replace('"+15550100"', "1")),
        ({"sms_url": "http://sms.example/"}, SMS),
        ({"sms_url": "ftp://sms.example/"}, SMS),
    ],
)
def test_credentials_for_sms(file: File, names: dict[str, str], text: str) -> None:
    with pytest.raises(ChannelSettingsError) as refused:
        read_configuration(settings(**names, sms_credentials_file=file(text)))
    assert HIDDEN not in str(refused.value)


def test_keys_for_push(file: File) -> None:
    for text in ("", RSA, P384, LOCKED, P256[:60]):
        with pytest.raises(ChannelSettingsError, match="--push-vapid-key-file"):
            read_configuration(settings(push_vapid_key_file=file(text), public_url="https://wed.example"))
    for contact in ("", "http://wed.example"):
        with pytest.raises(ChannelSettingsError, match="contact"):
            read_configuration(settings(push_vapid_key_file=file(P256), public_url=contact))
    url = "https://fcm.example/send"
    for account in ("", "{}", json.dumps(ACCOUNT | {"private_key": P256}), json.dumps(ACCOUNT | {"private_key": "x"}),
                    json.dumps(ACCOUNT | {"token_uri": "http://oauth2.example"}), "[" * 10_000):  # fmt: skip
        with pytest.raises(ChannelSettingsError, match="--push-fcm-key-file"):
            read_configuration(settings(push_fcm_url=url, push_fcm_key_file=file(account)))
    with pytest.raises(ChannelSettingsError, match="https"):
        read_configuration(settings(push_fcm_url="http://fcm.example", push_fcm_key_file=file(json.dumps(ACCOUNT))))
