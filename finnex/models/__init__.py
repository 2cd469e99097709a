"""Networks over mega-images."""

from finnex.models.multiscale_cnn import FinNeXMultiScaleCNN

__all__ = ["FinNeXMultiScaleCNN"]
