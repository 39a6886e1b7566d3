"""What Alembic runs: the caller's connection and its transaction, so that a migration is all or nothing."""

from alembic import context

from alphamill.adapters.sql.tables import metadata

connection = context.config.attributes.get("connection")
if context.is_offline_mode():
    context.configure(
        target_metadata=metadata, dialect_name=context.config.get_main_option("dialect"), literal_binds=True
    )
else:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
