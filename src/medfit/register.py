"""``medfit register``: a finished model under a name, with a card, in MLflow's registry."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from medfit.config.instantiate import build
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.tracking.store import Store


@dataclass(frozen=True)
class Register:
    """What is registered.

    Args:
        model: The MLflow id of a finished training, or a model's address.
        name: In the registry; a name that is there gets another version.
        alias: Of this version, as ``champion`` or ``challenger``; the version that has it loses it. None for none.
        purpose: What the model is for, and for whom: the card's first section, which only its author can write.
    """

    model: str | None = None
    name: str | None = None
    alias: str | None = None
    purpose: str | None = None


def register(cfg: DictConfig) -> tuple[str, int]:
    """Registers a model, and returns its name and version.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.

    Raises:
        UserError: there is no such model, or the registry refuses the name.
    """
    asked: Register = build(cfg.register)
    if not asked.model:
        raise UserError("register.model is needed: medfit register <run id> name=masses alias=champion")
    if not asked.name:
        raise UserError("register.name is needed: give name=<what the model is called>")
    from medfit.deployment import logged  # late: a quick start
    from medfit.reporting import model_card

    store = Store(cfg)
    model_id = logged.model_id(store, asked.model, "register.model")
    model = logged.load(store, f"models:/{model_id}", "register.model")
    card = model_card.card(store, model.about, model.decisions, asked.name, asked.purpose)
    return asked.name, _version(store, model_id, model.about["run_id"], asked, card)


def _version(store: Store, model_id: str, run_id: str, asked: Register, card: str) -> int:
    from mlflow.exceptions import MlflowException  # late: a quick start

    client: Any = store.client
    try:
        if not client.search_registered_models(f"name = '{asked.name}'"):
            client.create_registered_model(asked.name)
        location = client.get_logged_model(model_id).artifact_location
        version = client.create_model_version(asked.name, location, run_id, description=card)
        if asked.alias:
            client.set_registered_model_alias(asked.name, asked.alias, version.version)
    except MlflowException as error:
        raise UserError(f"register: {str(error).splitlines()[0]}") from error
    return int(version.version)


def main(cfg: DictConfig) -> None:
    """Registers a model, and says how it is addressed."""
    name, version = register(cfg)
    alias = cfg.register.alias
    say(f"Model     models:/{name}/{version}" + (f", models:/{name}@{alias}" if alias else ""))
    say(f"Card      medfit ui, Models, {name}, version {version}")
    say(f"Next      medfit predict models:/{name}{f'@{alias}' if alias else f'/{version}'} data=new_patients.csv")
