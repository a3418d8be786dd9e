"""Studies whose truth is known: patients measured once to four times, alike within the patient."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats
from scipy.special import expit

from medfit.evidence.predictions import Predictions
from medfit.evidence.segmentation import overlaps
from medfit.evidence.targets.known import named

MOST_MEASUREMENTS = 4
ALIKE = 0.6  # the correlation of two measurements of one patient
PREVALENCE = 0.3
DISTANCE = 1.2  # of cases from others, in standard deviations of the score
BIAS, SD = 2.0, 8.0  # of errors, in mmHg
NUM_LARGE = 2_000_000  # patients of the simulation that stands for the truth where there is no formula


@dataclass(frozen=True)
class Truth:
    """What an interval should cover.

    Args:
        value: Of the metric.
        error: Its standard error; 0 for a formula.
    """

    value: float
    error: float = 0.0


@dataclass(frozen=True)
class Design:
    """A kind of study.

    Args:
        name: In the table.
        metric: Which medfit calculates.
        default: The interval that medfit gives this metric.
        simulate: Draws a study of a number of patients.
        truth: Of the metric, as medfit calculates it.
        truth_of_rows: Of the metric where each measurement counts as a patient.
    """

    name: str
    metric: str
    default: str
    simulate: Callable[[np.random.Generator, int], Predictions]
    truth: Callable[[], Truth]
    truth_of_rows: Callable[[], Truth]


def diagnosis(rng: np.random.Generator, num_patients: int) -> Predictions:
    """Draws scores of patients who have a disease or not, throughout."""
    patient = patients_of(rng, num_patients)
    return scores(rng, patient, (rng.random(num_patients) < PREVALENCE)[patient])


def finding(rng: np.random.Generator, num_patients: int) -> Predictions:
    """Draws scores of measurements that show a finding or not, one patient's more alike than two patients'."""
    patient = patients_of(rng, num_patients)
    return scores(rng, patient, alike(rng, patient) < stats.norm.ppf(PREVALENCE))


def numbers(rng: np.random.Generator, num_patients: int) -> Predictions:
    """Draws predictions of blood pressure, whose errors are normal and one patient's alike."""
    patient = patients_of(rng, num_patients)
    target = 130 + 15 * alike(rng, patient)
    preds = target + BIAS + SD * alike(rng, patient)
    return Predictions(named("regression"), ["systolic"], patient, target[:, None], preds[:, None])


def masks(rng: np.random.Generator, num_patients: int) -> Predictions:
    """Draws voxel counts of images, some patients' much harder than others', so that Dice is skewed."""
    patient = patients_of(rng, num_patients)
    true = rng.poisson(np.exp(6 + 0.5 * alike(rng, patient))) + 1
    found_share = expit(2 + alike(rng, patient))
    found = rng.binomial(true, found_share)
    predicted = found + rng.binomial(true, 1 - found_share)
    counts = np.stack([found, predicted, true], axis=1)[:, :, None].astype(float)
    return Predictions(named("segmentation"), ["tumour"], patient, counts, np.full((len(patient), 2, 1), np.nan))


def area() -> Truth:
    """Returns the AUROC of two normal distributions: that of a random case's and a random other's measurement."""
    return Truth(float(stats.norm.cdf(DISTANCE / np.sqrt(2))))


def mean_error() -> Truth:
    """Returns the mean of a folded normal distribution (Leone et al., Technometrics 1961)."""
    spread = SD * np.sqrt(2 / np.pi) * np.exp(-(BIAS**2) / (2 * SD**2))
    return Truth(float(spread + BIAS * (1 - 2 * stats.norm.cdf(-BIAS / SD))))


@cache
def mean_dice(by_patient: bool = True, num_patients: int = NUM_LARGE) -> Truth:
    """Returns the mean Dice of patients, whose images' voxels are summed, or of images, by a large simulation."""
    drawn = masks(np.random.default_rng(12345), num_patients)
    counted = drawn.by_patient() if by_patient else drawn
    dice = overlaps(counted.target)["dice"][:, 0]
    of_patients = np.bincount(counted.patient, dice - dice.mean())  # which are what is independent
    return Truth(float(dice.mean()), float(of_patients.std() * np.sqrt(num_patients) / len(dice)))


DESIGNS = [
    Design("AUROC, a diagnosis", "auroc", "DeLong", diagnosis, area, area),
    Design("AUROC, a finding", "auroc", "DeLong", finding, area, area),
    Design("Dice, mean of patients", "dice", "BCa", masks, mean_dice, lambda: mean_dice(by_patient=False)),
    Design("MAE", "mae", "BCa", numbers, mean_error, mean_error),
]


def patients_of(rng: np.random.Generator, number: int) -> np.ndarray:
    """Returns whose each measurement is."""
    return np.repeat(np.arange(number), rng.integers(1, MOST_MEASUREMENTS + 1, number))


def alike(rng: np.random.Generator, patient: np.ndarray) -> np.ndarray:
    """Returns standard normal numbers, correlated within the patient."""
    of_patient, own = rng.normal(size=patient[-1] + 1)[patient], rng.normal(size=len(patient))
    return np.sqrt(ALIKE) * of_patient + np.sqrt(1 - ALIKE) * own


def scores(rng: np.random.Generator, patient: np.ndarray, target: np.ndarray) -> Predictions:
    """Returns scores of measurements, normal and alike within the patient, those of cases higher."""
    preds = stats.norm.cdf(alike(rng, patient) + DISTANCE * (target - 0.5))
    return Predictions(named("binary"), ["ill"], patient, target[:, None].astype(float), preds[:, None])
