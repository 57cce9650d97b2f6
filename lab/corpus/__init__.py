"""Corpus: reading, health, near-duplicates, split."""
