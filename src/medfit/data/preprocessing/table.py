"""Preprocessing of records, fitted on the training rows only."""

import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from medfit.data.dataset import TableDataset, TableRows
from medfit.data.kind import check_kind
from medfit.data.preprocessing.arrays import Arrays
from medfit.data.preprocessing.fitted import Fitted
from medfit.errors import UserError

Missing = Literal["drop", "mean", "median", "most_frequent", "constant", "knn"]
Count = Annotated[int, Field(ge=1)]
ROWS_A_QUANTILE = 10
QUANTILES = (10, 1000)  # the fewest and the most that scaling=quantile keeps of a column
STEPS_FILE = "preprocessing.skops"
TRUSTED = [  # beside what skops trusts by itself
    "numpy.dtype",
    "medfit.data.preprocessing.table._correlation",
    "sklearn.feature_selection._univariate_selection.f_classif",
]
BLAMED = {  # scikit-learn's words: the key they are about
    "variance threshold": "min_variance",
    "greater than n_features": "num_best",
    "n_components": "pca",
}


class TablePreprocessing:
    """Turns columns of mixed kinds into numbers, by scikit-learn.

    Numbers are imputed and scaled; boolean columns imputed by the most frequent value; categories imputed by the
    most frequent one (a category of their own with ``missing=constant``) and encoded, unseen ones as nought or
    -1; then features are selected, then projected.

    Args:
        dataset: A table, as :class:`medfit.data.datasets.records.Records` is one.
        missing: ``drop`` leaves out rows with missing cells, in every split; the others impute.
        missing_value: For ``constant``, in the columns' own units.
        missing_indicator: Whether each column with missing cells in the training rows gets another that marks them.
        num_neighbours: For ``knn``, which compares scaled columns.
        scaling: ``standard``, ``min_max``, ``robust``, ``quantile`` (to a normal distribution, by a tenth as many
            quantiles as training rows, 10 to 1,000) or ``none``.
        categories: ``one_hot`` or ``ordinal``.
        min_variance: Features that vary no more than this are left out; constant ones also by the next two.
        num_best: As many features are kept, by an F-test against the target.
        pca: A number of components, or the share of variance to keep.
    """

    def __init__(
        self,
        dataset: TableDataset,
        missing: Missing = "median",
        missing_value: float = 0.0,
        missing_indicator: bool = False,
        num_neighbours: Count = 5,
        scaling: Literal["standard", "min_max", "robust", "quantile", "none"] = "standard",
        categories: Literal["one_hot", "ordinal"] = "one_hot",
        min_variance: Annotated[float, Field(ge=0)] | None = None,
        num_best: Count | None = None,
        pca: Count | Annotated[float, Field(gt=0, lt=1)] | None = None,
    ) -> None:
        check_kind(dataset, "table")
        self.dataset = dataset
        self.missing, self.missing_value, self.missing_indicator = missing, missing_value, missing_indicator
        self.num_neighbours, self.scaling, self.categories = num_neighbours, scaling, categories
        self.min_variance, self.num_best, self.pca = min_variance, num_best, pca

    def usable(self) -> np.ndarray:
        """Marks the rows that can be used."""
        if self.missing != "drop":
            return np.ones(len(self.dataset), dtype=bool)
        return self.dataset.x.notna().all(axis=1).to_numpy()

    def fit(self, train: np.ndarray) -> "FittedTable":
        """Returns what the training rows alone teach.

        Args:
            train: Numbers of the training rows.

        Raises:
            UserError: a column without any value in the training rows, or more features or components asked for
                than there are.
        """
        x = self.dataset.x
        for column in x:
            if x[column].iloc[train].isna().all():
                raise UserError(f"preprocessing: column '{column}' is all missing in the training rows; leave it out")
        steps = self._steps(train)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="k=.* is greater than n_features")
                steps.fit(x.iloc[train], self._target(train))
        except (ValueError, UserWarning) as error:
            message = str(error).splitlines()[0].removesuffix(" All the features will be returned.")
            path = next((f".{key}" for words, key in BLAMED.items() if words in message), "")
            raise UserError(f"preprocessing{path}: {message}") from error
        return FittedTable(
            features=list(x),
            kinds=dict(self.dataset.kinds),
            units=dict(self.dataset.units),
            target_names=list(self.dataset.target_names),
            steps=steps,
        )

    def prepared(self, fitted: "FittedTable") -> Arrays:
        """Returns all samples of the data set as tensors ``(x, y)``."""
        return Arrays(fitted.apply(self.dataset), torch.tensor(self.dataset.y))

    def _steps(self, train: np.ndarray) -> Any:
        from sklearn.decomposition import PCA  # late: a quick start
        from sklearn.feature_selection import SelectKBest, VarianceThreshold
        from sklearn.pipeline import Pipeline

        steps: list[tuple[str, Any]] = [("columns", self._columns(train))]
        if not self.min_variance == self.num_best == self.pca is None:  # the other two can't do with constant features
            steps.append(("variance", VarianceThreshold(self.min_variance or 0.0)))
        if self.num_best is not None:
            steps.append(("best", SelectKBest(self._relevance(), k=self.num_best)))
        if self.pca is not None:
            steps.append(("pca", PCA(self.pca, random_state=0)))
        return Pipeline(steps)

    def _columns(self, train: np.ndarray) -> Any:
        from sklearn.compose import ColumnTransformer  # late: a quick start
        from sklearn.impute import MissingIndicator, SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

        of_kind = {
            kind: [c for c in self.dataset.x if self.dataset.kinds[c] == kind]
            for kind in ("numeric", "boolean", "categorical")
        }
        words = (
            {"strategy": "constant", "fill_value": "missing"}
            if self.missing == "constant"
            else {"strategy": "most_frequent"}
        )
        encoder = (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            if self.categories == "one_hot"
            else OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        )
        return ColumnTransformer(
            [
                ("numeric", make_pipeline(*self._numeric(len(np.unique(train)))), of_kind["numeric"]),
                ("boolean", self._indicated(SimpleImputer(strategy="most_frequent")), of_kind["boolean"]),
                (
                    "categorical",
                    make_pipeline(SimpleImputer(missing_values=np.nan, **words), encoder),
                    of_kind["categorical"],
                ),
                (
                    "marks",
                    MissingIndicator(error_on_new=False) if self.missing_indicator else "drop",
                    of_kind["categorical"],
                ),
            ]
        )

    def _numeric(self, num_rows: int) -> list[Any]:
        from sklearn.impute import KNNImputer, SimpleImputer  # late: a quick start

        scaler = self._scaler(num_rows)
        if self.missing == "knn":
            return [scaler, self._indicated(KNNImputer(n_neighbors=self.num_neighbours))]
        strategy = "median" if self.missing == "drop" else self.missing
        return [self._indicated(SimpleImputer(strategy=strategy, fill_value=self.missing_value)), scaler]

    def _indicated(self, imputer: Any) -> Any:
        return imputer.set_params(add_indicator=self.missing_indicator)

    def _scaler(self, num_rows: int) -> Any:
        from sklearn.preprocessing import (  # late: a quick start
            FunctionTransformer,
            MinMaxScaler,
            QuantileTransformer,
            RobustScaler,
            StandardScaler,
        )

        return {
            "standard": StandardScaler(),
            "min_max": MinMaxScaler(),
            "robust": RobustScaler(),
            "quantile": QuantileTransformer(
                n_quantiles=num_quantiles(num_rows), output_distribution="normal", random_state=0
            ),
            "none": FunctionTransformer(feature_names_out="one-to-one"),
        }[self.scaling]

    def _relevance(self) -> Any:
        from sklearn.feature_selection import f_classif  # late: a quick start

        return f_classif if self.dataset.strata is not None else _correlation

    def _target(self, train: np.ndarray) -> np.ndarray:
        """Returns one value per training row for the F-test: the class, or the mean of scaled targets."""
        if self.dataset.strata is not None:
            return self.dataset.strata[train]
        y = self.dataset.y[train]
        return ((y - y.mean(axis=0)) / np.maximum(y.std(axis=0), 1e-12)).mean(axis=1)


