"""Choosing the model for a query: outcomes, features, algorithms, files, judgement, decisions."""
