"""The sections `[training]` and `[augmentation]`: how a network is trained, and on which parts of time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from finnex.config.section import PositiveInt, Section

Probability = Annotated[float, Field(ge=0, le=1)]

BaselineName = Literal[
    "majority", "persistence", "logistic_regression", "logistic_regression_lags", "boosted_trees", "boosted_trees_lags"
]
ComparedLayout = Literal["price_only", "sentiment_only", "candlestick", "chart"]

TRAINING_PRESETS: dict[str, dict[str, Any]] = {
    "specification": {
        "batch_size": 16,
        "learning_rate": 1e-4,
        "weight_decay": 1e-5,
        "epochs": 100,
        "warmup_epochs": 10,
        "patience_epochs": 100,  # it knows no early stopping and no label smoothing
        "label_smoothing": 0.0,
        "train_fraction": 0.8,
        "validation_fraction": 0.1,
    }
}
AUGMENTATION_PRESETS: dict[str, dict[str, Any]] = {
    "specification": {
        "random_horizontal_flip": 0.5,
        "random_vertical_flip": 0.3,
        "color_jitter": (0.1, 0.1, 0.1, 0.05),
        "gaussian_noise": 0.02,
        "mixup_alpha": 0.2,
    }
}
"""Values by the name of a preset; keys that are given go before them."""


class TrainingSettings(Section):
    """How the network is trained, where the data is cut, and how many trainings make a study."""

    preset: Literal["specification"] | None = None
    """The specification's values for every key of [training] and [augmentation] that is not given."""
    input: Literal["images", "patches"] = "images"
    """`patches` cuts each image into squares; their votes are pooled to the session."""
    task: Literal["class", "class_and_return"] = "class"
    return_weight: Annotated[float, Field(gt=0, le=100)] = 0.5
    """Of the return's loss, relative to that of the classes, for `class_and_return`."""
    epochs: PositiveInt = 12
    batch_size: PositiveInt = 16
    """Images (or patches) of one step of one process."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 1e-2
    warmup_epochs: Annotated[int, Field(ge=0)] = 1
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    patience_epochs: PositiveInt = 5
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weighs rare classes up; probabilities then no longer follow the classes' frequencies."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` is mixed precision on a CUDA device and float32 elsewhere."""
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.7
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    folds: PositiveInt = 1
    """Steps in which the sessions after the first two parts are tested; each step trains anew on earlier sessions."""
    window: Literal["expanding", "rolling"] = "expanding"
    """Whether later folds train on all earlier sessions, or on as many as the first."""
    embargo_sessions: Annotated[int, Field(ge=0)] = 5
    every_sessions: PositiveInt = 1
    """Only every so-many-th session of the store's calendar is trained on: outcomes that do not overlap."""
    samples_per_epoch: PositiveInt | None = None
    """Samples that an epoch draws; absent, all. None is used again before all were."""
    balance: Literal["none", "date", "company"] = "none"
    """Whether an epoch draws from every date, or every company, equally often."""
    seed: Annotated[int, Field(ge=0)] = 7
    seeds: PositiveInt = 1
    """Trainings of each fold: with `seed`, `seed` + 1, ..."""
    baselines: tuple[BaselineName, ...] = (
        "majority", "persistence", "logistic_regression", "logistic_regression_lags", "boosted_trees",
        "boosted_trees_lags",
    )  # fmt: skip
    compare: tuple[ComparedLayout, ...] = ()
    """Layouts on which the same network is trained too, with the same folds, sessions and seeds."""
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 5.0
    """Between two checkpoints of a training; Ctrl-C and the end of an epoch write one anyway."""
    readers: Annotated[int, Field(ge=0)] = 0
    """Processes that read images the memory does not hold; with 0 a thread does, which is enough for a local disk."""
    threads: PositiveInt | None = None
    """Threads of the network's arithmetic; absent, one less than there are cores."""

    @model_validator(mode="before")
    @classmethod
    def _preset_below_given(cls, given: Any) -> Any:
        preset = given.get("preset") if isinstance(given, dict) else None
        return TRAINING_PRESETS[preset] | given if isinstance(preset, str) and preset in TRAINING_PRESETS else given

    @model_validator(mode="after")
    def _some_sessions_are_left_to_test(self) -> TrainingSettings:
        if self.train_fraction + self.validation_fraction >= 1:
            raise ValueError("train_fraction + validation_fraction leave nothing to test on; keep below 1")
        return self

    @model_validator(mode="after")
    def _names_once(self) -> TrainingSettings:
        for key in ("baselines", "compare"):
            names = getattr(self, key)
            if len(set(names)) < len(names):
                raise ValueError(f"{key} names one thing twice; name each once")
        return self


class AugmentationSettings(Section):
    """How training images are altered at random; all off by default (docs/training.md says why)."""

    random_horizontal_flip: Probability = 0.0
    """Share of images whose time runs backwards."""
    random_vertical_flip: Probability = 0.0
    """Share of images whose rows are turned upside down."""
    color_jitter: tuple[Probability, Probability, Probability, Annotated[float, Field(ge=0, le=0.5)]] = (
        0.0,
        0.0,
        0.0,
        0.0,
    )
    """Greatest change of brightness, contrast, saturation and hue. The last two mix the channels."""
    gaussian_noise: Probability = 0.0
    """Standard deviation, of pixels in [0, 1]."""
    mixup_alpha: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Two images and their labels are mixed in shares drawn from Beta(alpha, alpha)."""

    @property
    def any(self) -> bool:
        """Whether images are altered at all."""
        return self != AugmentationSettings()
