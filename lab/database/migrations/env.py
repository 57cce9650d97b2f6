"""Alembic's entry: migrates the connection that lab.database.connect hands over; offline use has none."""

from __future__ import annotations

from alembic import context

from lab.database.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
