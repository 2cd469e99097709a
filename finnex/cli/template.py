"""The `finnex.toml` that `finnex init` and `finnex demo` write: every key, what it means, and its default."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from finnex.config import DaskSettings, LabelSettings, ModelSettings, StoreSettings
from finnex.config.trading import TradingSettings
from finnex.config.training import AugmentationSettings, TrainingSettings
from finnex.errors import ConfigError

FILE = "finnex.toml"

_TEMPLATE = """\
# FinNeX: one run. Paths are relative to this file's folder. A key behind '#' shows its default.
# Check your edits with: finnex inputs --config {file}

{symbols}
{start}
{end}
# exchange = "XNYS"          # ISO code of the exchange whose sessions count
# Sector funds: references, not competitors.
# sectors = ["XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY"]
# Competitors; absent: every other symbol of the prices table that is no sector fund.
# peers = []
# Where rows of a company are refused: "refuse" the run, or "leave out" that company (docs/operations.md).
# on_bad_company = "refuse"

[inputs]                     # CSV or Parquet: files, lists, patterns, folders (docs/inputs.md)
{inputs}
# Macro series that are market quotes, with minutes after the close until they are known. Every other series
# counts from the session after its `available_date`.
# quote_delay_minutes = {{ VIX = 15, SP500 = 0 }}   # absent: quotes of New York, as they are known at `exchange`
# Files with other names and words (docs/specification.md):
# preset = "specification"   # names and words of the enhanced, sentiment and competitive files
# columns = {{ sentiment = {{ score = "sentiment_score" }} }}   # our name = the file's name
# timestamp_zone = "America/New_York"   # of time stamps that carry no zone; absent: they are refused
# lexicon = "vader"          # or "loughran_mcdonald": scores records that have a text and no score
# enhanced_heatmaps = ["technical"]     # heat maps for enhanced columns that the catalogue does not know

[store]                      # a folder (~ and $NAME are expanded), or "s3://BUCKET/PREFIX"
{store}
# scrub_share = {scrub_share}      # part of the images that the first build of a day reads and compares; 1: all

[image]
# layout = "mega"            # a bundled layout, or a layout file of your own
# lookback = 56              # sessions an image shows; absent: the layout's own window
# blending = false           # blend sources by trust and regime: drawn nearer to neutral where they say less
# cross_section = false      # adds ranks among the members of the table of companies to the images
# catalogue = "my_catalogue.csv"   # a catalogue of your own; absent: the bundled one

[labels]                     # what a model is asked
# kind = "{labels.kind}"    # or "triple_barrier"; with companies "market_relative", "section_rank"
# horizon = {labels.horizon}                # sessions from the next open: 1, 3, 5, 10 or 20
# Buy above and Sell below this multiple of trailing volatility over the horizon.
# threshold_volatility = {labels.threshold_volatility}
# barrier_volatility = {labels.barrier_volatility}   # height of the two barriers of "triple_barrier"
# volatility_sessions = {labels.volatility_sessions}   # sessions of trailing volatility

[model]
# architecture = "{model.architecture}"   # or "vit", a transformer over patches
# preset = "{model.preset}"           # "small" trains on two cores in minutes, "base" is full-size

[training]
# preset = "specification"   # the specification's values for all that is not given, in [augmentation] too
# input = "{training.input}"         # or "patches" of 32 x 32 pixels, whose votes are pooled to the session
# task = "{training.task}"           # or "class_and_return"
# return_weight = {training.return_weight}        # of the return's loss, relative to that of the classes
{epochs}
# batch_size = {training.batch_size}
# learning_rate = {training.learning_rate}
# weight_decay = {training.weight_decay}
# warmup_epochs = {training.warmup_epochs}
# label_smoothing = {training.label_smoothing}
# gradient_clip = {training.gradient_clip}
# patience_epochs = {training.patience_epochs}        # epochs without a better validation before it stops
# train_fraction = {training.train_fraction}       # the sessions are cut in time: train, then validation, then test
# validation_fraction = {training.validation_fraction}
# folds = {training.folds}                  # steps in which the rest is tested; each trains anew on what came before
# window = "{training.window}"     # or "rolling": later folds train on as many sessions as the first
# Sessions left out between two parts, beyond those whose labels overlap.
# embargo_sessions = {training.embargo_sessions}
# every_sessions = {training.every_sessions}   # train on every so-many-th session; at the horizon no outcomes overlap
# samples_per_epoch = 20000  # absent: all
# balance = "{training.balance}"           # or "date", "company": an epoch draws from each of them equally often
# class_weights = "{training.class_weights}"     # "balanced" weighs rare classes up
# precision = "{training.precision}"       # mixed on a CUDA device; or "float32", "bfloat16", "float16"
# seed = {training.seed}
# seeds = {training.seeds}                  # trainings of each fold: with seed, seed + 1, ...
# What the model is compared with on the same sessions:
# baselines = {baselines}
# Layouts on which the same network is trained too: "price_only", "sentiment_only", "candlestick", "chart".
# compare = []
# checkpoint_minutes = {training.checkpoint_minutes}   # between two checkpoints of a training
# readers = {training.readers}                # processes that read images; 0 is a thread, enough for a local disk
# threads = 2                # threads of the arithmetic; absent: one less than the cores

