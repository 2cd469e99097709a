"""Networks over mega-images."""

from finnex.models.multiscale_cnn import FinNeXMultiScaleCNN
from finnex.models.vit import FinNeXViT

__all__ = ["FinNeXMultiScaleCNN", "FinNeXViT"]
