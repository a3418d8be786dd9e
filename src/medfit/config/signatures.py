"""What classes and functions take, remembered: a config is checked without importing torch.

What was learnt of a signature is kept in a file and counts while the code is what it was: medfit's own, other code of
the user's, and the folders that packages are installed in. Code that is imported already is asked itself.

What that buys: a mistake is told in 0.3 to 0.6 s (``make bench``). Importing what is checked takes, in processor time
and beside that, 1.6 times as long for a model or a regime (torch), 6 times for a task (Lightning, torchmetrics), 7
times for MONAI's networks: each config has a task, so without the memory no mistake beyond data and model
is told within 2 s.
"""

import functools
import importlib.util
import inspect
import io
import pickle
import sys
import sysconfig
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfit.config import allowed, file_cache

FILE = "signatures"
PLAIN = sys.stdlib_module_names | {"annotated_types", "pydantic", "pydantic_core", "typing_extensions"}
COARSE_NS = 2_000_000_000  # by which a file may be newer than its time tells
OWN = Path(__file__).parents[1]  # may be installed like a library, and edited nevertheless


@dataclass(frozen=True, eq=False)
class Signature:
    """What a class or a function takes.

    Args:
        parameters: By name; of a default, only that there is one.
        hints: Their types, as far as they are known.
    """

    parameters: dict[str, inspect.Parameter]
    hints: Mapping[str, Any]


class Memory:
    """Signatures by target, as ``torch.optim.Adam``: read from the file when first asked for.

    Args:
        loaded: Modules that were imported before; they may have been changed since, and are never remembered.
    """

    def __init__(self, loaded: frozenset[str]) -> None:
        self._loaded = loaded
        self._began = time.time_ns() - COARSE_NS
        self._learnt: dict[str, bytes] = {}

    def get(self, target: str) -> Signature | None:
        """Returns a signature that is remembered and saves an import."""
        if _module(target) in self._loaded or target not in self._known:
            return None
        with suppress(Exception):  # a file that was tampered with, or from another pydantic
            return _read(self._known[target])
        return None

    def learn(self, target: str, signature: Signature) -> None:
        """Remembers a signature, unless one can't be without its classes."""
        if _module(target) not in self._loaded and target not in self._known:
            with suppress(Exception):  # there is no end of what types may be made of
                self._learnt[target] = _written(signature)

    def save(self) -> None:
        """Writes what was learnt to the file, with all that it depends on."""
        state = _state([*self._content["state"], *_libraries(), *_own_files()]) if self._learnt else {}
        changed = any(stamp is None or stamp[0] >= self._began for stamp in state.values())  # maybe after its import
        if self._learnt and not changed:
            targets = {**self._known, **self._learnt}
            origins = {name: _origin(name) for name in {target.partition(".")[0] for target in targets}}
            file_cache.write(FILE, pickle.dumps({"state": state, "origins": origins, "targets": targets}))

    @functools.cached_property
    def _content(self) -> dict[str, Any]:
        """What the file holds, nothing if it can't be read or code has changed since."""
        with suppress(Exception):
            content: dict[str, Any] = pickle.loads(file_cache.read(FILE) or b"")
            same_state = content["state"] == _state(content["state"])
            if same_state and all(_origin(name) == origin for name, origin in content["origins"].items()):
                return content
        return {"state": {}, "targets": {}}

    @property
    def _known(self) -> dict[str, bytes]:
        targets: dict[str, bytes] = self._content["targets"]
        return targets


_memory: Memory | None = None


@contextmanager
def remembered() -> Iterator[None]:
    """Uses the memory inside, and adds what is learnt there; within another such block does nothing."""
    global _memory
    if _memory:
        yield
        return
    _memory = Memory(frozenset(sys.modules))
    try:
        yield
    finally:
        memory, _memory = _memory, None
        memory.save()


@functools.cache
def of(target: str) -> Signature:
    """Returns what a class or a function takes, given its dotted name.

    Raises:
        UserError: a config may not call it.
        Exception: there is no such class or function, or its module can't be imported.
    """
    if _memory and (found := _memory.get(target)):
        return found
    from hydra.utils import get_object  # late: a quick start

    found = get_object(target)
    allowed.check_object(target, found, "_target_")
    signature = _asked(found)
    if _memory:
        _memory.learn(target, signature)
    return signature


def _asked(target: Callable[..., Any]) -> Signature:
    parameters = dict(inspect.signature(target).parameters)
    try:
        owner = target.__init__ if inspect.isclass(target) else target
        hints = {**_passed_on(target), **typing.get_type_hints(owner, include_extras=True)}
    except (NameError, TypeError):
        hints = _one_by_one(target.__init__ if inspect.isclass(target) else target)
    return _unpacked(parameters, hints)


