"""`FinNeXCNNTrainer`: from images to patches, parts, and a trained network; thin over the modules that do the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from torch import nn

from finnex.config import LabelSettings
from finnex.config.training import TrainingSettings
from finnex.datasets.exported_folder import export_folder
from finnex.datasets.image_source import Image
from finnex.datasets.open_images import open_images
from finnex.datasets.parts import PatchPart, split_parts
from finnex.datasets.patch_data import Patches, PatchMetadata
from finnex.datasets.samples import CLASSES
from finnex.errors import LayoutError, TrainingError
from finnex.layout import Layout
from finnex.patches.describe import MarketContext, describe, regime_word
from finnex.patches.grid import PATCH_PX, extract_patches, patch_grid
from finnex.training.part_training import train_on_parts
from finnex.training.reports import EpochReport, tell_epoch
from finnex.training.training_plan import check_plan, read_training_config

OF_METADATA = {
    "sentiment_score": "aggregated_sentiment", "sentiment_variance": "sentiment_volatility",
    "news_volume": "news_intensity", "social_metrics": "social_engagement",
    "correlation_strength": "sentiment_price_correlation", "technical_momentum": "momentum_signals",
}  # fmt: skip
"""The specification's inner names of patch features to those of its metadata."""


class FinNeXCNNTrainer:
    """Trains networks on the patches of one symbol's mega-images.

    Parameters
    ----------
    mega_images
        What `create_mega_image_batch` returned; the path of an image store, `s3://` too; or a folder with
        `mega_images_full.npy` and the other files that `finnex.datasets.exported_folder` lists.
    patch_size
        Side of a patch in pixels.
    symbol
        Which company of a store that holds several.
    layout
        Name or layout of images that do not name it.
    labels
        Kind and horizon of the labels of a store; by default the default label.

    Attributes
    ----------
    images
        The images with their dates, labels and layout.
    grid
        The patches of the layout.
    patches_per_image
        How many patches an image has.
    labels
        (images,) 0 sell, 1 hold, 2 buy, -1 not known yet.
    history
        Reports of the last training's epochs.

    Raises
    ------
    TrainingError, StoreError, LayoutError
        With everything that is missing or does not fit.

    Examples
    --------
    >>> trainer = FinNeXCNNTrainer("images.zarr", labels=LabelSettings(horizon=1))
    >>> patches, labels, patch_metadata = trainer.create_patch_dataset()
    >>> patches.shape, trainer.identify_patch_section(0, 0)
    ((3072, 32, 32, 3), 'macro_economic')
    >>> context = trainer.market_context(0)
    >>> found = trainer.generate_patch_features(trainer.extract_patches(context.image), 0)
    >>> found["sentiment_score"].shape
    (256,)
    >>> parts = trainer.create_train_val_test_split(patches, labels, patch_metadata, 0.6, 0.2, 0.2, embargo_sessions=0)
    >>> [len(part.labels) for part in parts]
    [1792, 768, 512]
    >>> class Linear(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.weights = nn.Linear(3, 3)
    ...     def forward(self, x):
    ...         means = x.float().mean(dim=(2, 3))
    ...         return self.weights(means), means[:, None]
    >>> plan = {"model_architecture": "Linear", "training_params": {"epochs": 1, "warmup_epochs": 0}}
    >>> model = trainer.train_model(Linear(), parts[0], parts[1], plan, on_epoch=None)
    >>> len(trainer.history), trainer.export("exported").name
    (1, 'exported')
    """

    def __init__(
        self,
        mega_images: xr.DataArray | str | Path,
        patch_size: int = PATCH_PX,
        *,
        symbol: str | None = None,
        layout: Layout | str | None = None,
        labels: LabelSettings | None = None,
    ) -> None:
        self.mega_images, self.patch_size = mega_images, patch_size
        self.images = open_images(mega_images, symbol, layout, labels)
        self.grid = patch_grid(self.images.layout, patch_size)
        self.patches_per_image = len(self.grid)
        self.labels = self.images.label
        self.history: tuple[EpochReport, ...] = ()

    def create_patch_dataset(self) -> tuple[Patches, npt.NDArray[np.int64], PatchMetadata]:
        """Return all patches with the label of their session and their metadata.

        Returns
        -------
        patches
            (patches, patch_size, patch_size, channel) float32, read when used.
        labels
            (patches,) int64; -1 for patches of sessions whose outcome is not known, which no part will contain.
        patch_metadata
            One dictionary a patch, computed when used: nine metadata fields, the enhanced features, symbol, date,
            label_end, forward_return, patch. docs/patches.md defines every number.
        """
        patches = Patches(self.images, self.patch_size)
        return patches, np.repeat(self.labels, len(self.grid)), PatchMetadata.of(self.images, self.grid)

    def identify_patch_section(self, row: int, col: int) -> str:
        """Return the section that holds most of a patch's rows.

        Parameters
        ----------
        row, col
            Place of the patch in the grid, from 0 at the top left.

        Returns
        -------
        str
            Name of the section in the layout.
        """
        return self.grid.at(row, col).section

    def extract_patches(self, mega_image: Image, patch_size: int | None = None) -> Image:
        """Cut an image into its patches, (patches, patch_size, patch_size, channel).

        Parameters
        ----------
        mega_image
            (y, x, channel).
        patch_size
            Side of a patch in pixels, by default the trainer's; it divides height and width.

        Returns
        -------
        numpy.ndarray
            Row by row from the top left.
        """
        return extract_patches(mega_image, patch_size or self.patch_size)

    def generate_patch_features(self, image_patches: Image, img_idx: int) -> dict[str, Any]:
        """Return the metadata of the patches of one image, under the specification's names.

        Parameters
        ----------
        image_patches
            The patches of that image.
        img_idx
            Position of the image.

        Returns
        -------
        dict
            sentiment_score, sentiment_variance, news_volume, social_metrics, correlation_strength and
            technical_momentum, each (patches,) with NaN where not known; market_regime, a list of words.

        Raises
        ------
        LayoutError
            They are not the patches of that image.
        """
        if not np.array_equal(extract_patches(self.images.image(img_idx), self.patch_size), image_patches):
            raise LayoutError(f"these are not the patches of image {img_idx}. Give the patches of that image.")
        found = describe(self.grid, self.images.panel, self.images.days[[img_idx]])
        features: dict[str, Any] = {name: found.columns[ours][0] for name, ours in OF_METADATA.items()}
        return features | {"market_regime": [regime_word(code) for code in found.regime[0].tolist()]}

    def market_context(self, img_idx: int) -> MarketContext:
        """Return the session in which `generate_enhanced_patch_features` describes a patch.

        Parameters
        ----------
        img_idx
            Position of the image.

        Returns
        -------
        MarketContext
            The session's image, and the features up to it.
        """
        images = self.images
        return MarketContext(self.grid, images.panel, images.days[img_idx], images.image(img_idx))

    def create_train_val_test_split(
        self,
        patches: Patches | npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        patch_metadata: Sequence[Mapping[str, Any]],
        train_ratio: float = 0.8,
        val_ratio: float = 0.1,
        test_ratio: float = 0.1,
        temporal_split: bool = True,
        *,
        embargo_sessions: int = TrainingSettings().embargo_sessions,
        seed: int = 0,
    ) -> tuple[PatchPart, PatchPart, PatchPart]:
        """Cut the data set between sessions into training, validation and test part.

        Parameters
        ----------
        patches, labels, patch_metadata
            What `create_patch_dataset` returned, or the same of your own: one entry a patch.
        train_ratio, val_ratio, test_ratio
            Shares of the sessions whose label is known; they add up to 1.
        temporal_split
            In time: labels that end less than an embargo before the next part begins are left out. False cuts at
            random dates, which warns: neighbouring images share all but one session and labels overlap, so scores on
            such parts are no evidence.
        embargo_sessions
            Sessions between the end of a part's last label and the next part.
        seed
            Of the random dates.

        Returns
        -------
        tuple of PatchPart
            Each unpacks into (patches, labels, metadata), in order of time.

        Raises
        ------
        TrainingError
            Ratios that do not add up, too few sessions, or labels without their ends.
        """
        return split_parts(
            patches, labels, patch_metadata, train_ratio=train_ratio, val_ratio=val_ratio, test_ratio=test_ratio,
            temporal_split=temporal_split, embargo_sessions=embargo_sessions, seed=seed,
        )  # fmt: skip

    def train_model(
        self,
        model: nn.Module,
        train_data: PatchPart,
        val_data: PatchPart,
        config: Mapping[str, Any] | None = None,
        *,
        folder: Path | None = None,
        on_epoch: Callable[[EpochReport], None] | None = tell_epoch,
    ) -> nn.Module:
        """Train a network; it keeps the weights of the epoch with the lowest validation loss, judged by session.

        A network that takes whole images (it has an `image_size`) is fed with the images of the parts; any other with
        patches, and is given the patch's number where its forward takes `patch`.

        Parameters
        ----------
        model
            Its forward takes pixels (B, C, H, W), float16 or float32, and returns logits (B, classes) first.
        train_data, val_data
            Parts that `create_train_val_test_split` returned.
        config
            A `training_config`; missing keys have the specification's values.
        folder
            Where checkpoints are kept, and from which an interrupted training is resumed. Patches and labels are
            compared and must be the same.
        on_epoch
            Called with every epoch; prints a line by default, None is silent.

        Returns
        -------
        torch.nn.Module
            The same network, trained, in evaluation mode.

        Raises
        ------
        ConfigError
            With everything in `config` that is unknown or does not fit images, patches or network.
        TrainingError
            One class only, a label that is not known yet, a loss that is not a number, a store that changed
            during training, or a `folder` with the checkpoint of another training.
        """
        plan = read_training_config(config)
        check_plan(plan, type(model).__name__, self.images.shape, self.patch_size)
        if len(found := np.unique(train_data.labels)) < 2:
            raise TrainingError(
                f"all training patches are of the class '{CLASSES[int(found[0])]}'; a network learns from two or more. "
                "Draw more sessions, or change threshold_volatility in [labels]."
            )
        images, version = self.images, self.images.version

        def check() -> None:
            if (now := images.version) != version:
                raise TrainingError(
                    f"{images.origin} changed while a network was trained on it: version {version} became {now}. "
                    "Train again when no build is running."
                )

        about = {
            "layout_hash": images.layout.hash, "symbol": images.symbol, "fingerprint": version,
            "label_kind": images.label_kind, "horizon": images.horizon,
        }  # fmt: skip
        self.history = train_on_parts(
            model, PatchPart(*train_data), PatchPart(*val_data), plan.settings, plan.augmentation,
            plan.patches_per_session, folder, about, check, on_epoch or (lambda report: None),
        )  # fmt: skip
        check()
        return model.eval()

    def export(self, folder: str | Path) -> Path:
        """Write the images and what belongs to them as plain NumPy files; `FinNeXCNNTrainer(folder)` opens them.

        Parameters
        ----------
        folder
            Folder to make.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        ExportError
            The folder is there and not empty.
        """
        export_folder(self.images, Path(folder))
        return Path(folder)
