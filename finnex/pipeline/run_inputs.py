"""What is the same for all symbols of a run: checked inputs, what an image is, which sessions are asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from finnex.config import HORIZONS, Config
from finnex.data.bad_companies import ABSENT, COMPANIES, PEERS_READ, BadCompany, bad_companies
from finnex.data.enhanced_file import generated_entries
from finnex.data.features import SECTION_FEATURES, symbol_calendar
from finnex.data.label_kinds import label_kinds
from finnex.data.peers import peers_of
from finnex.data.remarks import some
from finnex.data.tables import Tables, read_sound_tables, read_tables
from finnex.data.warnings import input_warnings, reading_notes
from finnex.errors import MOST_OF_A_KIND, ConfigError, InputError, LayoutError, Problem, nearest
from finnex.images.blending import blend_inputs
from finnex.layout import Catalogue, Layout, load_catalogue, load_layout, parse_catalogue, parse_layout
from finnex.layout.direction import COLUMN
from finnex.store import ImageStore, StoreTemplate, holds_a_store


@dataclass(frozen=True)
class Run:
    """Everything that is the same for all symbols of a run: checked inputs and what an image is."""

    config: Config
    tables: Tables
    layout: Layout
    template: StoreTemplate
    warnings: tuple[str, ...]
    """Warnings about the inputs, one sentence each: no reason to refuse them."""
    notes: tuple[str, ...] = ()
    """How files are read that do not say it themselves, one sentence each: nothing is odd about it."""
    bad: tuple[BadCompany, ...] = ()
    """Companies that are left out; `config` and `tables` are without them, `tables` where their rows are refused."""
    depending: frozenset[str] = frozenset()
    """Companies with a peer whose rows are left out: their published images and features stay as they are."""
    section_is_short: bool = False
    """Whether rows of a member of the universe are left out: labels across the section stay as they are."""

    def without(self, problems: Sequence[Problem]) -> Run:
        """Return the run without the companies that some problems name.

        Raises
        ------
        InputError
            No company is left.
        """
        every = [*(one for company in self.bad for one in company.problems), *problems]
        bad = bad_companies(every)
        names = {one.symbol for one in bad}
        symbols = tuple(symbol for symbol in self.config.symbols if symbol not in names)
        if not symbols:
            raise InputError(list(dict.fromkeys(every)))
        lost = {symbol for one in every if self._loses_rows(one) for symbol in one.companies}
        priced = frozenset((*self.tables.prices["symbol"].unique(), *lost))
        universe = self.tables.universe
        unknown = any(one.table == COMPANIES and self._loses_rows(one) for one in every)
        short = unknown or (universe is not None and any(symbol in universe for symbol in lost))
        # Whose peer a company was that has no row in the table of companies cannot be known.
        all_depend = (short and self.config.image.cross_section) or (unknown and not self.config.peers)
        depending = {
            one
            for one in symbols
            if all_depend or (lost and lost.intersection(peers_of(self.config, one, priced, universe)))
        }
        config = self.config.model_copy(update={"symbols": symbols})
        return replace(self, config=config, bad=bad, depending=frozenset(depending), section_is_short=short)

    def _loses_rows(self, problem: Problem) -> bool:
        """Return whether rows that peers of its companies looked at, in earlier runs too, are no longer there."""
        inputs, path = self.config.inputs, self.config.store.path
        if problem.table == ABSENT or (problem.table == COMPANIES and problem.row is None):  # may never have had rows
            return not {*self.config.peers}.isdisjoint(problem.companies) or (
                holds_a_store(path) and not {*ImageStore.open(path).symbols}.isdisjoint(problem.companies)
            )
        return problem.table in PEERS_READ or (problem.table == "enhanced" and not inputs.prices)


def read_run(config: Config) -> Run:
    """Read and check all inputs and the layout of a run.

    Raises
    ------
    InputError, ConfigError, LayoutError
        With everything that is wrong; with `on_bad_company` set to leave them out, not of companies while one is left.
    """
    problems: list[Problem] = []
    if config.on_bad_company == "leave out":
        tables, problems = read_sound_tables(config)
    else:
        tables = read_tables(config)
    image, bad = config.image, {symbol for problem in problems for symbol in problem.companies}
    sound = config.model_copy(update={"symbols": tuple(one for one in config.symbols if one not in bad)})
    layout = load_layout(
        image.layout, image.lookback, image.catalogue, blending=image.blending, cross_section=image.cross_section
    )
    warnings = [*input_warnings(tables, sound), *_direction_warnings(layout.catalogue)]
    if tables.enhanced is not None:
        layout = _with_columns(layout, list(tables.enhanced.columns), config.inputs.enhanced_heatmaps)
    _check_sources(layout, [] if tables.enhanced is None else list(tables.enhanced.columns))
    template = StoreTemplate(
        layout_name=layout.name,
        layout_hash=layout.hash,
        layout_toml=layout.text,
        catalogue_csv=layout.catalogue.text,
        lookback_sessions=layout.lookback,
        blending=layout.blending,
        shape=(layout.height, layout.width, len(layout.channels)),
        channels=layout.channels,
        regions=tuple(region.name for region in layout.regions),
        features=layout.catalogue.names,
        horizons=HORIZONS,
        label_kinds=label_kinds(tables),
        label_settings=config.labels.model_dump(exclude={"kind", "horizon"}),
        exchange=config.exchange,
        synthetic_tables=tuple(sorted(config.inputs.synthetic)),
    )
    run = Run(config, tables, layout, template, tuple(warnings), tuple(reading_notes(tables, sound)))
    return run.without(problems) if problems else run


def _with_columns(layout: Layout, columns: Sequence[str], heatmaps: Sequence[str]) -> Layout:
    """Return the layout with generated entries for the columns that its catalogue does not know."""
    unknown = [name for name in columns if name not in {"symbol", "date", *layout.catalogue.position}]
    if not unknown or not heatmaps:
        return layout
    regions = [layout.region(name) for name in heatmaps]
    rooms = {region.name: region.height - len(region.features) for region in regions}
    text = layout.catalogue.text.rstrip("\n") + "\n"
    text += generated_entries(unknown, rooms, next(csv.reader(io.StringIO(text))))
    wider = parse_layout(layout.text, parse_catalogue(text), layout.lookback, blending=layout.blending)
    drawn = {name for region in wider.regions for name in region.features}
    if left := [name for name in unknown if name not in drawn]:
        raise ConfigError(
            f"[inputs] enhanced_heatmaps: column '{left[0]}' of the enhanced file is drawn nowhere: a region of "
            f"{', '.join(heatmaps)} is no heat map, or lists its features. Name heat maps that take the catalogue's."
        )
    return wider


def _direction_warnings(catalogue: Catalogue) -> list[str]:
    """Return a warning where a catalogue of an earlier version does not say what its own features mean."""
    if not catalogue.unstated:
        return []
    return [
        f"the catalogue has no column {COLUMN}: {some(catalogue.unstated)}, not among the bundled features, count as "
        "neither bullish nor stress in descriptions of patches. Add the column, with bullish, stress or none in each "
        "row; no image is drawn again."
    ]


def _check_sources(layout: Layout, enhanced: Sequence[str]) -> None:
    """Refuse features that are neither computed nor given, and blends that lack what they are made from."""
    given = {*load_catalogue().names, *SECTION_FEATURES, *enhanced}
    unknown = [name for name in layout.catalogue.names if name not in given]
    problems = [
        f"the catalogue's feature '{name}' is computed nowhere and is no column of [inputs] enhanced. "
        f"{nearest(name, given)} Correct the name, give the column, or remove the row."
        for name in unknown[:MOST_OF_A_KIND]
    ]
    problems += [
        f"region {region.name}: blend '{region.blend}' needs the feature '{name}', which the catalogue lacks. "
        "Add its row, or set [image] blending = false."
        for region in layout.regions
        if layout.blending and region.blend
        for name in blend_inputs(region.blend)
        if name not in layout.catalogue.position
    ]
    if problems:
        raise LayoutError("\n".join(problems))


def in_universe(
    run: Run, symbols: Sequence[str], start: date | None = None, end: date | None = None
) -> tuple[str, ...]:
    """Return the symbols that are members of the universe on any day of a range; all without a table of companies.

    Parameters
    ----------
    run
        Inputs and layout.
    symbols
        Symbols that are asked for.
    start, end
        First and last date; absent, those of the configuration.

    Returns
    -------
    tuple of str
        In the order given.

    Raises
    ------
    ConfigError
        None of them is a member in the range.
    """
    universe = run.tables.universe
    if universe is None:
        return tuple(symbols)
    start, end = start or run.config.start, end or run.config.end
    found = tuple(symbol for symbol in symbols if universe.is_member_within(symbol, start, end))
    if not found:
        raise ConfigError(
            f"{some(symbols)} {'is' if len(symbols) == 1 else 'are'} no member of the universe from "
            f"{start or 'the first bar'} to {end or 'the last bar'}. Change start or end, or correct "
            f"{run.config.inputs.place_of('companies')}."
        )
    return found


def sessions_wanted(run: Run, symbol: str, start: date | None = None, end: date | None = None) -> npt.NDArray[np.intp]:
    """Return the sessions of a symbol that a run asks for, as positions from its first bar on.

    Absent, `start` is the first session whose window is full, and `end` the last bar.

    Parameters
    ----------
    run
        Inputs and layout.
    symbol
        Symbol of the run.
    start, end
        First and last date; absent, those of the configuration.

    Returns
    -------
    numpy.ndarray
        Positions on the symbol's calendar, ascending.

    Raises
    ------
    InputError
        The symbol is left out.
    ConfigError
        The symbol is not configured, or the range holds no session of it.
    """
    config = run.config
    for one in run.bad:
        if one.symbol == symbol:
            raise InputError(one.problems)
    if symbol not in config.symbols:
        raise ConfigError(f"symbol '{symbol}' is not among the configured symbols. {nearest(symbol, config.symbols)}")
    calendar = symbol_calendar(run.tables, config, symbol)
    first_full = calendar.days[min(run.layout.lookback, len(calendar)) - 1].item()
    start, end = start or config.start or first_full, end or config.end
    wanted = calendar.between(start, end)
    if len(wanted) == 0:
        raise ConfigError(
            f"there is no session of {symbol} from {start} to {end or 'the last bar'}: its prices run from "
            f"{calendar.days[0]} to {calendar.days[-1]}. Change start or end."
        )
    return wanted
