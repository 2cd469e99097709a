"""The six-step script's names keep their word: a store's pixels, from files as the script's author has them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from finnex.config import Config
from finnex.data.calendar import session_calendar
from finnex.errors import ConfigError, InputError
from finnex.layout import load_layout
from finnex.mega_image_generation import (
    DAILY_KEYS,
    FinNeXMegaImageGenerator,
    construct_macro_fundamental_channel,
    construct_sentiment_channel,
    construct_technical_channel,
)
from finnex.pipeline import build
from finnex.store import ImageStore

SCRIPT = """
# Step 1: Initialize Mega-Image Generator
from finnex.mega_image_generation import FinNeXMegaImageGenerator

generator = FinNeXMegaImageGenerator(
    enhanced_dataset='tesla_mega_dataset_enhanced_20250730_205109.csv',
    sentiment_dataset='tesla_comprehensive_20250801_001830.csv',
    competitive_dataset='openbb_tesla_competitive_analysis_20250731_002300.csv'
)

# Step 2: Generate complete Mega-Image dataset
date_range = pd.date_range('2024-01-01', '2024-12-31', freq='B')
mega_images, metadata = generator.create_mega_image_batch(date_range)
"""
ENHANCED, SENTIMENT, COMPETITIVE = re.findall(r"'(\w+\.csv)'", SCRIPT)
EXTRA = ("Momentum Score", "Put/Call", "volatility_regime_score")
DAY = "2024-06-12"


@pytest.fixture(scope="module")
def authors_files(sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's NVDA as the script's author has it: four years of its rows laid on the sessions up to 2024."""
    folder = tmp_path_factory.mktemp("author")
    sessions = session_calendar("XNYS", date(2021, 6, 1), date(2024, 12, 31)).days
    prices = pd.read_csv(sample_inputs["prices"])
    prices = prices[prices["symbol"] == "NVDA"].reset_index(drop=True).iloc[: len(sessions)]
    past = pd.to_datetime(prices["date"]).to_numpy().astype("datetime64[D]")
    enhanced = prices.drop(columns=["symbol", "date"]).rename(columns=str.capitalize)
    enhanced.insert(0, "Date", sessions.astype(str))
    noise = np.random.default_rng(3).normal(size=(len(sessions), len(EXTRA))).cumsum(axis=0)
    enhanced[list(EXTRA)] = noise.round(4)
    enhanced.to_csv(folder / ENHANCED, index=False)
    records = pd.read_csv(sample_inputs["sentiment"])
    records = records[records["symbol"] == "NVDA"]
    stamp = pd.to_datetime(records["timestamp"], utc=True)
    row = np.searchsorted(past, stamp.dt.tz_localize(None).to_numpy().astype("datetime64[D]"), side="right") - 1
    records, stamp, row = records[row >= 0], stamp[row >= 0], row[row >= 0]
    moved = sessions[row].astype("datetime64[s]") + (stamp - stamp.dt.normalize()).to_numpy().astype("timedelta64[s]")
    pd.DataFrame(
        {
            "timestamp": [f"{moment}Z" for moment in moved.astype(str)],
            "platform": records["source"].map({"news": "Reuters", "social": "Reddit"}).fillna(records["source"]),
            "source": records["provider"],
            "sentiment_score": records["score"],
            "confidence": records["confidence"],
            "engagement_score": records["engagement"],
            "text": "as collected",
        }
    ).to_csv(folder / SENTIMENT, index=False)
    companies = pd.DataFrame({"symbol": ["TESLA", "F", "GM"], "company_name": ["Tesla", "Ford", "General Motors"]})
    companies.assign(market_cap=[8e11, 4e10, 5e10], pe_ratio=[70.1, 11.9, 5.2]).to_csv(
        folder / COMPETITIVE, index=False
    )
    return folder


@pytest.fixture(scope="module")
def generator(authors_files: Path) -> FinNeXMegaImageGenerator:
    return FinNeXMegaImageGenerator(*(authors_files / name for name in (ENHANCED, SENTIMENT, COMPETITIVE)))


