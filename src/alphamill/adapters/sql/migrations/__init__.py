"""Alembic's history of the schema. `alphamill.adapters.sql.schema.upgrade` runs it."""
