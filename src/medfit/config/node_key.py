"""Config nodes as keys of caches."""

from typing import Any

from omegaconf import DictConfig, OmegaConf


class NodeKey:
    """A config node by its values: two of the same values are the same key of a cache.

    Args:
        path: The node's, for messages.
        values: Its values, resolved.
    """

    def __init__(self, path: str, values: Any) -> None:
        self.path, self.values, self._text = path, values, repr(values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodeKey) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def node(self) -> DictConfig:
        """The node, to be built."""
        node: DictConfig = OmegaConf.create({self.path: self.values})[self.path]
        return node
