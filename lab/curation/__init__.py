"""Curation: selections made on pages, waiting for a queue."""
