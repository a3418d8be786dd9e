"""Building what a config describes."""

import functools
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from medfit.config import allowed, cache_place
from medfit.config.node_key import NodeKey
from medfit.errors import UserError


def build(node: Any, **kwargs: Any) -> Any:
    """Instantiates a config node: config values only, runtime objects come later.

    Raises:
        UserError: the node's class refused a value, or a config may not call it.
    """
    from hydra.errors import InstantiationException  # late: a quick start
    from hydra.utils import instantiate

    _check_calls(node)
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


def _check_calls(node: Any) -> None:
    """Refuses, at the last moment, all that a config may not call: values may have been set since it was checked."""
    from hydra.utils import get_object  # late: a quick start

    if not isinstance(node, DictConfig | ListConfig):
        return
    for path, called in allowed.calls(OmegaConf.to_container(node, resolve=True), str(node._get_full_key(None))):
        target = called["_target_"]
        allowed.check(target, f"{path}._target_")
        try:
            found = get_object(target)
        except ImportError as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}._target_: cannot find '{target}' ({reason})") from error
        allowed.check_object(target, found, f"{path}._target_")
        allowed.check_arguments(target, found, called, path)


def load_dataset(cfg: DictConfig) -> Any:
    """Returns the config's data set, read once per process."""
    cache_place.choose(cfg)
    own = {key: value for key, value in OmegaConf.to_container(cfg.dataset, resolve=True).items() if key != "strict"}  # type: ignore[union-attr]
    return _load_dataset(NodeKey("dataset", own))


@functools.lru_cache(maxsize=2)
def _load_dataset(key: NodeKey) -> Any:
    return build(key.node)
