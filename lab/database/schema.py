"""Every table. Times are UTC as ISO 8601 text, which sorts; JSON is text written by lab.files.canonical."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)
KEY = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def _text(name: str, default: str | None = "", **options) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, **({} if default is None else {"server_default": default}), **options)


prompts = sa.Table(
    "prompts",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),  # lab.text.prepare.text_id
    _text("text", None),
    _text("language"),
    _text("source"),
    _text("licence"),
    _text("part"),
    _text("split"),
    _text("origin", None),
    _text("added_at_utc", None),
)

labels = sa.Table(  # the fold of the events of each prompt, kept in the same transaction
    "labels",
    METADATA,
    sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), primary_key=True),
    sa.Column("domain", sa.Text, index=True),
    _text("also", "[]"),
    sa.Column("routable", sa.Boolean, nullable=False),
    sa.Column("flagged", sa.Boolean, nullable=False, index=True),
    sa.Column("event_id", KEY, nullable=False),
)

batches = sa.Table(
    "batches",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    _text("at_utc", None),
    _text("who", None),
    sa.Column("verified", sa.Boolean, nullable=False),
    _text("kind", None),
    _text("title", None),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("reverts", sa.String(32), sa.ForeignKey("batches.id"), unique=True),
    _text("detail", "{}"),
)

events = sa.Table(  # append-only
    "events",
    METADATA,
    sa.Column("id", KEY, primary_key=True, autoincrement=True),
    _text("at_utc", None),
    _text("who", None),
    sa.Column("verified", sa.Boolean, nullable=False),
    sa.Column("session", sa.String(64), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), nullable=False, index=True),
    _text("action", None),
    _text("before", None),
    _text("after", None),
    sa.Column("changed", sa.Boolean, nullable=False),
    _text("reason"),
    _text("queue"),
    sa.Column("batch_id", sa.String(32), sa.ForeignKey("batches.id"), index=True),
    _text("model", "{}"),
    sa.Column("undoes", KEY, sa.ForeignKey("events.id"), index=True),
    sa.UniqueConstraint("session", "seq"),
    sqlite_autoincrement=True,
)
sa.Index("ix_events_who", events.c.who, events.c.prompt_id)

conflicts = sa.Table(  # decisions that were refused because the label had changed under them: nothing is lost
    "conflicts",
    METADATA,
    sa.Column("id", KEY, primary_key=True, autoincrement=True),
    _text("at_utc", None),
    _text("who", None),
    sa.Column("session", sa.String(64), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), nullable=False, index=True),
    _text("action", None),
    _text("seen", None),
    _text("wanted", None),
    _text("found", None),
    _text("message", None),
    _text("queue"),
    sa.Column("closed_at_utc", sa.Text),
    sa.Column("closed_by", sa.Text),
    sa.UniqueConstraint("session", "seq"),
    sqlite_autoincrement=True,
)

leases = sa.Table(  # a prompt is on one desk at a time
    "leases",
    METADATA,
    sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), primary_key=True),
    _text("queue", None),
    sa.Column("session", sa.String(64), nullable=False, index=True),
    _text("who", None),
    _text("until_utc", None),
)

queues = sa.Table(
    "queues",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    _text("built_at_utc", None),
    _text("built_by", None),
    sa.Column("after_event", KEY, nullable=False),  # the newest event that the build saw
    _text("bound_to", "{}"),
    _text("note"),
)

queue_items = sa.Table(
    "queue_items",
    METADATA,
    sa.Column("queue", sa.String(64), primary_key=True),
    sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), primary_key=True, index=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    _text("reason"),
    sa.Column("suggestion", sa.Text),
    _text("detail", "{}"),
    sa.Column("done_by", KEY, sa.ForeignKey("events.id")),  # the event that decided it
)
sa.Index("ix_queue_items_queue_place", queue_items.c.queue, queue_items.c.place)
sa.Index("ix_queue_items_done_by", queue_items.c.done_by)

selections = sa.Table(  # prompts sent from a view to a queue
    "selections",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    _text("made_at_utc", None),
    _text("who"),
    _text("origin", None),
    _text("title", None),
    _text("link"),
    _text("text_ids", None),
)

traffic = sa.Table(  # one row a prompt seen by a gateway, masked
    "traffic",
    METADATA,
    sa.Column("prompt_id", sa.String(64), sa.ForeignKey("prompts.id"), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("first_at", sa.Text),
    sa.Column("last_at", sa.Text),
    sa.Column("domain", sa.Text),
    sa.Column("score", sa.Float),
    sa.Column("model", sa.Text),
    sa.Column("feedback", sa.Text),
    sa.Column("batch_id", sa.String(32), sa.ForeignKey("batches.id")),
)

taxonomies = sa.Table(
    "taxonomies",
    METADATA,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    _text("at_utc", None),
    _text("who", None),
    _text("kind", None),
    _text("title", None),
    _text("taxonomy", None),
    _text("backends", None),
    sa.Column("batch_id", sa.String(32), sa.ForeignKey("batches.id")),
)

jobs = sa.Table(  # work of a process of its own; closed vocabulary of states, a beat that counts up while it lives
    "jobs",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    _text("kind", None),
    _text("params", "{}"),
    sa.Column("status", sa.String(16), nullable=False, index=True),
    _text("created_at_utc", None),
    _text("who", None),
    sa.Column("verified", sa.Boolean, nullable=False),
    sa.Column("started_at_utc", sa.Text),
    sa.Column("finished_at_utc", sa.Text),
    _text("worker"),
    sa.Column("beat", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cancel", sa.Boolean, nullable=False, server_default=sa.false()),
    _text("stage"),
    sa.Column("done", sa.Integer, nullable=False, server_default="0"),
    sa.Column("total", sa.Integer, nullable=False, server_default="0"),
    _text("result", "{}"),
    _text("error"),
)

job_log = sa.Table(  # lines and points of curves, in order
    "job_log",
    METADATA,
    sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    _text("at_utc", None),
    _text("kind", None),
    _text("value", None),
)

promotions = sa.Table(  # append-only; the last row of a kind says which version serves
    "promotions",
    METADATA,
    sa.Column("id", KEY, primary_key=True, autoincrement=True),
    _text("at_utc", None),
    _text("who", None),
    sa.Column("verified", sa.Boolean, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("version", sa.String(80), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # 1, 2, 3 … of the kind: two people cannot take the same step
    _text("replaced"),
    _text("action", None),
    _text("verdict", "{}"),
    _text("reason"),
    sa.UniqueConstraint("kind", "number"),
    sqlite_autoincrement=True,
)
