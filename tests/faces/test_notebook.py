"""`import finnex`: what a notebook needs, pinned, lazy, and right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import DataLoader

import finnex
import finnex.config.inputs
import finnex.config.run
from finnex.config import Config
from finnex.errors import StoreCorrupt, StoreError, TrainingError
from finnex.notebook import StoreView
from finnex.reporting.session import session_title
from finnex.sample import SYNTHETIC_TABLES
from finnex.store.drafts import chunk_of

SESSIONS = {"start": date(2015, 3, 2), "end": date(2015, 4, 30)}


@pytest.fixture(scope="module")
def config(sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Config:
    from finnex.config import parse_config

    folder = tmp_path_factory.mktemp("notebook")
    document = {
        "inputs": {name: str(path) for name, path in sample_inputs.items()} | {"synthetic": list(SYNTHETIC_TABLES)},
        "symbols": ["NVDA"],
        "store": {"path": str(folder / "images.zarr")}, **SESSIONS,
    }  # fmt: skip
    made = parse_config(document, folder / "finnex.toml")
    assert finnex.build(made).failed == 0
    return made


@pytest.fixture(scope="module")
def store(config: Config) -> StoreView:
    return finnex.open(config.store.path)


def test_the_face_is_these_names_and_each_is_there() -> None:
    assert set(finnex.__all__) == {
        "__version__", "build", "dataset", "evaluate", "load_config", "open", "predict", "train",
    }  # fmt: skip
    assert all(callable(getattr(finnex, name)) for name in finnex.__all__ if name != "__version__")
    assert set(finnex.__all__) <= set(dir(finnex))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = finnex.nothing


def loaded_by(module: str, names: tuple[str, ...]) -> list[str]:
    code = f"import sys, {module}; print(*(name for name in {names} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_it_loads_nothing_heavy() -> None:
    assert loaded_by("finnex", ("torch", "zarr", "pandas", "numpy")) == []
    assert loaded_by("finnex.reporting.session", ("torch", "sklearn", "mlflow", "prefect")) == []  # `finnex show`


def test_a_session_has_its_image_its_labels_its_features_and_says_what_a_pixel_shows(store: StoreView) -> None:
    assert (list(store), store.symbols, len(store), "NVDA" in store, "AAPL" in store) == (
        ["NVDA"], ["NVDA"], 1, True, False,
    )  # fmt: skip
    company = store["NVDA"]
    assert len(company) == len(list(company)) == 43
    assert "2015-03-02" in company
    assert "2015-03-01" not in company
    session = company["2015-03-02"]
    assert session.day == company[date(2015, 3, 2)].day == date(2015, 3, 2)
    np.testing.assert_array_equal(session.image, store.store.image("NVDA", np.datetime64("2015-03-02")))
    answers = session.explain(300, 40)
    assert [answer.channel for answer in answers] == ["red", "green", "blue"]
    for answer, channel in zip(answers, range(3), strict=True):
        assert answer.value == session.image[300, 40, channel]
    decoded = session.decode()
    stored = company.to_xarray().sel(date="2015-03-02")["feature_normalized"].to_pandas()
    shown = decoded.loc[0].dropna()
    pd.testing.assert_series_equal(
        shown.astype("float32"), stored[shown.index].astype("float32"), check_names=False, atol=2e-6
    )
    assert session.features.notna().sum() > 100


def test_labels_are_words_and_returns_by_horizon(store: StoreView) -> None:
    first = store["NVDA"]["2015-03-02"].labels
    assert first.index.name == "horizon_sessions"
    kinds = [name for name in first.columns if not name.startswith("return_")]
    assert kinds
    assert set(first[kinds[0]]) <= {"sell", "hold", "buy"}
    assert first[f"return_{kinds[0]}"].notna().all()
    assert set(first.index) == set(store["NVDA"].to_xarray()["horizon"].to_numpy())


def test_a_picture_is_a_png_and_a_store_and_a_company_say_what_they_hold(store: StoreView, tmp_path: Path) -> None:
    session = store["NVDA"]["2015-03-02"]
    assert session._repr_png_().startswith(b"\x89PNG")
    named = session_title(store.store, "NVDA", np.datetime64("2015-03-02"))
    assert named == f"NVDA  2015-03-02   (synthetic: {', '.join(sorted(SYNTHETIC_TABLES))})"
    session.picture(out := tmp_path / "one.png")
    assert out.read_bytes().startswith(b"\x89PNG")
    assert repr(store["NVDA"]) == "<NVDA: 43 published sessions, 2015-03-02 to 2015-04-30>"
    assert "NVDA: 43 sessions, 2015-03-02 to 2015-04-30" in repr(store)
    assert "<td>43</td>" in store._repr_html_()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda store: store["NVDIA"], r"has no company 'NVDIA'\. Did you mean 'NVDA'\?"),
        (lambda store: store["NVDA"]["2015-04-03"], r"for 2015-04-03\. Published next to it: 2015-04-02, 2015-04-06\."),
        (lambda store: store["NVDA"]["first of May"], r"'first of May' is not a date\. Write it as YYYY-MM-DD\."),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    store: StoreView, ask: Callable[[StoreView], object], said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        ask(store)


def test_a_dataset_gives_checked_images_and_labels_to_torch(config: Config, store: StoreView) -> None:
    data = finnex.dataset(config)
    assert len(data) == len(data.samples) == 43
    image, label = data[0]
    day = str(data.samples.decision[0])
    np.testing.assert_array_equal(image.numpy().transpose(1, 2, 0), store["NVDA"][day].image)
    assert label in (0, 1, 2)
    batch, labels = next(iter(DataLoader(data, batch_size=8)))
    assert tuple(batch.shape) == (8, 3, 512, 512)
    assert labels.tolist() == data.samples.label[:8].tolist()
    with pytest.raises(IndexError):
        data[len(data)]
    chunk = Path(config.store.path) / chunk_of("NVDA", int(data.samples.index[3]))
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(StoreCorrupt):
            data[3]
    finally:
        chunk.write_bytes(whole)


def test_training_too_few_sessions_is_refused_in_words(config: Config) -> None:
    with pytest.raises(TrainingError):
        finnex.train(config)