[augmentation]               # training images altered at random
# random_horizontal_flip = {augmentation.random_horizontal_flip}   # share of images whose time runs backwards
# random_vertical_flip = {augmentation.random_vertical_flip}     # share of images that are turned upside down
# color_jitter = {jitter}   # greatest change of brightness, contrast, saturation, hue
# gaussian_noise = {augmentation.gaussian_noise}       # standard deviation, of pixels in [0, 1]
# mixup_alpha = {augmentation.mixup_alpha}          # mixes images and their labels, in shares from Beta(alpha, alpha)

[trading]                    # costs of acting on predictions, in the trading figures
# cost_bps = {trading.cost_bps}             # basis points of each amount that is bought or sold
# borrow_fee_per_year = {trading.borrow_fee_per_year}   # of the value that is short, as a share

[state]                      # databases, artifacts and logs: of `finnex up`, and of every training
# path = "state"             # absent: $FINNEX_HOME, else the folder "state" next to this file

[mlflow]
# uri = "http://127.0.0.1:5000"   # absent: the server that runs on the state folder, or one for the time being
# experiment = "finnex"      # trainings that are compared with each other
# model = "finnex"           # the registered model whose champion `finnex predict` uses

[dask]                       # where images are drawn
# workers = {dask.workers}                # local worker processes; 0 draws in the calling process
# address = "tcp://host:8786"   # or an existing scheduler, instead of workers
# dates_per_task = {dask.dates_per_task}         # sessions that share one Dask task
# memory_limit = "{dask.memory_limit}"      # of one worker
# cluster = "{dask.cluster}"          # or "slurm", "pbs", "sge", "lsf", "htcondor", "oar", "moab", "kubernetes"
# options = {{}}               # of such a cluster: {{ queue = "short", walltime = "01:00:00" }}, {{ image = "..." }}
# An identity for a tls:// address or a job queue (docs/security.md); PEM files.
# tls_ca = "ca.pem"
# tls_cert = "finnex.pem"
# tls_key = "finnex.key"
"""

_TABLES = {
    "companies": "symbol, sector, industry, from, to: who is a member of the universe when",
    "prices": "symbol, date, open, high, low, close, volume (split-adjusted)",
    "macro": "series, date, available_date, value",
    "fundamentals": "symbol, period_end, available_date, figures of single quarters (or period_start)",
    "sentiment": "symbol, timestamp, source, score in [-1, 1]",
    "competitive": "symbol, date, peer, any numeric metric",
    "events": "name, date, announced",
    "splits": "symbol, date, ratio: what prices are adjusted for",
    "options": "symbol, date, implied volatilities, skew, put/call, flow",
    "enhanced": "symbol, date, features computed elsewhere",
}


def configuration_text(
    inputs: Mapping[str, str | Keys],
    symbols: Sequence[str],
    *,
    start: date | None = None,
    end: date | None = None,
    synthetic: Sequence[str] = (),
    epochs: int | None = None,
) -> str:
    """Return a commented configuration; a value that is not given is a comment with its default.

    Parameters
    ----------
    inputs
        Table to the path of its file, as it is written down, or to the keys of a table about it.
    symbols
        Symbols of the run.
    start, end
        First and last session to draw.
    synthetic
        Names of tables that hold generated data.
    epochs
        Epochs of a training.

    Returns
    -------
    str
        The text of a TOML file.
    """
    tables = [
        _line(name, _value(inputs[name]), columns, given=True)
        if name in inputs
        else _line(name, json.dumps(f"{name}.csv"), columns, given=False)
        for name, columns in _TABLES.items()
    ]
    tables.append(
        _line(
            "synthetic",
            json.dumps(list(synthetic)),
            "names of tables that hold generated data",
            given=bool(synthetic),
        )
    )
    return _TEMPLATE.format(
        file=FILE,
        labels=LabelSettings(),
        model=ModelSettings(),
        training=TrainingSettings(),
        baselines=json.dumps(TrainingSettings().baselines),
        augmentation=AugmentationSettings(),
        trading=TradingSettings(),
        jitter=json.dumps(AugmentationSettings().color_jitter),
        dask=DaskSettings(),
        symbols=_line("symbols", json.dumps(list(symbols)), "what to draw", given=True),
        start=_line(
            "start",
            str(start or "2015-01-02"),
            "first session drawn; absent: the first that can be",
            given=start is not None,
        ),
        end=_line(
            "end",
            str(end or "2024-03-08"),
            "last session drawn; absent: the last bar's",
            given=end is not None,
        ),
        inputs="\n".join(tables),
        scrub_share=StoreSettings.model_fields["scrub_share"].default,
        store=_line("path", json.dumps("images.zarr"), "the images: plain Zarr", given=True),
        epochs=_line("epochs", str(epochs or TrainingSettings().epochs), "at most", given=epochs is not None),
    )


Keys = Mapping[str, str | Mapping[str, str]]
"""Keys about a file: `path`, `preset`, `columns`."""


def _value(given: str | Keys | Mapping[str, str]) -> str:
    """Return a path, or keys about it, as TOML writes them."""
    if isinstance(given, str):
        return json.dumps(given, ensure_ascii=False)
    return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in given.items()) + " }"


def _line(key: str, value: str, meaning: str, *, given: bool) -> str:
    return f"{'' if given else '# '}{key} = {value}".ljust(28) + f" # {meaning}"


def write_new(path: Path, text: str) -> None:
    """Write a configuration file where there is none.

    Raises
    ------
    ConfigError
        One is there already, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists already and is kept as it is. Choose another folder, or remove it first."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}). Choose a folder you may write to.") from None
