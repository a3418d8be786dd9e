"""What an evaluation says: tables from the predictions of its trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from medfit.evidence import delong
from medfit.evidence.intervals import Interval, Resamples, of_patients, resample
from medfit.evidence.predictions import Predictions, TargetKind
from medfit.evidence.settings import Settings

FEWEST_EVENTS = 10  # of a subgroup that is not marked as small
FEWEST_PATIENTS = 20


@dataclass(frozen=True)
class Unit:
    """A training's predictions.

    Args:
        fold: Its number.
        seed: None for a baseline.
        val: Of the validation split; no rows where there is none.
        test: Of the test split.
        groups: The subgroup of each test row, a column for each kind of subgroup.
    """

    fold: int
    seed: int | None
    val: Predictions
    test: Predictions
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)


def summarise(
    models: Mapping[str, Sequence[Unit]], names: Sequence[str], settings: Settings
) -> dict[str, pd.DataFrame]:
    """Returns the tables of an evaluation, by name.

    Args:
        models: The trainings of each model; the network first, then the baselines.
        names: The metrics that are wanted; those of single columns come with them.
        settings: How to read them.
    """
    models = {name: in_order(units) for name, units in models.items()}
    network, *baselines = models
    own = models[network]
    drawn = {model: draws([unit.test for unit in units], names, settings) for model, units in models.items()}
    tables = {"scores": pd.concat([scores(model, units, drawn[model]) for model, units in models.items()])}
    tests, vals = [unit.test for unit in own], [unit.val for unit in own]
    kind = tests[0].kind
    if baselines:
        tables["against"] = pd.concat([against(name, drawn[network] - drawn[name], kind) for name in baselines])
    tables |= kind.tables(tests, vals, settings)
    if len(own[0].groups.columns):
        tables["subgroups"] = subgroups(own, names, settings)
    return {name: table.reset_index(drop=True) for name, table in tables.items() if len(table)}


def in_order(units: Sequence[Unit]) -> list[Unit]:
    """Returns trainings by fold: patients are drawn in the order of the rows, which has to be one for all models."""
    return sorted(units, key=lambda unit: unit.fold)


def draws(tests: Sequence[Predictions], names: Sequence[str], settings: Settings) -> Resamples:
    """Returns the wanted metrics, as means over trainings, under draws that are the same for all models.

    Args:
        tests: Each training's predictions.
        names: The metrics that are wanted; those of single columns come with them.
        settings: For the number of draws.
    """
    statistics, patients, strata, num_rows = of_patients([test.by_patient() for test in tests])
    wanted = {name: of for name, of in statistics.items() if name.split("/")[0] in names}
    drawn = resample(wanted, len(patients), strata, settings.num_resamples, num_rows=num_rows)
    return replace(drawn, patients=patients)


def scores(model: str, units: Sequence[Unit], drawn: Resamples) -> pd.DataFrame:
    """Returns a row for each metric: the mean over trainings, its interval, and the spread over trainings.

    The interval is DeLong's for the AUROC of one column and BCa for all else; the percentile interval stands beside.
    """
    tests = [unit.test.by_patient() for unit in units]
    percentile, chosen = drawn.percentile(), drawn.bca() | _areas(tests, drawn.names)
    each = {name: np.array([_alone(test, name) for test in tests]) for name in drawn.names}
    return pd.DataFrame(
        [
            {
                "model": model,
                "metric": name,
                "estimate": chosen[name].estimate,
                "low": chosen[name].low,
                "high": chosen[name].high,
                "method": chosen[name].method,
                "percentile_low": percentile[name].low,
                "percentile_high": percentile[name].high,
                "sd": float(np.nanstd(values, ddof=1)) if np.isfinite(values).sum() > 1 else np.nan,
                "trainings": len(units),
                "patients": drawn.num_patients,
                "events": tests[0].kind.num_events(tests),
            }
            for name, values in each.items()
        ]
    )


def against(name: str, gains: Resamples, kind: TargetKind) -> pd.DataFrame:
    """Returns the network's gain over a baseline on the same patients, by metric; better is positive.

    Args:
        name: Of the baseline.
        gains: The network's scores less the baseline's.
        kind: Of the targets, which knows the metrics that are better if smaller.
    """
    rows = []
    for metric, found in gains.bca().items():
        sign = -1 if metric.split("/")[0] in kind.smaller_is_better else 1
        low, high = sorted([sign * found.low, sign * found.high])
        gain = {"baseline": name, "metric": metric, "gain": sign * found.estimate, "low": low, "high": high}
        rows.append(gain | {"p": gains.p_value(metric)})
    return pd.DataFrame(rows)


def subgroups(units: Sequence[Unit], names: Sequence[str], settings: Settings) -> pd.DataFrame:
    """Returns the scores of each subgroup; ``small`` marks those too small to say much."""
    tables = []
    for column in units[0].groups:
        for level in sorted({word for unit in units for word in unit.groups[column]}):
            parts = [_part(unit, (unit.groups[column] == level).to_numpy()) for unit in units]
            have = [part for part in parts if len(part.test)]
            drawn = draws([part.test for part in have], names, settings)
            table = scores(level, have, drawn).rename(columns={"model": "level"})
            table.insert(0, "column", column)
            table["small"] = (table.patients < FEWEST_PATIENTS) | (_smaller_class(table) < FEWEST_EVENTS)
            tables.append(table)
    return pd.concat(tables)


def left_out(units: Sequence[Unit], whole: str = "the test split") -> list[str]:
    """Returns which classes or labels the scores leave out, and in how many test splits, a line each.

    Args:
        units: The network's trainings.
        whole: What a single test split is called.
    """
    tests = list({unit.fold: unit.test for unit in units}.values())
    if not tests or not tests[0].kind.classifies:
        return []
    several, told = len(tests) > 1, []
    for column, name in enumerate(tests[0].names):
        missing = sum(not 0 < (test.target[:, column] > 0.5).mean() < 1 for test in tests)
        if missing:
            where = f"{missing} of {len(tests)} test splits" if several else whole
            told.append(f"all or none of the samples are '{name}' in {where}: its AUROC is undefined and in no mean")
    return told


def warnings(tables: Mapping[str, pd.DataFrame], kind: TargetKind) -> list[str]:
    """Returns what a reader must know before believing the scores, a line each."""
    table, name = tables["scores"], kind.headline
    own = table[table.model == table.model.iloc[0]].set_index("metric")
    if name not in own.index:
        return []
    row, told = own.loc[name], []
    few = _smaller_class(row)
    if few < 5 * FEWEST_EVENTS or row.patients < 5 * FEWEST_PATIENTS:
        half = (row.high - row.low) / 2
        of = f"{int(few)} patients in the smaller class" if np.isfinite(few) else f"{int(row.patients)} patients"
        told.append(f"few patients: with {of}, {name} is known to about ± {half:.3g}")
    baseline = tables.get("against")
    for _, rival in (baseline[baseline.metric == name] if baseline is not None else pd.DataFrame()).iterrows():
        if not rival.low > 0:
            told.append(
                f"the network does not beat the baseline '{rival.baseline}' in {name} "
                f"(gain {rival.gain:.3g}, 95 % interval {rival.low:.3g} to {rival.high:.3g})"
            )
    return told


def _smaller_class(scored: Any) -> Any:
    """Returns the patients with or without the event, whichever are fewer; NaN where there is no one event.

    Args:
        scored: A row of scores, or several.
    """
    return np.minimum(scored.events, scored.patients - scored.events)


def _areas(tests: Sequence[Predictions], wanted: Sequence[str]) -> dict[str, Interval]:
    """Returns DeLong's intervals, for the AUROC of single columns."""
    areas = tests[0].kind.areas(tests[0].names)
    return {name: delong.interval(tests, column) for name, column in areas.items() if name in wanted}


def _alone(test: Predictions, name: str) -> float:
    of = test.metrics().get(name)
    return float(of(np.ones((1, len(test))))[0]) if of else np.nan


def _part(unit: Unit, chosen: np.ndarray) -> Unit:
    return Unit(unit.fold, unit.seed, unit.val, unit.test.rows(chosen))
