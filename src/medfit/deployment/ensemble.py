"""Several trainings as one model, whose outputs are the mean of theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hydra.utils import get_object
from torch import Tensor

from medfit.deployment.finished_model import AnyModel, FinishedModel
from medfit.deployment.model_files import ABOUT, read_about, write_about
from medfit.errors import UserError
from medfit.evidence.decisions import Decisions

MEMBERS = "members"  # the folder of the trainings' files, a number each
ALIKE = ("samples", "reader", "target_names", "task", "units", "data_sha256")


@dataclass(frozen=True)
class Ensemble(AnyModel):
    """Trainings whose mean probabilities, or mean numbers, are predicted; each prepares the samples in its own way.

    Args:
        members: The trainings.
        decisions: What patients decided about the mean.
        about: As every model's; and ``members``, of each its ``run_id`` and ``split_sha256``.
    """

    members: tuple[FinishedModel, ...]
    decisions: Decisions
    about: Mapping[str, Any]

    @classmethod
    def of(cls, members: Sequence[FinishedModel], decisions: Decisions, run_id: str) -> Self:
        """Returns trainings as one model.

        Args:
            members: The trainings, two or more.
            decisions: What patients decided about the mean of their outputs.
            run_id: Of the run that they belong to.

        Raises:
            UserError: they were made of different data, or read them in different ways.
        """
        first = members[0].about
        for key in ALIKE:
            if any(member.about[key] != first[key] for member in members):
                raise UserError(f"trainings whose {key} differ make no ensemble")
        own = [{key: member.about[key] for key in ("run_id", "split_sha256")} for member in members]
        expected = _joined(first["reader"], [member.about["expected"] for member in members])
        outcomes = _mean([member.about["outcomes"] for member in members])
        about = {**{key: first[key] for key in ALIKE}, "expected": expected, "outcomes": outcomes, "run_id": run_id}
        about[MEMBERS] = own
        return cls(tuple(members), decisions, about)

    @property
    def singles(self) -> Sequence[FinishedModel]:
        """The members."""
        return self.members

    def raw(self, samples: Any) -> Tensor:
        """Returns the mean of what the members make of samples, as the reader gives them."""
        total = sum(member.raw(samples).double() for member in self.members)
        assert isinstance(total, Tensor)
        return total / len(self.members)

    def save(self, folder: Path) -> None:
        """Writes it into a folder, which is made if need be, with a folder for each member."""
        places = [folder / MEMBERS / str(number) for number in range(len(self.members))]
        for member, place in zip(self.members, places, strict=True):
            member.save(place)
        about = {**self.about, "decisions": self.decisions.values()}
        write_about(folder, about, [place / ABOUT for place in places])  # which hold the digests of the rest

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Returns what :meth:`save` wrote; see :meth:`FinishedModel.load`."""
        about = read_about(folder, name)
        decisions = Decisions.of_values(about.pop("decisions"))
        numbers = range(len(about[MEMBERS]))
        members = [FinishedModel.load(folder / MEMBERS / str(k), f"{name}, member {k}") for k in numbers]
        return cls(tuple(members), decisions, about)


def load(folder: Path, name: str) -> AnyModel:
    """Returns a finished model, of one training or of several; see :meth:`FinishedModel.load`."""
    return (Ensemble if (folder / MEMBERS).is_dir() else FinishedModel).load(folder, name)


def _joined(reader: str, expected: Sequence[Mapping[str, Any]]) -> Any:
    """Returns what the reader of new samples must know, so that each member gets what it takes."""
    if all(one == expected[0] for one in expected):
        return expected[0]
    join = getattr(get_object(reader), "joined", None)
    if join is None:
        raise UserError(f"trainings that expect different samples make no ensemble of {reader.rpartition('.')[2]}")
    return join(expected)


def _mean(outcomes: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Returns what is known of the targets: of each number the mean over the trainings, where all have it."""
    made: dict[str, Any] = {name: dict(told) for name, told in outcomes[0].items()}
    for name, told in made.items():
        for key in ("mean", "sd"):
            values = [own[name][key] for own in outcomes]
            told[key] = None if None in values else sum(values) / len(values)
    return made
