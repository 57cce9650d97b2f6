"""Curation: prompts, labels as the fold of append-only events, leases, queues, batches, traffic, taxonomies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("reverts", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["reverts"], ["batches.id"], name=op.f("fk_batches_reverts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("reverts", name=op.f("uq_batches_reverts")),
    )
    op.create_table(
        "prompts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("licence", sa.Text(), server_default="", nullable=False),
        sa.Column("part", sa.Text(), server_default="", nullable=False),
        sa.Column("split", sa.Text(), server_default="", nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("added_at_utc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
    )
    op.create_table(
        "queues",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("built_at_utc", sa.Text(), nullable=False),
        sa.Column("built_by", sa.Text(), nullable=False),
        sa.Column("after_event", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), nullable=False),
        sa.Column("bound_to", sa.Text(), server_default="{}", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_queues")),
    )
    op.create_table(
        "selections",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("made_at_utc", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), server_default="", nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), server_default="", nullable=False),
        sa.Column("text_ids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selections")),
    )
    op.create_table(
        "conflicts",
        sa.Column("id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), autoincrement=True, nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), server_default="", nullable=False),
        sa.Column("closed_at_utc", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_conflicts_prompt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflicts")),
        sa.UniqueConstraint("session", "seq", name=op.f("uq_conflicts_session_seq")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_conflicts_prompt_id"), "conflicts", ["prompt_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), autoincrement=True, nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("queue", sa.Text(), server_default="", nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=True),
        sa.Column("model", sa.Text(), server_default="{}", nullable=False),
        sa.Column("undoes", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_events_batch_id")),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_events_prompt_id")),
        sa.ForeignKeyConstraint(["undoes"], ["events.id"], name=op.f("fk_events_undoes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("session", "seq", name=op.f("uq_events_session_seq")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_batch_id"), "events", ["batch_id"], unique=False)
    op.create_index(op.f("ix_events_prompt_id"), "events", ["prompt_id"], unique=False)
    op.create_index(op.f("ix_events_undoes"), "events", ["undoes"], unique=False)
    op.create_index("ix_events_who", "events", ["who", "prompt_id"], unique=False)
    op.create_table(
        "labels",
        sa.Column("prompt_id", sa.String(length=64), nullable=False),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("also", sa.Text(), server_default="[]", nullable=False),
        sa.Column("routable", sa.Boolean(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("event_id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_labels_prompt_id")),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_labels")),
    )
    op.create_index(op.f("ix_labels_domain"), "labels", ["domain"], unique=False)
    op.create_index(op.f("ix_labels_flagged"), "labels", ["flagged"], unique=False)
    op.create_table(
        "leases",
        sa.Column("prompt_id", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("until_utc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_leases_prompt_id")),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_leases")),
    )
    op.create_index(op.f("ix_leases_session"), "leases", ["session"], unique=False)
    op.create_table(
        "taxonomies",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("taxonomy", sa.Text(), nullable=False),
        sa.Column("backends", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_taxonomies_batch_id")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_taxonomies")),
    )
    op.create_table(
        "traffic",
        sa.Column("prompt_id", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Text(), nullable=True),
        sa.Column("last_at", sa.Text(), nullable=True),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("feedback", sa.Text(), nullable=True),
        sa.Column("batch_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_traffic_batch_id")),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_traffic_prompt_id")),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_traffic")),
    )
    op.create_table(
        "queue_items",
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("prompt_id", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("suggestion", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.Column("done_by", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), nullable=True),
        sa.ForeignKeyConstraint(["done_by"], ["events.id"], name=op.f("fk_queue_items_done_by")),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_queue_items_prompt_id")),
        sa.PrimaryKeyConstraint("queue", "prompt_id", name=op.f("pk_queue_items")),
    )
    op.create_index("ix_queue_items_done_by", "queue_items", ["done_by"], unique=False)
    op.create_index(op.f("ix_queue_items_prompt_id"), "queue_items", ["prompt_id"], unique=False)
    op.create_index("ix_queue_items_queue_place", "queue_items", ["queue", "place"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_queue_items_queue_place", table_name="queue_items")
    op.drop_index(op.f("ix_queue_items_prompt_id"), table_name="queue_items")
    op.drop_index("ix_queue_items_done_by", table_name="queue_items")
    op.drop_table("queue_items")
    op.drop_table("traffic")
    op.drop_table("taxonomies")
    op.drop_index(op.f("ix_leases_session"), table_name="leases")
    op.drop_table("leases")
    op.drop_index(op.f("ix_labels_flagged"), table_name="labels")
    op.drop_index(op.f("ix_labels_domain"), table_name="labels")
    op.drop_table("labels")
    op.drop_index("ix_events_who", table_name="events")
    op.drop_index(op.f("ix_events_undoes"), table_name="events")
    op.drop_index(op.f("ix_events_prompt_id"), table_name="events")
    op.drop_index(op.f("ix_events_batch_id"), table_name="events")
    op.drop_table("events")
    op.drop_index(op.f("ix_conflicts_prompt_id"), table_name="conflicts")
    op.drop_table("conflicts")
    op.drop_table("selections")
    op.drop_table("queues")
    op.drop_table("prompts")
    op.drop_table("batches")
