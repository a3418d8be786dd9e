"""What a table's cells may mean although they don't say so: marks for missing numbers, words that differ by case."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from medfit.terminal.console import say

CODES = [sign * float(digit * length) for sign in (-1, 1) for digit in "789" for length in range(1, 6)] + [-1.0]
FEWEST_VALUES = 3  # besides the code


def lines(x: pd.DataFrame, kinds: Mapping[str, str], targets: pd.DataFrame) -> Iterator[str]:
    """Yields a line for each column that may hold marks for missing cells, or words that differ by case alone.

    Args:
        x: The features, words as they were read.
        kinds: Of the features.
        targets: A column each, as they were read.
    """
    for column in [*(targets[name] for name in targets), *(x[name] for name in x)]:
        name, kind = column.name, kinds.get(str(column.name), "target")
        if kind in ("numeric", "target") and pd.api.types.is_numeric_dtype(column):
            if codes := missing_codes(column):
                told = ", ".join(f"{code:g} in {count} cells" for code, count in codes.items())
                marks = ",".join(f"{code:g}" for code in codes)
                yield (
                    f"column '{name}' holds {told}, far from all else, as marks for missing do; if so, set "
                    f"dataset.missing_in={{{name}:[{marks}]}}"
                )
        elif kind in ("categorical", "target") and (number := case_variants(column)):
            yield (
                f"column '{name}': {number} of its {column.nunique()} values differ from another by case or spaces "
                "alone; dataset.fold_case=true makes them one"
            )


def tell(targets: pd.DataFrame, x: pd.DataFrame | None = None, kinds: Mapping[str, str] | None = None) -> None:
    """Says what :func:`lines` finds in targets, and in features where they are columns."""
    for line in lines(targets[[]] if x is None else x, kinds or {}, targets):
        say(f"Warning: {line}.")


def missing_codes(column: pd.Series) -> dict[float, int]:
    """Returns the numbers that may mark missing cells, and how many cells hold each.

    They are written in sevens, eights or nines, or -1, lie at an end, and apart: farther from all else than all else
    spans, or negative where nothing else is.
    """
    values = column.dropna().astype(float)
    counts = values.value_counts()
    held = [code for code in CODES if code in counts.index]
    rest = values[~values.isin(held)]
    if rest.nunique() < FEWEST_VALUES:
        return {}
    low, high = rest.min(), rest.max()
    span = high - low
    negative = {code for code in held if code < 0 <= low and (counts[code] > 1 or low - code > span)}
    apart = {code for code in held if code - high > span or (low < 0 and low - code > span)}
    return {code: int(counts[code]) for code in sorted(negative | apart)}


def case_variants(column: pd.Series) -> int:
    """Returns how many values of words are another's but for case and spaces."""
    words = pd.Series(column.dropna().astype(str).unique(), dtype=object)
    return int(len(words) - folded_words(words).nunique())


def folded_words(words: pd.Series) -> pd.Series:
    """Returns words in one case, with single spaces."""
    return words.map(lambda word: " ".join(str(word).casefold().split()), na_action="ignore")


def folded(column: pd.Series) -> pd.Series:
    """Returns a column whose words that differ by case or spaces alone are the commonest of them."""
    if pd.api.types.is_numeric_dtype(column) or not column.map(lambda cell: isinstance(cell, str)).any():
        return column
    keys = folded_words(column)
    common = column.groupby(keys).agg(lambda words: words.value_counts().sort_index().idxmax())
    return keys.map(common).astype(object).where(column.notna(), np.nan)
