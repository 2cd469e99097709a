"""Patches of images: where they lie, which features they show, what is said of each."""
