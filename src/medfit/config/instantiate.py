"""Building what a config describes."""

import functools
from typing import Any

from omegaconf import DictConfig, OmegaConf

from medfit.config.node_key import NodeKey
from medfit.errors import UserError


def build(node: Any, **kwargs: Any) -> Any:
    """Instantiates a config node: config values only, runtime objects come later.

    Raises:
        UserError: the node's class refused a value.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, _convert_="all", **kwargs)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        if isinstance(cause, TypeError | ValueError):
            path = getattr(node, "_get_full_key", lambda _: "config")(None)
            raise UserError(f"{path}: {str(cause).splitlines()[0]}") from error
        raise


def load_dataset(cfg: DictConfig) -> Any:
    """Returns the config's data set, read once per process."""
    own = {key: value for key, value in OmegaConf.to_container(cfg.dataset, resolve=True).items() if key != "strict"}  # type: ignore[union-attr]
    return _load_dataset(NodeKey("dataset", own))


@functools.lru_cache(maxsize=2)
def _load_dataset(key: NodeKey) -> Any:
    return build(key.node)
