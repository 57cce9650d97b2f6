"""The decisions part of a semantic-router configuration: read, checked, evaluated."""
