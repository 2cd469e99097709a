"""Patches of images: their positions, the features they show, their metadata."""
