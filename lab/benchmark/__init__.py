"""Benchmark: queries to OpenAI-compatible endpoints, answers scored, outcomes written as they arrive."""
