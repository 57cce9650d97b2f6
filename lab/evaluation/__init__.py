"""Evaluation: metrics with intervals, reports bound to what they were made from."""
