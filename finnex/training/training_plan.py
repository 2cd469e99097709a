"""The specification's `training_config`: the dictionary, and the plan it describes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from finnex.config.training import AUGMENTATION_PRESETS, TRAINING_PRESETS, AugmentationSettings, TrainingSettings
from finnex.datasets.samples import CLASSES
from finnex.errors import ConfigError, nearest

Settings = TypeVar("Settings", bound=BaseModel)

PRINTED = ("batch_size", "learning_rate", "weight_decay", "epochs", "warmup_epochs")
"""What the specification prints of a training; `preset = "specification"` of [training] has the same values."""

training_config: dict[str, Any] = {
    "model_architecture": "FinNeXMultiScaleCNN",
    "input_shape": (3, 512, 512),  # channels, height, width
    "patch_size": 32,
    "num_classes": 3,  # sell, hold, buy
    "training_params": {  # a batch consists of the network's inputs: patches, or whole images
        **{name: TRAINING_PRESETS["specification"][name] for name in PRINTED},
        "scheduler": "cosine_annealing",
    },
    "data_augmentation": dict(AUGMENTATION_PRESETS["specification"]),
    "evaluation_metrics": [
        "accuracy", "precision", "recall", "f1_score", "sharpe_ratio", "max_drawdown", "win_rate", "confusion_matrix",
        "classification_report",
    ],
}  # fmt: skip
"""The specification's values. Copy and change it; what a dictionary does not say, `train_model` takes from here."""

EVALUATION_METRICS = (*training_config["evaluation_metrics"], "balanced_accuracy", "mcc", "log_loss", "volatility")
SCHEDULERS = ("cosine_annealing",)
FURTHER = ("label_smoothing", "gradient_clip", "patience_epochs", "class_weights", "seed", "threads")
"""Keys of [training] that `training_params` may give besides the specification's."""
OWN = ("patches_per_session",)
"""How many of a session's patches an epoch uses, chosen anew each time; all where it is absent or None."""


@dataclass(frozen=True)
class TrainingPlan:
    """The plan that a `training_config` describes.

    Attributes
    ----------
    input_shape
        Channels, height, width of the images.
    settings, augmentation
        What the training loop takes.
    evaluation_metrics
        What `evaluate_finnex_model` is to return: pass them as its `metrics`.
    patches_per_session
        How many of a session's patches an epoch uses; None for all.
    model_architecture
        Name of the network's class.
    patch_size
        Side of a patch in pixels.
    num_classes
        Number of classes.

    Examples
    --------
    >>> plan = read_training_config({"training_params": {"epochs": 3, "warmup_epochs": 1}})
    >>> plan.settings.epochs, plan.patch_size, plan.input_shape
    (3, 32, (3, 512, 512))
    """

    model_architecture: str
    input_shape: tuple[int, int, int]
    patch_size: int
    num_classes: int
    settings: TrainingSettings
    augmentation: AugmentationSettings
    evaluation_metrics: tuple[str, ...]
    patches_per_session: int | None = None


