"""Measurements: each module is a command that prints its figures beside a peer or a limit, taken in one run."""
