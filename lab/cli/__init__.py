"""Command line. Each command is a thin coat over the workbench."""
