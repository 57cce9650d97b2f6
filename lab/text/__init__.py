"""Text: preparation, language, encoders, vectors and their neighbours."""
