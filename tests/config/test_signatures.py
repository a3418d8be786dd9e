import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any, Required, TypedDict, Unpack

import pytest
from omegaconf import OmegaConf
from test_schema import *  # noqa: F403

from medfit.config import file_cache, schema, signatures
from medfit.config.compose import compose
from medfit.errors import UserError

MEMORY, OWN_FILES = signatures.Memory, signatures._own_files

LIGHT = """
import sys
from medfit.config.compose import compose
from medfit.config import signatures
from medfit.errors import UserError

signatures._own_files = list  # medfit's own code may be worked on meanwhile
compose(["regime.epochs=3"])
for wrong in ("regime.epoch=1", "model.dropout=2"):
    try:
        compose([wrong])
    except UserError as error:
        print(error)
print([name for name in ("torch", "lightning", "sklearn", "optuna", "mlflow", "pandas") if name in sys.modules])
"""
OWN_CODE = """
from typing import Annotated, Literal
from torch import Tensor
from pydantic import Field
from {other} import Size

class Net:
    def __init__(self, size: Size, mode: Literal["a", "b"] = "a", weight: Tensor | None = None, bare: Tensor = None):
        pass
"""


@pytest.fixture(autouse=True)
def memory(tmp_path_factory, monkeypatch):
    """A memory that the tests share, those of the schema too, and that is used although all is imported."""
    folder = tmp_path_factory.getbasetemp() / "memory"
    monkeypatch.setattr(file_cache, "path", lambda name: folder / name)
    monkeypatch.setattr(signatures, "Memory", lambda loaded: MEMORY(frozenset()))
    base = str(tmp_path_factory.getbasetemp())  # medfit's own code may be worked on meanwhile
    monkeypatch.setattr(signatures, "_own_files", lambda: [file for file in OWN_FILES() if file.startswith(base)])
    signatures.of.cache_clear()
    yield folder
    signatures.of.cache_clear()


@pytest.fixture
def net(tmp_path, monkeypatch):
    """The name of a class of one's own, whose hints come from two files."""
    name = f"net_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}_types.py").write_text("Size = int\n")
    (tmp_path / f"{name}.py").write_text(OWN_CODE.format(other=f"{name}_types"))
    for path in tmp_path.iterdir():
        os.utime(path, (1e9, 1e9))
    monkeypatch.syspath_prepend(tmp_path)
    yield f"{name}.Net"
    for module in (name, f"{name}_types"):
        sys.modules.pop(module, None)


def remember(target):
    with signatures.remembered():
        signatures.of(target)
    signatures.of.cache_clear()


def known(target):
    return MEMORY(frozenset()).get(target)


def told(target, **values):
    with pytest.raises(UserError) as caught, signatures.remembered():
        schema.check_node(OmegaConf.create({"_target_": target, **values}), "model")
    return str(caught.value)


def test_what_is_remembered_is_not_imported(monkeypatch):
    compose([])
    signatures.of.cache_clear()
    monkeypatch.setattr("hydra.utils.get_object", None)
    compose([])


def test_a_remembered_signature_tells_the_same_mistakes(net, monkeypatch):
    wrong = [{"size": "x"}, {}, {"sise": 1}, {"size": 1, "mode": "c"}, {"size": 1, "weight": 3}, {"size": 1, "bare": 3}]
    remember(net)
    remembered = [told(net, **values) for values in wrong]
    assert known(net)
    monkeypatch.setattr(MEMORY, "get", lambda *_: None)
    signatures.of.cache_clear()
    assert remembered == [told(net, **values) for values in wrong]


@pytest.mark.parametrize("changed", ["", "_types"])
def test_code_that_changed_is_asked_anew(net, changed, tmp_path):
    remember(net)
    assert known(net)
    with (tmp_path / f"{net.removesuffix('.Net')}{changed}.py").open("a") as file:
        file.write("\n")
    assert not known(net)


def test_packages_that_were_installed_meanwhile_make_all_be_asked_anew(net, tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"
    folder.mkdir()
    os.utime(folder, (1e9, 1e9))
    monkeypatch.syspath_prepend(folder)
    remember(net)
    assert known(net)
    (folder / "other").mkdir()
    assert not known(net)


def test_code_of_the_same_name_elsewhere_is_other_code(net, tmp_path, monkeypatch):
    remember(net)
    (tmp_path / "nearer").mkdir()
    (tmp_path / "nearer" / f"{net.removesuffix('.Net')}.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "nearer")
    monkeypatch.delitem(sys.modules, net.removesuffix(".Net"))
    assert not known(net)


def test_code_that_changed_while_it_was_imported_is_not_remembered(net, tmp_path):
    with signatures.remembered():
        signatures.of(net)
        (tmp_path / f"{net.removesuffix('.Net')}_types.py").touch()
    assert not known(net)


def test_code_that_is_imported_already_is_asked_itself(net):
    remember(net)
    assert not MEMORY(frozenset({net.removesuffix(".Net")})).get(net)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04N.", b"\x80\x04}."])
def test_a_broken_file_is_ignored_and_replaced(net, content, memory):
    memory.mkdir(exist_ok=True)
    file_cache.write(signatures.FILE, content)
    assert not known(net)
    remember(net)
    assert known(net)


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(net, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(file_cache, "path", lambda name: tmp_path / "file" / name)
    remember(net)
    assert not known(net)
    assert "size is needed" in told(net)


def test_writers_at_once_leave_a_whole_file(memory):
    contents = [bytes([n]) * 200_000 for n in range(4)]
    threads = [Thread(target=lambda c=c: [file_cache.write("many", c) for _ in range(20)]) for c in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert file_cache.read("many") in (None, *contents)
    assert sorted(path.name for path in memory.glob("many*")) == ["many"]


@pytest.mark.slow
def test_a_second_process_checks_without_long_imports(tmp_path):
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    shown = [
        subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, env=env).stdout
        for _ in range(2)
    ]
    cold, warm = (lines.splitlines() for lines in shown)
    assert warm[:-1] == cold[:-1] and len(warm) == 3
    assert "torch" in cold[-1]
    assert warm[-1] == "[]"


def test_the_file_lies_beside_pythons_own(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    assert file_cache.path("x").is_relative_to(tmp_path)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    assert file_cache.path("x").parent == Path(file_cache.__file__).parent / "__pycache__"


class Keys(TypedDict, total=False):
    size: int
    mode: Required[str]


class Unpacking:
    def __init__(self, name: str, **keys: Unpack[Keys]):
        pass


class Passing(Unpacking):
    def __init__(self, own: int, **more: Any):
        pass


def test_keys_of_a_typed_dict_are_parameters():
    signature = signatures._asked(Unpacking)
    assert dict(signature.hints) == {"name": str, "size": int, "mode": str}
    needed = [name for name, p in signature.parameters.items() if p.default is p.empty]
    assert list(signature.parameters) == ["name", "size", "mode"] and needed == ["name", "mode"]


def test_keys_of_a_typed_dict_are_passed_on_like_others():
    assert signatures._asked(Passing).hints["size"] is int
