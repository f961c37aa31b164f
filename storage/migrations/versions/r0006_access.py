"""Members, invitations, devices, grants and policies of weddings, the version of their rights, and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
moment = sa.DateTime(timezone=True)
digest = sa.String(64)


def _person() -> list[sa.Column[str]]:
    return [sa.Column(each, name, nullable=False) for each in ("role", "vendor", "guest", "side", "name")]


def upgrade() -> None:
    op.create_table(
        "rights",
        sa.Column("wedding", name, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("audit_seq", sa.BigInteger, nullable=False),
        sa.Column("audit_digest", digest, nullable=False),
        sa.PrimaryKeyConstraint("wedding", name="pk_rights"),
    )
    op.create_table(
        "members",
        sa.Column("wedding", name, nullable=False),
        sa.Column("user", name, nullable=False),
        *_person(),
        sa.Column("added_by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("removed_at", moment),
        sa.PrimaryKeyConstraint("wedding", "user", name="pk_members"),
    )
    op.create_table(
        "invitations",
        sa.Column("code", digest, nullable=False),
        sa.Column("wedding", name, nullable=False),
        sa.Column("id", name, nullable=False),
        sa.Column("user", name, nullable=False),
        *_person(),
        sa.Column("invited_by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("expires", moment, nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_invitations"),
    )
    op.create_index("ix_invitations_wedding_id", "invitations", ["wedding", "id"])
    _create_devices()
    _create_grants()
    op.create_table(
        "audit",
        sa.Column("wedding", name, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("actor", name, nullable=False),
        sa.Column("action", name, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", digest, nullable=False),
        sa.Column("digest", digest, nullable=False),
        sa.CheckConstraint("seq >= 1", name="seq"),
        sa.PrimaryKeyConstraint("wedding", "seq", name="pk_audit"),
    )


def _create_devices() -> None:
    op.create_table(
        "devices",
        sa.Column("device", name, nullable=False),
        sa.Column("wedding", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("label", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", moment),
        sa.PrimaryKeyConstraint("device", name="pk_devices"),
    )
    op.create_index("ix_devices_wedding_user", "devices", ["wedding", "user"])
    op.create_table(
        "refresh_tokens",
        sa.Column("token", digest, nullable=False),
        sa.Column("device", name, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_refresh_tokens"),
    )
    op.create_index("ix_refresh_tokens_device_generation", "refresh_tokens", ["device", "generation"])


def _create_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("wedding", name, nullable=False),
        sa.Column("id", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("what", name, nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("given_by", name, nullable=False),
        sa.Column("given_at", moment),
        sa.Column("until", moment),
        sa.Column("ended_at", moment),
        sa.PrimaryKeyConstraint("wedding", "id", name="pk_grants"),
    )
    op.create_table(
        "policy_overrides",
        sa.Column("wedding", name, nullable=False),
        sa.Column("role", name, nullable=False),
        sa.Column("category", name, nullable=False),
        sa.Column("rights", name, nullable=False),
        sa.Column("by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "role", "category", name="pk_policy_overrides"),
    )
