"""The domain router: head, folder format, recipes, training, calibration, decision, explanation."""