def read_training_config(given: Mapping[str, Any] | None = None) -> TrainingPlan:
    """Check a `training_config`; what it does not say is the specification's.

    The specification has neither early stopping nor label smoothing: both are off unless `training_params` gives
    `patience_epochs` or `label_smoothing`.

    Parameters
    ----------
    given
        A dictionary with keys of `training_config`; None is the specification's own.

    Returns
    -------
    TrainingPlan
        Every value, checked.

    Raises
    ------
    ConfigError
        With every unknown key (and the nearest that is known) and every value that cannot be used.

    Examples
    --------
    >>> read_training_config({"training_params": {"batch_size": 16}}).settings.batch_size
    16
    >>> read_training_config({"epochs": 3})
    Traceback (most recent call last):
    ...
    finnex.errors.ConfigError: training_config: unknown key 'epochs'. ...
    """
    given = given or {}
    problems = _unknown(given, training_config, "")
    whole = copy.deepcopy(training_config)
    for key, value in given.items():
        if key not in whole:
            continue
        if isinstance(whole[key], dict):
            if not isinstance(value, Mapping):
                problems.append(f"{key} is {value!r}; it must be a dictionary")
                continue
            further = (*FURTHER, *OWN) if key == "training_params" else ()
            problems += _unknown(value, (*whole[key], *further), f"{key}.")
            whole[key] |= value
        else:
            whole[key] = value
    params = dict(whole["training_params"])
    scheduler = params.pop("scheduler")
    if scheduler not in SCHEDULERS:
        problems.append(f"training_params.scheduler '{scheduler}' is unknown. {nearest(str(scheduler), SCHEDULERS)}")
    per_session = params.pop("patches_per_session", None)
    if per_session is not None and (type(per_session) is not int or per_session < 1):
        problems.append(f"training_params.patches_per_session is {per_session!r}; it must be a whole number above 0")
    epochs = params["epochs"]
    params = {"label_smoothing": 0.0, "patience_epochs": epochs if type(epochs) is int and epochs > 0 else 1} | params
    known = {key: value for key, value in params.items() if key in TrainingSettings.model_fields}
    settings = _checked(TrainingSettings, known, "training_params", problems)
    known = {k: v for k, v in whole["data_augmentation"].items() if k in AugmentationSettings.model_fields}
    augmentation = _checked(AugmentationSettings, known, "data_augmentation", problems)
    metrics = whole["evaluation_metrics"]
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        problems.append(f"evaluation_metrics is {metrics!r}; it must be a list of names")
        metrics = ()
    problems += [
        f"evaluation_metrics: '{name}' is unknown. {nearest(str(name), EVALUATION_METRICS)}"
        for name in metrics
        if name not in EVALUATION_METRICS
    ]
    for key in ("patch_size", "num_classes"):
        if type(whole[key]) is not int or whole[key] < 1:
            problems.append(f"{key} is {whole[key]!r}; it must be a whole number above 0")
    shape = tuple(whole["input_shape"]) if isinstance(whole["input_shape"], Iterable) else ()
    if len(shape) != 3 or any(type(side) is not int for side in shape):
        problems.append(f"input_shape is {whole['input_shape']!r}; it must be (channels, height, width)")
    if problems or settings is None or augmentation is None:
        ended = [problem if problem.endswith((".", "?")) else f"{problem}." for problem in problems]
        raise ConfigError("\n".join(f"training_config: {problem}" for problem in ended))
    return TrainingPlan(
        str(whole["model_architecture"]), (shape[0], shape[1], shape[2]), whole["patch_size"], whole["num_classes"],
        settings, augmentation, tuple(metrics), per_session,
    )  # fmt: skip


def check_plan(plan: TrainingPlan, model: str, images: tuple[int, int, int, int], patch_px: int) -> None:
    """Compare a plan with what is trained, and on what.

    Parameters
    ----------
    plan
        The plan of a `training_config`.
    model
        Name of the network's class.
    images
        Number, height, width and channels of the images.
    patch_px
        Side of a patch in pixels.

    Raises
    ------
    ConfigError
        With everything in which they differ.
    """
    _, height, width, channels = images
    facts = {
        "model_architecture": (plan.model_architecture, model, "the model"),
        "input_shape": (plan.input_shape, (channels, height, width), "the images"),
        "patch_size": (plan.patch_size, patch_px, "the trainer"),
        "num_classes": (plan.num_classes, len(CLASSES), "the labels"),
    }
    wrong = [
        f"training_config: {key} is {said!r}, {whose} has {is_!r}. Make them agree."
        for key, (said, is_, whose) in facts.items()
        if said != is_
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))


def _unknown(given: Mapping[str, Any], known: Iterable[str], where: str) -> list[str]:
    valid = list(known)
    return [f"unknown key '{where}{key}'. {nearest(str(key), valid)}" for key in given if key not in valid]


def _checked(kind: type[Settings], values: Mapping[str, Any], where: str, problems: list[str]) -> Settings | None:
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        for item in error.errors():
            name = ".".join(str(part) for part in item["loc"])
            problems.append(f"{where}.{name}: {item['msg']} (value: {item['input']!r})")
        return None
