"""Tests, one folder a room; `helpers` is what they share."""
