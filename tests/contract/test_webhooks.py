"""What every backend of `storage` does with webhooks."""

from datetime import UTC, datetime

import pytest

from storage import NewAuditEntry, Storage, StoredWebhook, ValuesRefused, WebhookChange

NOW = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)
HOOK = StoredWebhook("wh_1", "https://example.org/hook", ("guest", "task.done"), ("whsec_1", "whsec_0"), "u_aroha", NOW)


def entry(action: str) -> NewAuditEntry:
    return NewAuditEntry("2026-06-20T13:30:00Z", "u_aroha", action, "{}")


async def put(store: Storage, wedding: str, webhook: StoredWebhook, most: int = 3) -> None:
    await store.change_webhook(wedding, webhook.id, lambda _: WebhookChange(webhook, entry("webhook")), most)


async def test_are_kept_as_they_were_put(store: Storage) -> None:
    disabled = StoredWebhook("wh_2", "https://x.example", (), ("whsec_2",), "u_kit", NOW, NOW, "gone (410)")
    await put(store, "w_1", disabled)
    await put(store, "w_1", HOOK)
    await put(store, "w_2", HOOK)
    assert await store.webhooks("w_1") == [HOOK, disabled]
    changed = StoredWebhook("wh_1", "https://y.example", (), ("whsec_3",), "u_aroha", NOW, NOW, "")
    seen: list[StoredWebhook | None] = []

    def decide(before: StoredWebhook | None) -> WebhookChange:
        seen.append(before)
        return WebhookChange(changed, entry("changed"))

    assert await store.change_webhook("w_1", "wh_1", decide, 3) == changed
    assert seen == [HOOK]
    assert await store.webhooks("w_1") == [changed, disabled]
    assert await store.webhooks("w_2") == [HOOK]
    assert await store.change_webhook("w_1", "wh_1", lambda _: WebhookChange(None, entry("removed")), 3) is None
    assert await store.webhooks("w_1") == [disabled]
    assert [each.action for each in await store.audit("w_1")] == ["webhook", "webhook", "changed", "removed"]


async def test_are_bounded(store: Storage) -> None:
    for number in range(3):
        await put(store, "w_1", StoredWebhook(f"wh_{number}", "https://x.example", (), ("s",), "u", NOW))
    with pytest.raises(ValuesRefused, match="there are 3 webhooks"):
        await put(store, "w_1", StoredWebhook("wh_9", "https://x.example", (), ("s",), "u", NOW))
    await put(store, "w_1", StoredWebhook("wh_1", "https://z.example", (), ("s",), "u", NOW))
    assert len(await store.audit("w_1")) == 4
    with pytest.raises(ValuesRefused, match="2000 characters"):
        await put(store, "w_1", StoredWebhook("wh_1", "https://" + "z" * 2000, (), ("s",), "u", NOW))


async def test_a_decision_that_fails_changes_nothing(store: Storage) -> None:
    await put(store, "w_1", HOOK)

    def refuse(before: StoredWebhook | None) -> WebhookChange:
        raise LookupError

    with pytest.raises(LookupError):
        await store.change_webhook("w_1", "wh_1", refuse, 3)
    assert await store.webhooks("w_1") == [HOOK]


def test_no_secret_is_in_a_representation() -> None:
    assert "whsec" not in repr(HOOK)
