import pytest

from medfit.best import shortest


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["regime.optimizer.lr", "regime.batch_size"], ["lr", "batch_size"]),
        (["a.generator.lr", "a.discriminator.lr", "l1"], ["generator.lr", "discriminator.lr", "l1"]),
        (["a.x.lr", "b.x.lr"], ["a.x.lr", "b.x.lr"]),
        (["lr"], ["lr"]),
        ([], []),
    ],
    ids=["last parts", "two parts", "whole paths", "one", "none"],
)
def test_a_column_has_the_shortest_name_that_is_its_own(paths, names):
    assert shortest(paths) == names
