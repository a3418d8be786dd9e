"""Addresses of models in MLflow's registry."""

import re
from typing import Any

from medfit.errors import UserError
from medfit.tracking.store import Store

MODEL_ID = re.compile("m-[0-9a-f]{32}")


def model_at(store: Store, address: str, where: str) -> str:
    """Returns the id of the model at an address of MLflow's: ``models:/m-...``, ``name@alias`` or ``name/version``.

    Args:
        store: That has it.
        address: With ``models:/`` before it or not.
        where: The config path that gave it, for errors.

    Raises:
        UserError: there is none, or it is none of medfit's.
    """
    from mlflow.exceptions import MlflowException  # late: a quick start

    name = address.removeprefix("models:/")
    if name.startswith("m-") and "/" not in name:
        return name
    named, _, alias = name.partition("@")
    try:
        version: Any = (
            store.client.get_model_version_by_alias(named, alias)
            if alias
            else store.client.get_model_version(*name.rsplit("/", 1))
        )
    except (MlflowException, TypeError) as error:
        raise UserError(f"{where}: no model is registered as {address}; medfit ui lists them under Models") from error
    found = MODEL_ID.search(version.source)
    if found is None:
        raise UserError(f"{where}: {address} is no finished model of medfit")
    return found[0]