def _unpacked(parameters: dict[str, inspect.Parameter], hints: dict[str, Any]) -> Signature:
    """Returns a signature with the keys that its ``**options`` name by a ``TypedDict``."""
    name = next((name for name, p in parameters.items() if p.kind is p.VAR_KEYWORD), "")
    if (named := _named_keys(hints.get(name))) is None:
        return Signature(parameters, hints)
    empty, kind = inspect.Parameter.empty, inspect.Parameter.KEYWORD_ONLY
    keys = {
        key: inspect.Parameter(key, kind, default=empty if key in named.__required_keys__ else None)
        for key in _hints_of(named)
    }
    others = {key: parameter for key, parameter in parameters.items() if key != name}
    return Signature({**others, **keys}, {key: hints[key] for key in hints if key != name} | _hints_of(named))


def _named_keys(hint: Any) -> Any:
    """Returns the ``TypedDict`` that ``**options`` are unpacked from, None where they may be any."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Unpack else None


def _hints_of(named: Any) -> dict[str, Any]:
    """Returns the types of the keys of a ``TypedDict``."""
    marks = (typing.Required, typing.NotRequired)
    hints = typing.get_type_hints(named, include_extras=True)
    return {key: typing.get_args(hint)[0] if typing.get_origin(hint) in marks else hint for key, hint in hints.items()}


def _one_by_one(function: Any) -> dict[str, Any]:
    """Returns the types that can be read, where others name what is imported for type checkers alone."""
    bare, hints = inspect.unwrap(function), dict[str, Any]()
    for name, hint in getattr(bare, "__annotations__", {}).items():
        with suppress(Exception):
            one = type("One", (), {"__annotations__": {name: hint}})
            hints |= typing.get_type_hints(one, globalns=getattr(bare, "__globals__", {}), include_extras=True)
    return hints


def _passed_on(target: Any) -> dict[str, Any]:
    """Returns the types of what a class passes on to those above it by ``**kwargs``."""
    hints: dict[str, Any] = {}
    for owner in target.__mro__ if inspect.isclass(target) else ():
        if takes := vars(owner).get("__init__"):
            its = typing.get_type_hints(takes, include_extras=True)
            left = [name for name, p in inspect.signature(takes).parameters.items() if p.kind is p.VAR_KEYWORD]
            named = _named_keys(its.get(left[0])) if left else None
            hints = {**its, **(_hints_of(named) if named else {}), **hints}
            if not left or named:
                break
    return hints


class _Writer(pickle.Pickler):
    """Writes a class whose import takes long by its name alone, if all that counts is what is its instance."""

    def persistent_id(self, obj: Any) -> tuple[str, str] | None:
        if not isinstance(obj, type) or obj.__module__.partition(".")[0] in PLAIN:
            return None
        from pydantic import ConfigDict, PydanticUserError, TypeAdapter  # late: a quick start

        try:
            checked = TypeAdapter(obj, config=ConfigDict(arbitrary_types_allowed=True)).core_schema["type"]
        except PydanticUserError:  # a dataclass, for one
            return None
        return (obj.__module__, obj.__qualname__) if checked == "is-instance" else None


class _Reader(pickle.Unpickler):
    """Reads a class that is written by its name as an empty one: no value of a config is its instance."""

    def persistent_load(self, pid: tuple[str, str]) -> type:
        module, name = pid
        return type(name.rpartition(".")[2], (), {"__module__": module, "__qualname__": name})


class _Hints(Mapping[str, Any]):
    """Types by name, each read when it is asked for: few may need an import."""

    def __init__(self, written: dict[str, bytes]) -> None:
        self._written = written

    def __getitem__(self, name: str) -> Any:
        return _Reader(io.BytesIO(self._written[name])).load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)


def _written(signature: Signature) -> bytes:
    """Returns a signature as bytes, without what its defaults are."""
    parameters = [(name, p.kind, p.default is p.empty) for name, p in signature.parameters.items()]
    hints = {}
    for name, hint in signature.hints.items():
        buffer = io.BytesIO()
        _Writer(buffer).dump(hint)
        hints[name] = buffer.getvalue()
    return pickle.dumps((parameters, hints))


def _read(written: bytes) -> Signature:
    parameters, hints = pickle.loads(written)
    empty = inspect.Parameter.empty
    bare = {name: inspect.Parameter(name, kind, default=empty if needed else None) for name, kind, needed in parameters}
    return Signature(bare, _Hints(hints))


def _module(target: str) -> str:
    return str(target).rpartition(".")[0]


def _origin(name: str) -> str | None:
    """Returns the file that a top-level module would be imported from."""
    spec = importlib.util.find_spec(name)
    return spec.origin if spec else None


def _libraries() -> list[str]:
    """Returns the folders of installed packages; what is installed, or changed, changes them."""
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


def _own_files() -> list[str]:
    """Returns the files of all imported modules that belong to no library."""
    foreign = (*_libraries(), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    named = (str(getattr(module, "__file__", "")) for module in list(sys.modules.values()))
    files = [file for file in named if Path(file).is_absolute()]  # torch makes up names
    return [file for file in files if Path(file).is_relative_to(OWN) or not file.startswith(foreign)]


def _state(files: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """Returns what tells whether files or folders have changed."""
    return {file: _stamp(file) for file in files}


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
