"""Explanations of tables, in the features' own names."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from medfit.data.dataset import TableDataset
from medfit.explanations.attributions import integrated_gradients
from medfit.explanations.cases import Case, Question, effect, unit_of
from medfit.explanations.explainer import Attributions, Family, Prediction, title
from medfit.explanations.sanity import rank_correlation
from medfit.plots import explanations as figures
from medfit.tasks.base import Task

BACKGROUND = 50  # training rows that SHAP puts in the place of what it hides
PERMUTATIONS = 3  # of SHAP, each forwards and backwards
NEIGHBOURS = 1000  # that LIME draws
NUM_TOLD = 3


class Table(Family):
    """Rows of features.

    Feature ablation, SHAP and LIME explain the whole way from the raw features to the prediction, preprocessing
    included. Integrated gradients explain the network from the prepared columns, and those of a feature are added up:
    the categories of a one-hot encoding, and the mark of its missing cells. PCA counts as a layer of the network.

    An attribution is in the prediction's unit (a probability, or the target's own), and compares with the mean of the
    training rows: of prepared columns (integrated gradients), of the feature or its commonest category (ablation), of
    predictions (SHAP). LIME's is the effect of being in the feature's quarter of the training values, or its category.
    """

    methods = ("integrated_gradients", "feature_ablation", "shap", "lime")
    enough: ClassVar[int] = 100
    num_checked = 6
    dataset: TableDataset

    def __init__(self, *args: Any) -> None:
        from medfit.explanations.raw_table import RawTable  # late: a quick start

        super().__init__(*args)
        self.train = self.data.rows["train"]
        self.raw = RawTable(self.dataset, self.data.fitted, self.train)
        self.sources = self.raw.sources()
        if np.isnan(self.raw.matrix[self.rows]).any():
            self.notes.append("LIME knows no missing numbers: it begins with the training mean in their place.")

    def questions(self) -> list[Question]:
        """Returns what a summary asks: all outputs of each sample."""
        return [Question(int(row), target) for row in self.rows for target in range(len(self.names))]

    def summary(self, method: str, questions: Sequence[Question], found: Attributions) -> dict[str, Any]:
        """Returns each feature's mean size and direction as a table, and a figure of them."""
        parts = dict(self._by_target(questions, found))
        shown = {self.names[t]: (values, self._ranks(rows)) for t, (rows, values) in parts.items()}
        return {
            ".csv": pd.concat([self._table(t, *part) for t, part in parts.items()], ignore_index=True),
            ".png": figures.features(shown, self._labels(), title(method), self.effect(method)),
        }

    def case(self, case: Case, found: dict[str, np.ndarray]) -> Any:
        """Returns the features' values and attributions, a panel each method."""
        row = case.question.row
        values = [
            f"{name} = {self.raw.value(row, i)}{'' if self.raw.value(row, i) == 'missing' else self._unit(i)}"
            for i, name in enumerate(self.raw.names)
        ]
        return figures.features_of_case(
            {title(m): a for m, a in found.items()}, values, case.title, effect(self.dataset)
        )

    def headline(self, method: str, questions: Sequence[Question], found: Attributions) -> str:
        """Returns the features of most weight."""
        order = np.argsort(-np.abs(np.stack(found)).mean(axis=0), kind="stable")
        return ", ".join(self.raw.names[i] for i in order[:NUM_TOLD])

    def compare(self, questions: Sequence[Question], found: dict[str, Attributions]) -> dict[str, Any]:
        """Returns the rank correlation of the features' mean sizes between each two methods."""
        sizes = {method: np.abs(np.stack(values)).mean(axis=0) for method, values in found.items()}
        names = list(sizes)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        rows = [{"method": a, "other": b, "rank_correlation": rank_correlation(sizes[a], sizes[b])} for a, b in pairs]
        return {"agreement.csv": pd.DataFrame(rows)} if rows else {}

    def _integrated_gradients(self, task: Task, questions: Sequence[Question]) -> Attributions:
        net = nn.Sequential(self.raw.projection(), Prediction(task))
        baseline = self.raw.columns(self.raw.matrix[self.train]).mean(dim=0, keepdim=True)
        rows = self.raw.columns(self.raw.matrix[[q.row for q in questions]])
        made, gaps = [], []
        for x, question in zip(rows, questions, strict=True):
            of_columns, gap = integrated_gradients(net, x[None], baseline, question.target)
            made.append(np.bincount(self.sources, of_columns.numpy(), minlength=len(self.raw.names)))
            gaps.append(abs(gap))
        if task is self.task:
            self.told["integrated_gradients"] = {"largest_convergence_delta": max(gaps)}
        return made

    def _feature_ablation(self, task: Task, questions: Sequence[Question]) -> Attributions:
        """Puts each feature's typical value in its place; a mask tells where, as NaN could not be replaced."""
        from captum.attr import FeatureAblation  # late: a quick start

        rows = torch.from_numpy(self.raw.matrix[[q.row for q in questions]])

        def masked(kept: Tensor, values: Tensor) -> Tensor:
            return torch.from_numpy(self._predict(task, np.where(kept.numpy() > 0, values.numpy(), self.raw.typical)))

        targets = torch.tensor([q.target for q in questions])
        kept = torch.ones_like(rows)
        made = FeatureAblation(masked).attribute(kept, 0.0, target=targets, additional_forward_args=(rows,))
        return list(np.asarray(made))

    def _shap(self, task: Task, questions: Sequence[Question]) -> Attributions:
        """Estimates Shapley values (Lundberg & Lee, NeurIPS 2017) over permutations of the features."""
        rng = np.random.default_rng(self.seed)
        background = self.raw.matrix[rng.choice(self.train, min(BACKGROUND, len(self.train)), replace=False)]
        rows = sorted({q.row for q in questions})
        shap = _shap_library()
        with _numpy_seed():
            explainer = shap.explainers.Permutation(
                partial(self._predict, task), shap.maskers.Independent(background, len(background)), seed=self.seed
            )
            evaluations = PERMUTATIONS * (2 * len(self.raw.names) + 1)
            made = explainer(self.raw.matrix[rows], max_evals=evaluations, silent=True)
        place = {row: i for i, row in enumerate(rows)}
        if task is self.task:
            base = np.reshape(made.base_values, (len(rows), -1))[0]
            self.told["shap"] = {"base": dict(zip(self.names, base.tolist(), strict=True))}
        values = np.reshape(made.values, (len(rows), len(self.raw.names), -1))  # SHAP leaves out a single output
        return [values[place[row], :, target] for row, target in questions]

    def _lime(self, task: Task, questions: Sequence[Question]) -> Attributions:
        """Fits a linear model to predictions around a row (Ribeiro et al., KDD 2016)."""
        from lime.lime_tabular import LimeTabularExplainer  # late: a quick start

        filled = np.where(np.isnan(self.raw.matrix), self.raw.typical, self.raw.matrix)
        explainer = LimeTabularExplainer(
            filled[self.train],
            feature_names=self.raw.names,
            categorical_features=list(self.raw.levels),
            categorical_names={i: [*map(str, levels), "missing"] for i, levels in self.raw.levels.items()},
            random_state=self.seed,
        )
        targets: dict[int, list[int]] = {}
        for row, target in questions:
            targets.setdefault(row, []).append(target)
        made = {}
        for row, wanted in targets.items():
            predict: Callable[..., np.ndarray] = partial(self._predict, task)
            with warnings.catch_warnings():  # one linear model for each output, whatever they sum to
                warnings.filterwarnings("ignore", r"\s*Prediction probabilties do not sum to 1")
                found = explainer.explain_instance(
                    filled[row], predict, wanted, num_features=len(self.raw.names), num_samples=NEIGHBOURS
                )
            for target in wanted:
                weights = dict(found.local_exp[target])
                made[row, target] = np.array([weights.get(i, 0.0) for i in range(len(self.raw.names))])
        return [made[question] for question in questions]

    def _predict(self, task: Task, matrix: np.ndarray) -> np.ndarray:
        """Returns predictions for rows of raw values, in the shape (rows, outputs)."""
        with torch.no_grad():
            return Prediction(task)(self.raw.prepared(np.asarray(matrix, dtype=float))).numpy()

    def _by_target(
        self, questions: Sequence[Question], found: Attributions
    ) -> Iterator[tuple[int, tuple[list[int], np.ndarray]]]:
        """Yields each output's samples and their attributions (samples, features)."""
        for target in range(len(self.names)):
            places = [i for i, question in enumerate(questions) if question.target == target]
            yield target, ([questions[i].row for i in places], np.stack([found[i] for i in places]))

    def _table(self, target: int, rows: list[int], values: np.ndarray) -> pd.DataFrame:
        """Returns each feature's mean size, and whether high values raise (1) or lower (-1) the prediction."""
        raw = self.raw.matrix[rows]
        direction = [
            rank_correlation(raw[seen, i], values[seen, i]) if numeric and seen.any() else np.nan
            for i, numeric in enumerate(self.raw.numeric)
            for seen in [~np.isnan(raw[:, i])]
        ]
        table = pd.DataFrame(
            {
                "target": self.names[target],
                "feature": self.raw.names,
                "unit": [self.dataset.units.get(name, "") for name in self.raw.names],
                "mean_size": np.abs(values).mean(axis=0),
                "direction": direction,
            }
        )
        return table.sort_values("mean_size", ascending=False, kind="stable")

    def _ranks(self, rows: list[int]) -> np.ndarray:
        """Returns each value's rank among those of its feature, from 0 to 1; NaN for categories and missing cells."""
        ranks = pd.DataFrame(self.raw.matrix[rows]).rank(pct=True)
        ranks.loc[:, [i for i, numeric in enumerate(self.raw.numeric) if not numeric]] = np.nan
        return ranks.to_numpy()

    def _labels(self) -> list[str]:
        units = [self._unit(i) for i in range(len(self.raw.names))]
        return [f"{name} ({unit.strip()})" if unit else name for name, unit in zip(self.raw.names, units, strict=True)]

    def _unit(self, place: int) -> str:
        return unit_of(self.dataset, self.raw.names[place])


def _shap_library() -> Any:
    """Imports SHAP, its loops left to Python: to compile them takes longer than they do."""
    import numba  # late: a quick start

    settings: Any = numba.config
    plain, settings.DISABLE_JIT = settings.DISABLE_JIT, True
    try:
        with warnings.catch_warnings():  # its own plots, not used here, call what matplotlib is about to change
            warnings.filterwarnings("ignore", "The set_(bad|over|under) function", PendingDeprecationWarning)
            import shap  # late: a quick start
    finally:
        settings.DISABLE_JIT = plain
    return shap


@contextmanager
def _numpy_seed() -> Iterator[None]:
    """Leaves numpy's global state, which SHAP seeds and draws from, as it was."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)
