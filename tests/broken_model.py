"""Finished models with parts that are missing or changed."""

import shutil

import pytest

from medfit.deployment import ensemble
from medfit.errors import UserError


def refusal(whole, change):
    """Why a model's files are refused after a change of a copy of them.

    Args:
        whole: The model's folder.
        change: Is given the copy's.
    """
    broken = whole.with_name("broken")
    shutil.rmtree(broken, ignore_errors=True)
    shutil.copytree(whole, broken)
    change(broken)
    with pytest.raises(UserError) as error:
        ensemble.load(broken, "it")
    return str(error.value)
