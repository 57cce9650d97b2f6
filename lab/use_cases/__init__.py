"""The workbench in parts: opening, routing, evaluating, probing, mapping, training."""
