"""The database below everything that people write: schema, connection, migrations. No rule of the product."""
