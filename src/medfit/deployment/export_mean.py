"""Several trainings as one network, whose output is the mean of theirs, for exported files."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medfit.deployment.ensemble import Ensemble
from medfit.deployment.export_steps import UNSEEN, Chosen
from medfit.deployment.export_table import Cells, TableSteps
from medfit.errors import UserError

ONE = "export one of its trainings' runs"


class Mean(nn.Module):
    """The mean output of several networks, of the same inputs.

    Args:
        networks: Two or more.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns predictions as float32; missing where one of the networks has none."""
        total = torch.stack([network(*inputs).double() for network in self.networks]).mean(dim=0)
        return total.float()


class Recoded(nn.Module):
    """A column of levels as numbered for all trainings, in the numbers of one.

    Args:
        places: Of each level of all trainings among those of the one; ``UNSEEN`` for one that it does not know.
    """

    places: Tensor

    def __init__(self, places: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("places", torch.tensor(places, dtype=torch.float64))

    def forward(self, codes: Tensor) -> Tensor:
        """Returns codes in the shape (samples, 1); one that is missing stays so."""
        known = (codes >= 0) & (codes < len(self.places)) & (codes == codes.floor())
        own = self.places[torch.where(known, codes, 0.0).long()]
        return torch.where(codes.isnan(), torch.nan, torch.where(known, own, UNSEEN))


class OwnCells(nn.Module):
    """A table's cells as one of several trainings takes them.

    Args:
        joined: What all take.
        steps: Of the one.
    """

    def __init__(self, joined: Cells, steps: TableSteps) -> None:
        super().__init__()
        self.columns, self.recoded = nn.ModuleList(), nn.ModuleList()
        for number, column in enumerate(joined.columns):
            own = {level: float(code) for code, level in enumerate(steps.levels.get(column["name"], ()))}
            places = [own.get(level, UNSEEN) for level in joined.levels.get(column["name"], ())]
            self.columns.append(Chosen([number]))
            self.recoded.append(Recoded(places) if places else nn.Identity())

    def forward(self, cells: Tensor) -> Tensor:
        """Returns cells in the shape (samples, columns)."""
        pairs = zip(self.columns, self.recoded, strict=True)
        return torch.cat([recoded(column(cells)) for column, recoded in pairs], dim=1)


def joined_cells(several: Sequence[TableSteps]) -> Cells:
    """Returns what a file of several trainings takes of a row.

    Raises:
        UserError: the trainings take different columns.
    """
    kinds = [[(column["name"], column["kind"]) for column in steps.columns] for steps in several]
    if any(own != kinds[0] for own in kinds):
        raise UserError(f"export.model: its trainings take different columns; {ONE}")
    return Cells.of_all(several)


def check_alike(model: Ensemble) -> None:
    """Refuses trainings that no file can be the mean of.

    Raises:
        UserError: their mean is made of whole images, or they prepare a sample in different ways.
    """
    if model.predictor.WRITES_FILES:
        raise UserError(
            "export.model: the mean of several trainings' masks is made of whole images, and a file takes patches; "
            f"{ONE}"
        )
    first = model.singles[0].fitted
    if any(type(one.fitted) is not type(first) or one.fitted.values() != first.values() for one in model.singles):
        raise UserError(
            "export.model: each of its trainings has learnt a preparation of its own from its training samples, and a "
            f"file of {model.about['samples']} takes them prepared; {ONE}"
        )
