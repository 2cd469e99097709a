"""`finnex train`."""

from finnex.cli.terminal import ConfigOption


def train(config: ConfigOption) -> None:
    """Train."""
