"""Scores of answers, one module a family of metrics (spec selectors.md §6)."""
