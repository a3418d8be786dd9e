"""Studies of the intervals that stand in an evaluation's other tables, each with the truth that it should hold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from coverage_designs import BIAS, DISTANCE, SD, alike, area, numbers, patients_of, scores
from scipy import stats
from scipy.special import expit

from medfit.evidence import agreement, calibration, thresholds
from medfit.evidence.paired import compare
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit, draws
from medfit.evidence.targets.known import named

SLOPE = 0.7
HARDER = 0.8  # the distance of the other model's cases
SPREAD = 15.0  # of blood pressure, in mmHg
NUM_MODELS = 300  # of which validation patients choose one
NUM_NEW = 20  # patients that a prediction interval is tried on
NUM_LARGE = 1_000_000
Ends = tuple[float, float, float]  # of an interval, and what it should hold


@dataclass(frozen=True)
class Readout:
    """A kind of study of an interval.

    Args:
        name: In the table.
        method: Of the interval.
        simulate: Yields the intervals of one study, of a number of patients, and what each should hold.
        lowest: Share of intervals that have to hold it.
        highest: Share; 1 where an interval is known to be wide.
        smaller: Numbers of patients that are tried besides the usual ones.
    """

    name: str
    method: str
    simulate: Callable[[np.random.Generator, int, Settings], Iterator[Ends]]
    lowest: float = 0.93
    highest: float = 0.97
    smaller: tuple[int, ...] = ()


def rates(rate: str, measurements: int | None = None) -> Callable[..., Iterator[Ends]]:
    """Returns studies of a rate at a threshold that other patients chose.

    Args:
        rate: As :func:`medfit.evidence.thresholds.readout` names it.
        measurements: Of each patient; None for one to four.
    """

    def simulate(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
        test, val = (_diagnosis(rng, num_patients, measurements) for _ in range(2))
        table = thresholds.readout([test], [val], prevalence=0.1, num_resamples=settings.num_resamples // 2)
        row = table[table.rate == rate].iloc[0]
        cut = stats.norm.ppf(np.clip(row.threshold, 1e-9, 1 - 1e-9))
        found, cleared = stats.norm.sf(cut - DISTANCE / 2), stats.norm.cdf(cut + DISTANCE / 2)
        known = {"sensitivity": found, "specificity": cleared}
        for prevalence, behind in ((0.3, ""), (0.1, " at a prevalence of 0.1")):
            values = thresholds.predictive_values(found, cleared, prevalence)
            known |= {f"ppv{behind}": values[0], f"npv{behind}": values[1]}
        yield row.low, row.high, known[rate]

    return simulate


def gains(metric: str) -> Callable[..., Iterator[Ends]]:
    """Returns studies of one model's gain over another on the same patients."""

    def simulate(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
        one, other = _two_models(rng, num_patients)
        if metric == "auroc":  # which resamples nothing
            settings = replace(settings, num_resamples=100)
        row = compare([Unit(0, 0, one, one)], [Unit(0, 0, other, other)], [metric], settings).iloc[0]
        yield row.low, row.high, _gain(metric)

    return simulate


def mean_area(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
    """Yields the interval of the mean AUROC of three classes."""
    found = draws([_classes(rng, num_patients)], ["auroc"], settings).bca()["auroc"]
    yield found.low, found.high, _mean_area()


def line(measure: str) -> Callable[..., Iterator[Ends]]:
    """Returns studies of the calibration slope or intercept of predictions that are too extreme."""

    def simulate(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
        made = _chances(rng, num_patients, 1.0 if measure == "intercept" else SLOPE)
        few = max(100, settings.num_resamples // 8)
        table = calibration.table([made], [made], few, methods=("none",)).set_index("measure")
        yield table.low[measure], table.high[measure], {"slope": SLOPE, "intercept": 0.0}[measure]

    return simulate


def curve(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
    """Yields the intervals of the calibration curve's points, of predictions that mean what they say."""
    for row in calibration.curve([_chances(rng, num_patients, 1.0)]).itertuples():
        yield row.low, row.high, row.predicted


def limits(measure: str) -> Callable[..., Iterator[Ends]]:
    """Returns studies of the bias or a limit of agreement."""
    truth = {"bias": BIAS, "upper limit": BIAS + agreement.Z * SD, "lower limit": BIAS - agreement.Z * SD}

    def simulate(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
        table = agreement.bland_altman([numbers(rng, num_patients)]).set_index("measure")
        yield table.low[measure], table.high[measure], truth[measure]

    return simulate


def tenths(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
    """Yields the intervals of the measured means of tenths by prediction."""
    made = numbers(rng, num_patients)
    expected = 130 + SPREAD**2 / (SPREAD**2 + SD**2) * (made.preds[:, 0] - 130 - BIAS)
    groups = calibration.groups(made.preds[:, 0])
    for group, row in zip(groups, agreement.deciles([made]).itertuples(), strict=True):
        _, code, counts = np.unique(made.patient[group], return_inverse=True, return_counts=True)
        yield row.low, row.high, float((np.bincount(code, expected[group]) / counts).mean())


def new_patients(num_models: int = 1) -> Callable[..., Iterator[Ends]]:
    """Returns studies of prediction intervals: whether they hold the error of a new patient.

    Args:
        num_models: Of which the one with the least validation error is taken; all are equally good.
    """

    def simulate(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
        tried = [_val_and_test(rng, num_patients) for _ in range(num_models)]
        _, test = min(tried, key=lambda made: float(np.abs(made[0].preds - made[0].target).mean()))
        width = agreement.conformal([test], settings.coverage).half_width[0]
        yield from ((-width, width, error) for error in rng.normal(BIAS, SD, NUM_NEW))

    return simulate


def measured_coverage(rng: np.random.Generator, num_patients: int, settings: Settings) -> Iterator[Ends]:
    """Yields the range of shares of new patients that prediction intervals hold."""
    row = agreement.conformal([numbers(rng, num_patients)], settings.coverage).iloc[0]
    held = stats.norm.cdf((row.half_width - BIAS) / SD) - stats.norm.cdf((-row.half_width - BIAS) / SD)
    yield row.low, row.high, float(held)


def _val_and_test(rng: np.random.Generator, num_patients: int) -> tuple[Predictions, Predictions]:
    return numbers(rng, num_patients), numbers(rng, num_patients)


READOUTS = [
    Readout("Mean AUROC of three classes", "BCa", mean_area),
    Readout("Gain in AUROC", "paired DeLong", gains("auroc")),
    Readout("Gain in Brier score", "BCa", gains("brier")),
    Readout("Sensitivity", "Wilson", rates("sensitivity")),
    Readout("Sensitivity, four measurements each", "Wilson", rates("sensitivity", 4)),
    Readout("Sensitivity, one measurement each", "Wilson", rates("sensitivity", 1)),
    Readout("Specificity", "Wilson", rates("specificity")),
    Readout("PPV", "Wilson", rates("ppv")),
    Readout("NPV", "Wilson", rates("npv")),
    Readout("PPV at a prevalence", "ends of two rates", rates("ppv at a prevalence of 0.1"), highest=1),
    Readout("Calibration slope", "BCa", line("slope")),
    Readout("Calibration intercept", "BCa", line("intercept")),
    Readout("Points of the calibration curve", "Wilson", curve, highest=1),
    Readout("Bias", "Student", limits("bias")),
    Readout("Upper limit of agreement", "MOVER", limits("upper limit")),
    Readout("Lower limit of agreement", "MOVER", limits("lower limit")),
    Readout("Measured means of tenths", "Student", tenths),
    Readout("Prediction intervals, 90 % asked", "conformal", new_patients(), 0.88, 0.94),
    Readout("Prediction intervals, best of 300 models", "conformal", new_patients(NUM_MODELS), 0.88, 0.94, (30,)),
    Readout("Share that prediction intervals hold", "beta", measured_coverage, highest=1, smaller=(30,)),
]


def _diagnosis(rng: np.random.Generator, num_patients: int, measurements: int | None) -> Predictions:
    patient = patients_of(rng, num_patients)
    if measurements:
        patient = np.repeat(np.arange(num_patients), measurements)
    return scores(rng, patient, (rng.random(num_patients) < 0.3)[patient])


def _two_models(rng: np.random.Generator, num_patients: int) -> tuple[Predictions, Predictions]:
    """Draws the scores of two models, which have half of their noise in common."""
    patient = patients_of(rng, num_patients)
    target = (rng.random(num_patients) < 0.3)[patient]
    noise, own = alike(rng, patient), [alike(rng, patient) for _ in range(2)]
    one, other = (
        stats.norm.cdf(np.sqrt(0.5) * (noise + its) + distance * (target - 0.5))
        for its, distance in zip(own, (DISTANCE, HARDER), strict=True)
    )
    made = Predictions(named("binary"), ["ill"], patient, target[:, None].astype(float), one[:, None])
    return made, replace(made, preds=other[:, None])


@cache
def _gain(metric: str) -> float:
    if metric == "auroc":
        return area().value - float(stats.norm.cdf(HARDER / np.sqrt(2)))
    one, other = _two_models(np.random.default_rng(12345), NUM_LARGE)
    return float(((other.preds - other.target) ** 2).mean() - ((one.preds - one.target) ** 2).mean())


def _classes(rng: np.random.Generator, num_patients: int) -> Predictions:
    patient = patients_of(rng, num_patients)
    target = np.eye(3)[rng.choice(3, num_patients, p=[0.5, 0.3, 0.2])[patient]]
    odds = np.stack([alike(rng, patient) for _ in range(3)], axis=1) + DISTANCE * target
    preds = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    return Predictions(named("multiclass"), ["a", "b", "c"], patient, target, preds)


@cache
def _mean_area() -> float:
    made = _classes(np.random.default_rng(12345), NUM_LARGE // 4)
    return float(made.metrics()["auroc"](np.ones((1, len(made))))[0])


def _chances(rng: np.random.Generator, num_patients: int, slope: float) -> Predictions:
    """Draws outcomes whose chances are those predicted once their log odds are multiplied by the slope."""
    patient = patients_of(rng, num_patients)
    odds = alike(rng, patient) - 0.5
    target = alike(rng, patient) < stats.norm.ppf(expit(odds))
    preds = expit(odds / slope)
    return Predictions(named("binary"), ["ill"], patient, target[:, None].astype(float), preds[:, None])


def measured(readout: Readout, num_patients: int, num_studies: int, settings: Settings, seed: int) -> list[np.ndarray]:
    """Returns the ends of each study's intervals and what they should hold, in the shape (intervals, 3).

    Args:
        readout: The kind of study.
        num_patients: Of each.
        num_studies: To draw.
        settings: Of the evaluation.
        seed: Of the studies.
    """
    rng = np.random.default_rng([seed, num_patients])
    return [np.array(list(readout.simulate(rng, num_patients, settings))) for _ in range(num_studies)]


def row(readout: Readout, num_patients: int, found: list[np.ndarray]) -> list[str]:
    """Returns a line of the table.

    Args:
        readout: The kind of study.
        num_patients: Of each.
        found: Of each study, as :func:`measured` returns them; an interval that is none holds nothing.
    """
    shares = np.array([((low <= truth) & (truth <= high)).mean() for low, high, truth in (s.T for s in found)])
    whole = np.concatenate(found)
    width = float(np.nanmedian(whole[:, 1] - whole[:, 0]))
    sides = [100 * float((whole[:, 1] < whole[:, 2]).mean()), 100 * float((whole[:, 0] > whole[:, 2]).mean())]
    held, error = float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))
    line = [readout.name, str(num_patients), readout.method, f"{100 * held:.1f} ± {100 * error:.1f}", f"{width:.3g}"]
    return [*line, *(f"{side:.1f}" for side in sides), str(len(found))]


def problem(line: list[str]) -> str | None:
    """Returns what is wrong with the interval of a line of the table, beyond the noise of few studies."""
    readout = next(readout for readout in READOUTS if readout.name == line[0])
    held, error = (float(part) / 100 for part in line[3].split(" ± "))
    if readout.lowest - 2 * error <= held <= readout.highest + 2 * error:
        return None
    return f"{readout.name}, {line[1]} patients: {readout.method} covers the truth in {100 * held:.1f} %"
