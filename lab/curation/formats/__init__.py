"""Labelled prompts as files: one module a format, ``export`` writes them, ``load`` reads and checks them."""
