from torch import nn

from medfit.reporting.statements import weights
from medfit.training.initial_weights import InitialWeights
from medfit.training.start import Start
from medfit.training.started import in_sentences, in_short

START = {
    "from": "file a.ckpt",
    "dataset": None,
    "taken": 2,
    "averaged": ["first"],
    "new": ["head"],
    "lacking": [],
    "unused": ["d.1", "d.2", "d.3", "d.4"],
    "inputs_renamed": True,
}
FROZEN = {"patterns": ["first.*", "b*"], "of": 100, "weights": 40}


def test_a_few_names_stand_for_many():
    assert in_short(["a", "b", "c"]) == "a, b, c"
    assert in_short("abcde") == "a, b, c and 2 more"


def test_all_that_was_not_taken_as_it_is_is_said():
    (line,) = in_sentences({"init_from": START})
    assert line == (
        "the network starts from the weights of file a.ckpt: 2 of 4 layers as they are; averaged for another number of "
        "channels: first; new, as outputs or features differ: head; left out of these weights: d.1, d.2, d.3 and 1 "
        "more; the inputs had other names"
    )


def test_reports_say_what_weights_began_as():
    assert weights({}) == "drawn at random, by the seed"
    told = weights({"init_from": START, "frozen": FROZEN})
    assert "file a.ckpt" in told and told.endswith(
        "; 40 of 100 weights are frozen (first.*, b*); the others drawn at random, by the seed"
    )


class Both(nn.Module):
    """A network of two inputs."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        sizes = {key: shape[0] for key, shape in input_shape.items()}
        self.parts = nn.ModuleDict({key: nn.Linear(size, 4) for key, size in sizes.items()})
        self.head = nn.Linear(8, output_size)


class Data:
    """What is asked of a data set."""

    target_names = ("a",)

    def schema(self):
        return [{"name": "age", "role": "feature"}, {"name": "a", "role": "target"}]


def test_a_network_of_several_inputs_starts_from_another(capsys):
    shapes = {"record": (3,), "series": (5,)}
    source = Both(shapes, 2)
    start = Start(Both, InitialWeights(source.state_dict(), "0", "a.ckpt", "file a.ckpt"), [], "binary", Data())
    network = start(shapes, 1)
    assert start.facts["init_from"]["new"] == ["head"] and start.facts["init_from"]["taken"] == 2
    assert network.parts["series"].weight.equal(source.parts["series"].weight)