def test_steps_one_and_two_of_the_script_run_as_printed(authors_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(authors_files)
    names: dict[str, object] = {"pd": pd}
    exec(SCRIPT, names)
    images, metadata = names["mega_images"], names["metadata"]
    assert isinstance(images, xr.DataArray)
    assert isinstance(metadata, list)
    assert images.dims == ("date", "y", "x", "channel")
    assert images.shape == (252, 512, 512, 3)
    assert len(metadata) == 252
    assert [item["date"] for item in metadata] == images["date"].to_pandas().tolist()
    assert len(images.attrs["skipped"]) == 262 - 252
    assert images.attrs["skipped"]["2024-07-04"] == "no session of XNYS"
    some = np.asarray(images[::50])
    assert some.dtype == np.float32
    assert ((some >= 0) & (some <= 1)).all()
    assert np.abs(np.diff(some, axis=0)).mean() > 0.02


def test_images_carry_the_labels_that_the_metadata_tells(generator: FinNeXMegaImageGenerator) -> None:
    images, metadata = generator.create_mega_image_batch(pd.date_range("2024-12-02", "2024-12-31", freq="B"))
    told = [(item["labels"]["class"], item["labels"]["label_end"]) for item in metadata]
    assert images["label"].to_numpy().tolist() == [label for label, _ in told]
    np.testing.assert_array_equal(images["label_end"].to_numpy(), pd.DatetimeIndex([end for _, end in told]))
    assert set(images["label"].to_numpy()[:-5].tolist()) <= {0, 1, 2}
    assert images["label"].to_numpy()[-5:].tolist() == [-1] * 5
    assert metadata[-1]["labels"]["label"] == "unknown"
    assert metadata[-1]["labels"]["all"]["triple_barrier"][20]["label_end"] is pd.NaT
    assert (images["label_end"][:-5] > images["date"][:-5]).all()
    assert metadata[0]["meta"]["decision_time"] == pd.Timestamp("2024-12-02 21:00", tz="UTC")
    assert metadata[0]["meta"]["coverage"]["news"] > 0.5


def test_days_that_cannot_be_drawn_are_reported_and_not_drawn(generator: FinNeXMegaImageGenerator) -> None:
    days = ["2024-06-19", "2024-06-20", "2024-06-22", "2025-06-20"]
    images, metadata = generator.create_mega_image_batch(pd.to_datetime(days))
    assert [str(item["date"].date()) for item in metadata] == ["2024-06-20"]
    assert list(images.attrs["skipped"]) == ["2024-06-19", "2024-06-22", "2025-06-20"]
    assert "outside the prices" in images.attrs["skipped"]["2025-06-20"]
    with pytest.raises(ConfigError, match=r"none of 1 days.*2024-06-22: no session of XNYS"):
        generator.create_mega_image_batch(["2024-06-22"])
    with pytest.raises(ConfigError, match="2024-06-22 cannot be drawn: no session"):
        generator.extract_daily_features("2024-06-22")


def test_every_method_returns_the_bits_of_the_stored_image(authors_files: Path, tmp_path: Path) -> None:
    files = [authors_files / name for name in (ENHANCED, SENTIMENT, COMPETITIVE)]
    generator = FinNeXMegaImageGenerator(*files, store=tmp_path / "kept.zarr")
    images, _ = generator.create_mega_image_batch([DAY])
    stored = ImageStore.open(tmp_path / "kept.zarr").image("TESLA", np.datetime64(DAY))
    np.testing.assert_array_equal(np.asarray(images)[0], stored)
    features = generator.extract_daily_features(DAY)
    np.testing.assert_array_equal(generator.create_daily_mega_image(features), stored)
    for channel, construct in enumerate(
        (construct_sentiment_channel, construct_technical_channel, construct_macro_fundamental_channel)
    ):
        np.testing.assert_array_equal(construct(features), stored[:, :, channel])
        np.testing.assert_array_equal(getattr(generator, construct.__name__)(features), stored[:, :, channel])
    assert generator.sentiment_data is not None
    cell = generator.integrate_sentiment_patterns(generator.sentiment_data, DAY)
    np.testing.assert_array_equal(cell, stored[171:342, :, 0])
    assert (cell > 0).mean() > 0.5


def test_a_configured_build_draws_the_generators_pixels(sample_config: Callable[..., Config], tmp_path: Path) -> None:
    config = sample_config(start=date(2015, 3, 16), end=date(2015, 3, 18))
    build(config)
    given = {name: config.inputs.files_of(name)[0] for name in ("macro", "fundamentals", "events", "prices")}
    bars = pd.read_csv(given["prices"])
    bars[bars["symbol"] == "NVDA"].drop(columns="symbol").to_csv(tmp_path / "nvda_enhanced.csv", index=False)
    generator = FinNeXMegaImageGenerator(
        tmp_path / "nvda_enhanced.csv", config.inputs.files_of("sentiment")[0], None,
        synthetic=config.inputs.synthetic, **given,
        # The sample's table has our own words already.
        columns={"sentiment": {"source": "source", "provider": "provider", "score": "score"}},
    )  # fmt: skip
    images, _ = generator.create_mega_image_batch(pd.date_range("2015-03-16", "2015-03-18"))
    np.testing.assert_array_equal(
        np.asarray(images), ImageStore.open(config.store.path).open_images("NVDA")["image"].to_numpy()
    )


def test_other_sentiment_records_change_the_red_cell_and_earlier_ones_only(generator: FinNeXMegaImageGenerator) -> None:
    records = generator.sentiment_data
    assert records is not None
    own = generator.integrate_sentiment_patterns(records, DAY)
    decision = generator.create_metadata(DAY, generator.extract_daily_features(DAY))["decision_time"].tz_localize(None)
    past = records[records["timestamp"] <= decision]
    assert len(past) < len(records)
    np.testing.assert_array_equal(generator.integrate_sentiment_patterns(past, DAY), own)
    silent = generator.integrate_sentiment_patterns(records[records["source"] != "news"], DAY)
    assert (silent[:, :168] == 0).mean() > (own[:, :168] == 0).mean()
    np.testing.assert_array_equal(silent[:, 171:339] > 0, own[:, 171:339] > 0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("garbage", r"trading_date: 'garbage' is not a date. Give dates such as '2015-03-31'"),
        (5, "5 is not a date"),
        (None, "None is not a date"),
        (["2015-03-16", "2015-03-17"], "2 days were given. Give one"),
        ([], "0 days were given. Give one"),
    ],
)
def test_what_is_no_day_is_refused_in_words(generator: FinNeXMegaImageGenerator, given: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        generator.generate_trading_labels(given)
    if not isinstance(given, list):
        with pytest.raises(ConfigError, match=told.replace("trading_date", "date_range")):
            generator.create_mega_image_batch(given)


def test_one_day_alone_is_a_range_of_one_day(generator: FinNeXMegaImageGenerator) -> None:
    images, metadata = generator.create_mega_image_batch("2022-03-16")
    assert images["date"].to_numpy().astype("datetime64[D]").tolist() == [date(2022, 3, 16)]
    assert [entry["date"] for entry in metadata] == [pd.Timestamp("2022-03-16")]


def test_records_under_other_columns_are_refused_with_all_that_is_missing(
    generator: FinNeXMegaImageGenerator, authors_files: Path
) -> None:
    raw = pd.read_csv(authors_files / SENTIMENT)
    for method in (generator.aggregate_daily_sentiment, generator.integrate_sentiment_patterns):
        with pytest.raises(ConfigError, match="lacks symbol, provider, score, documents, engagement, repost"):
            method(raw, DAY)
        with pytest.raises(ConfigError, match="sentiment_data is a NoneType"):
            method(None, DAY)  # type: ignore[arg-type]


def test_a_days_sentiment_is_told_by_source(generator: FinNeXMegaImageGenerator) -> None:
    records = generator.sentiment_data
    assert records is not None
    told = generator.aggregate_daily_sentiment(records, DAY)
    assert {"news", "social", "historical"} <= set(told)
    assert told["social"]["documents"] > 0
    assert -1 <= told["social"]["level"] <= 1


def test_daily_features_answer_to_regions_and_to_the_specifications_keys(generator: FinNeXMegaImageGenerator) -> None:
    features = generator.extract_daily_features(DAY)
    assert set(features) == {region.name for region in load_layout("mega").regions}
    for key, region in DAILY_KEYS.items():
        pd.testing.assert_frame_equal(features[key], features[region])
        assert len(features[key]) == 56
    assert features["ohlcv"].columns.tolist() == ["open", "high", "low", "close", "volume"]
    assert str(features["news"].index[-1].date()) == DAY
    with pytest.raises(KeyError, match="Did you mean 'social'"):
        features["socal"]


def test_further_columns_of_the_enhanced_file_are_drawn_as_they_are(
    authors_files: Path, generator: FinNeXMegaImageGenerator
) -> None:
    given = pd.read_csv(authors_files / ENHANCED).set_index("Date")
    window = generator.extract_daily_features(DAY)["technical"]
    assert set(EXTRA) <= set(window.columns)
    for name in EXTRA:
        np.testing.assert_array_equal(window[name].to_numpy(), given[name].loc[window.index.astype(str)].to_numpy())
        assert name in generator.channel_assignments["green"]["technical"]
        assert generator.normalization_params[name]["normalizer"] == "zscore"


def test_more_columns_than_rows_are_refused_with_the_heat_maps_named(authors_files: Path, tmp_path: Path) -> None:
    wide = pd.read_csv(authors_files / ENHANCED)
    more = pd.DataFrame(1.0, index=wide.index, columns=[f"factor_{i}" for i in range(270)])
    pd.concat([wide, more], axis="columns").to_csv(tmp_path / ENHANCED, index=False)
    drawn = FinNeXMegaImageGenerator(tmp_path / ENHANCED, None, None)
    assert "factor_269" in drawn.normalization_params
    with pytest.raises(ConfigError, match=r"enhanced_heatmaps: news have \d+ rows left for 273 columns"):
        FinNeXMegaImageGenerator(tmp_path / ENHANCED, None, None, enhanced_heatmaps=["news"])


def test_columns_that_nobody_asked_to_draw_stay_refused(authors_files: Path) -> None:
    with pytest.raises(InputError, match="column 'Momentum Score': the catalogue has no feature of this name"):
        FinNeXMegaImageGenerator(authors_files / ENHANCED, None, None, enhanced_heatmaps=[]).extract_daily_features(DAY)


def test_a_catalogue_of_ones_own_gives_columns_their_place(authors_files: Path, tmp_path: Path) -> None:
    text = load_layout("mega").catalogue.text
    header = text.splitlines()[0].split(",")
    row = dict.fromkeys(header, "") | {
        "name": "Momentum Score", "table": "enhanced", "unit": "points", "normalizer": "bounded", "low": "-50",
        "high": "50", "max_age_sessions": "0", "orientation": "-1", "direction": "none", "region": "social",
        "source": "own", "meaning": "mine",
    }  # fmt: skip
    (tmp_path / "own.csv").write_text(text.rstrip("\n") + "\n" + ",".join(row[name] for name in header) + "\n")
    one = pd.read_csv(authors_files / ENHANCED).drop(columns=list(EXTRA[1:]))
    one.to_csv(tmp_path / ENHANCED, index=False)
    generator = FinNeXMegaImageGenerator(
        tmp_path / ENHANCED, None, None, image={"catalogue": str(tmp_path / "own.csv")}, enhanced_heatmaps=[]
    )
    value = one.set_index("Date")["Momentum Score"].loc[DAY]
    image = generator.create_daily_mega_image(generator.extract_daily_features(DAY))
    expected = 0.02 + 0.98 * (1 - (np.clip(value, -50, 50) + 50) / 100)
    assert image[341, 171 + 55 * 3, 0] == pytest.approx(expected, abs=0.98 / 512 + 1e-6)  # half a step of brightness


def test_a_company_that_the_competitive_file_does_not_know_is_refused(authors_files: Path) -> None:
    with pytest.raises(ConfigError, match=r"no row is of 'TESSLA' itself.*Did you mean 'TESLA'"):
        FinNeXMegaImageGenerator(
            authors_files / ENHANCED, None, authors_files / COMPETITIVE, symbol="TESSLA"
        )  # fmt: skip


def test_an_unknown_option_names_the_nearest(authors_files: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'exchnge'\. Did you mean 'exchange'"):
        FinNeXMegaImageGenerator(authors_files / ENHANCED, None, None, exchnge="XNYS")


# ---- docs/specification.md -------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "specification.md"
ROW = re.compile(r"^\| `([^`]+)` \| (planned|`[\w.]+:[\w.]+`) \|.*\|$", re.MULTILINE)
NAMES = frozenset(
    """
mega_image_structure dimensions data_type channel_encoding spatial_layout rows_0_170 rows_171_341 rows_342_511
FinNeXMegaImageGenerator __init__ market_data sentiment_data competitive_data normalization_params
_calculate_normalization_params channel_assignments _define_channel_assignments create_mega_image_batch
extract_daily_features create_daily_mega_image generate_trading_labels create_metadata date labels meta
integrate_sentiment_patterns aggregate_daily_sentiment normalize_sentiment_intensity create_sentiment_heatmap
detect_social_sentiment_waves create_social_heatmap overlay_historical_patterns create_historical_overlay news social
historical construct_sentiment_channel encode_macro_sentiment_regime encode_news_sentiment_intensity
encode_social_sentiment_waves encode_historical_sentiment_context encode_fundamental_sentiment
calculate_cross_source_sentiment_correlations blend_sentiment_sources construct_technical_channel
encode_macro_technical_patterns encode_price_action_patterns encode_technical_indicator_convergence
encode_volume_intelligence encode_fundamental_momentum detect_technical_regime assess_momentum_quality
construct_regime_aware_technical_channel construct_macro_fundamental_channel encode_economic_regime_patterns
encode_monetary_policy_stance encode_global_capital_flows encode_options_flow_patterns
encode_volatility_regime_analysis encode_financial_health_metrics encode_competitive_positioning
detect_regime_transition_probabilities calculate_fundamental_momentum_score construct_intelligent_macro_channel
macro_sentiment analyst_sentiment macro_technical ohlcv technical volume fundamental_growth momentum_indicators
economic_indicators fed_policy cross_asset options volatility fundamentals competitive FinNeXCNNTrainer mega_images
patch_size patches_per_image create_patch_dataset extract_patches generate_patch_features identify_patch_section
create_train_val_test_split train_model aggregated_sentiment sentiment_score sentiment_volatility sentiment_variance
news_intensity news_volume social_engagement social_metrics sentiment_price_correlation correlation_strength
momentum_signals technical_momentum regime_context market_regime patch_section spatial_coordinates
patch_intelligence_mapping macro_patches behavioral_technical_patches fundamental_competitive_patches patch_range
financial_context features_encoded cnn_learning_target interpretation economic_calendar price_momentum
competitive_advantage generate_enhanced_patch_features section coordinates spatial_neighbors section_importance
sentiment_momentum price_sentiment_coupling regime_transition_signals macro_micro_alignment
fundamental_technical_convergence behavioral_rational_divergence momentum_divergence_signals mean_reversion_potential
breakout_probability volatility_expansion_risk calculate_neighbor_correlations calculate_section_importance_weights
calculate_sentiment_momentum measure_price_sentiment_coupling detect_regime_transitions measure_macro_micro_alignment
analyze_fundamental_technical_convergence detect_behavioral_rational_divergence detect_momentum_divergences
calculate_mean_reversion_signals estimate_breakout_probability assess_volatility_expansion_risk FinNeXMultiScaleCNN
forward macro_branch behavioral_branch fundamental_branch cross_modal_attention fusion_layer classifier
_create_macro_branch _create_behavioral_branch _create_fundamental_branch CrossModalAttention FusionLayer
ClassificationHead FinNeXViT FinancialPatchEmbedding patch_embedding SectorAwarePositionalEncoding positional_encoding
FinancialTransformerBlock transformer_blocks RegimeAwareClassifier classification_head training_config training_params
model_architecture batch_size learning_rate weight_decay epochs warmup_epochs scheduler input_shape num_classes
accuracy data_augmentation random_horizontal_flip random_vertical_flip color_jitter gaussian_noise mixup_alpha
evaluation_metrics classification_report precision recall f1_score evaluate_finnex_model calculate_ml_metrics
calculate_financial_metrics analyze_model_attention validate_cross_modal_learning ml_metrics financial_performance
attention_analysis cross_modal_performance performance_expectations baseline_metrics financial_metrics sharpe_ratio
max_drawdown win_rate benchmark_comparisons vs_price_only_models vs_sentiment_only_models vs_traditional_ml
vs_kusuma_et_al_2019 comprehensive_quality_assurance validate_pixel_ranges validate_channel_consistency
validate_spatial_arrangement validate_temporal_smoothness validate_patch_extraction validate_label_consistency
analyze_class_distribution measure_patch_diversity validate_feature_preservation validate_cross_modal_correlations
validate_regime_detection validate_sentiment_encoding generate_qa_report image_quality pixel_range_check
channel_consistency spatial_integrity temporal_continuity patch_quality patch_extraction_accuracy label_consistency
class_distribution patch_diversity financial_semantics feature_preservation cross_modal_correlations
regime_detection_accuracy sentiment_encoding_quality tesla_mega_dataset_enhanced_20250730_205109.csv
tesla_comprehensive_20250801_001830.csv openbb_tesla_competitive_analysis_20250731_002300.csv finnex_mega_images
file_naming_convention daily_images batch_tensors patch_datasets cnn_splits metadata cnn_ready visualizations
sample_mega_images channel_analysis patch_importance_maps feature_encoding_validation mega_images_full
mega_images_full.npy mega_image_20240801.npy mega_image_20240802.npy mega_images_batch_Q1_2024.npy
mega_images_batch_Q2_2024.npy mega_images_full_2024.npy patches_32x32_2024.npy patch_labels_2024.npy
patch_metadata_2024.json patch_features_enhanced_2024.npy train_patches.npy train_labels.npy val_patches.npy
val_labels.npy test_patches.npy test_labels.npy dataset_statistics.json normalization_parameters.json
channel_encoding_spec.json quality_assurance_report.html qa_report.html mega_image_{YYYY}{MM}{DD}_{session_id}.npy
mega_batch_{start_date}_{end_date}_{features_count}f.npy
patches_{patch_size}x{patch_size}_{date_range}_{label_type}.npy
{split_type}_patches_{patch_size}_{normalization_type}.npy {data_type}_metadata_{collection_timestamp}.json
mega_image_20240801_enhanced270f.npy mega_batch_20240101_20241231_270f.npy patches_32x32_2024_price_movement.npy
train_patches_32_minmax_norm.npy
""".split()  # noqa: SIM905  three hundred quoted words read worse
)
"""Every name of the specification's code: classes, functions, methods, attributes, keys, files."""


def where() -> dict[str, str]:
    page = PAGE.read_text(encoding="utf-8")
    rows = ROW.findall(page[page.index("## Where each name lives") :])
    assert len(rows) == len(dict(rows)), "a name stands twice"
    return dict(rows)


def test_the_page_says_of_every_name_of_the_specification_where_it_lives() -> None:
    assert len(NAMES) > 250
    assert set(where()) == NAMES


def test_every_place_that_the_page_names_exists() -> None:
    places = {place.strip("`") for place in where().values()} - {"planned"}
    assert len(places) > 40
    for place in places:
        module, _, path = place.partition(":")
        found = importlib.import_module(module)
        for name in path.split("."):
            assert hasattr(found, name), f"docs/specification.md: {place} does not exist"
            found = getattr(found, name)


def test_a_planned_public_name_does_not_exist_yet() -> None:
    planned = {name for name, place in where().items() if place == "planned"}
    for module in ("finnex.models", "finnex.mega_image_generation", "finnex.cnn_training", "finnex.evaluation"):
        assert not planned & set(vars(importlib.import_module(module)))


def test_every_key_of_daily_data_is_told_on_the_page() -> None:
    told = {name for name, place in where().items() if place == "`finnex.mega_image_generation:DAILY_KEYS`"}
    assert told == set(DAILY_KEYS)