def num_quantiles(num_rows: int) -> int:
    """Returns how many quantiles of a column are kept: a tenth of the training rows, so that no column is kept whole.

    Ten at least, as fewer scale badly: of fewer than a hundred rows they are more than a tenth.

    Args:
        num_rows: Of the training split, each once.
    """
    return min(num_rows, int(np.clip(num_rows // ROWS_A_QUANTILE, *QUANTILES)))


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ranks features as the F-test does, whose own value turns negative where a correlation rounds to above 1."""
    from sklearn.feature_selection import r_regression  # late: a quick start

    return np.abs(r_regression(x, y))


@dataclass(frozen=True, kw_only=True)
class FittedTable(Fitted):
    """Imputers, encoders, scalers, selection and projection, fitted.

    Args:
        kinds: Of the columns: ``numeric``, ``categorical`` or ``boolean``.
        steps: scikit-learn's pipeline.
    """

    kinds: dict[str, str]
    steps: Any

    def apply(self, samples: TableRows) -> Tensor:
        """Returns rows as float32 (samples, features); columns that were not learnt from are left out.

        Raises:
            UserError: a column is missing.
        """
        if missing := [str(name) for name in self.features if name not in samples.x]:
            raise UserError(f"the samples have no column '{missing[0]}', which the preprocessing has learnt from")
        return torch.from_numpy(np.asarray(self.steps.transform(samples.x[self.features]), dtype=np.float32))

    def rows_held(self) -> str | None:
        """Returns the numeric columns, where the neighbours of a row fill in its missing cells."""
        from sklearn.impute import KNNImputer  # late: a quick start

        numeric: Any = self.steps[0].named_transformers_.get("numeric")
        neighbours = "numeric" in self.kinds.values() and isinstance(numeric[-1], KNNImputer)
        return "the numeric columns of all training rows (preprocessing.missing=knn)" if neighbours else None

    def save(self, folder: Path) -> None:
        """Writes plain values as JSON, and scikit-learn's pipeline by skops."""
        import skops.io  # late: a quick start

        super().save(folder)
        skops.io.dump(self.steps, folder / STEPS_FILE)

    def values(self) -> dict[str, Any]:
        """Returns all but the pipeline."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "steps"}

    @classmethod
    def read(cls, folder: Path, values: dict[str, Any]) -> Self:
        """Returns what was stored; a pipeline with types other than scikit-learn's and medfit's is refused."""
        import skops.io  # late: a quick start

        return cls(**values, steps=skops.io.load(folder / STEPS_FILE, trusted=TRUSTED))
