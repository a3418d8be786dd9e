"""Tasks with a prediction per output, scored output by output."""

import numpy as np
import pandas as pd
from torch import Tensor

from medfit.tasks import metrics as m
from medfit.tasks.supervised import Supervised


class Columns(Supervised):
    """A prediction per output; scores are means over outputs, and each output's own where there are several."""

    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs, each output's own last."""
        own = self.target_names if len(self.target_names) > 1 else []
        return [*super().logged(), *(f"val/{metric}/{output}" for metric in self.metrics for output in own)]

    def scores(self, preds: Tensor, target: Tensor) -> dict[str, float]:
        """Returns ``metric`` and, where there are several outputs, ``metric/output``."""
        found: dict[str, float] = {}
        for name in self.metrics:
            values = m.by_column(self.available[name], preds.float(), target)
            found[name] = float(values.nanmean())
            if len(values) > 1:
                found |= {f"{name}/{column}": float(v) for column, v in zip(self.target_names, values, strict=True)}
        return found

    def table(self, preds: Tensor, target: Tensor) -> pd.DataFrame:
        """Returns ``target/<output>`` and ``pred/<output>`` columns."""
        truth, guess = np.asarray(target), np.asarray(preds)
        columns = {f"target/{name}": truth[:, i] for i, name in enumerate(self.target_names)}
        return pd.DataFrame(columns | {f"pred/{name}": guess[:, i] for i, name in enumerate(self.target_names)})
