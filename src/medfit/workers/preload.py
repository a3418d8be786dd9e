"""Imports what a first trial would import otherwise, in each worker: done once, where worker processes come from."""

import gc
from contextlib import suppress
from importlib import import_module

NAMES = [
    "medfit.workers.worker",
    "medfit.models.mlp",
    "medfit.data.preprocessing.table",
    "medfit.tasks.classification",
    "optuna.storages",
    "mlflow.tracking.client",
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.compose",
    "sklearn.model_selection",
]

gc.disable()  # imports leave no garbage, and looking for it takes a third of the time
for name in NAMES:
    with suppress(ImportError):
        import_module(name)
gc.freeze()  # what is copied by forking stays shared
gc.enable()
