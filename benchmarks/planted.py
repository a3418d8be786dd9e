"""Faults planted in a module one at a time, by Cosmic Ray's operators, and whether its tests see them."""

import ast
import compileall
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from py_compile import PycInvalidationMode

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ARITHMETIC, BITS = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}, {"BitOr", "BitAnd", "BitXor"}
SIGNATURES = {"parameters", "lambdef"}  # whose bare * and / are no operators
ENDED = signal.SIGKILL  # of tests that do not end by themselves
HEAVY = ("torch", "pandas", "scipy.stats", "sklearn", "lightning", "mlflow", "optuna", "hydra", "hypothesis", "pytest")


PYTEST = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


@dataclass(frozen=True, order=True)
class Fault:
    """What is changed in a module.

    Args:
        line: Of the module, from 1.
        column: Of the line, from 0.
        operator: Cosmic Ray's name of the kind of change.
        occurrence: Which of the places where the operator applies.
    """

    line: int
    column: int
    operator: str
    occurrence: int

    def planted(self, source: str) -> str:
        """Returns the module's text with the fault."""
        changed = mutate_code(source, get_operator(self.operator)(), self.occurrence)
        if changed is None:
            raise ValueError(f"{self.operator} has no place {self.occurrence}")
        return str(changed)

    def shown(self, source: str) -> tuple[str, str]:
        """Returns the line as it is and as it becomes."""
        before, after = (text.splitlines() for text in (source, self.planted(source)))
        pairs = [(one, other) for one, other in zip(before, after, strict=False) if one != other]
        one, other = pairs[0] if pairs else (before[self.line - 1], "(left out)")
        return one.strip(), other.strip()


def faults(source: str) -> list[Fault]:
    """Returns every fault of a module's text that could change what it does and is not seen by any import.

    Left out are annotations, and arithmetic that becomes bits or a shift (or the reverse), which no number survives.
    """
    tree, annotations = get_ast(source), list(_annotations(source))
    found = []
    for name in operator_names():
        kind = get_operator(name)
        if kind.arguments():
            continue
        operator = kind()
        places = ((node, at) for node in ast_nodes(tree) for at, _ in operator.mutation_positions(node))
        for occurrence, (node, at) in enumerate(places):
            annotated = any(start <= at < end for start, end in annotations)
            if not annotated and node.parent.type not in SIGNATURES and _is_likely(name):
                found.append(Fault(*at, name, occurrence))
    return sorted(found)


def sampled(found: Sequence[Fault], number: int | None, seed: str) -> list[Fault]:
    """Returns a random sample of the faults in the order of their lines; all of them where there are no more."""
    if number is None or number >= len(found):
        return list(found)
    return sorted(random.Random(seed).sample(found, number))


def _is_likely(operator: str) -> bool:
    _, _, kinds = operator.partition("ReplaceBinaryOperator_")
    return not kinds or any(set(kinds.split("_")) <= alike for alike in (ARITHMETIC, BITS))


def _annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for node in ast.walk(ast.parse(source)):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(part, ast.expr):
                yield (part.lineno, part.col_offset), (part.end_lineno or 0, part.end_col_offset or 0)


class Tests:
    """The tests of a copy of the repository, run in forks of a process that has imported what is slow to import.

    Args:
        copy: Of the repository.
        timeout_s: After which tests count as failed.
    """

    def __init__(self, copy: Path, timeout_s: float) -> None:
        self._copy, self._timeout_s = copy, timeout_s
        for name in HEAVY:
            import_module(name)
        by_content = PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(str(copy / "src"), quiet=1, invalidation_mode=by_content)

    def see(self, module: Path, fault: Fault, tests: Sequence[str]) -> bool:
        """Tells whether the tests fail, or do not end, with a fault in a module of the copy."""
        source = module.read_text()
        for stale in (module.parent / "__pycache__").glob(f"{module.stem}.*.pyc"):
            stale.unlink()
        try:
            module.write_text(fault.planted(source))
            return self.fail(tests)
        finally:
            module.write_text(source)

    def fail(self, tests: Sequence[str]) -> bool:
        """Tells whether tests fail or do not end."""
        child = os.fork()
        if child == 0:
            self._run(tests)
        last = time.monotonic() + self._timeout_s
        while time.monotonic() < last:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status != 0
            time.sleep(0.02)
        os.killpg(child, ENDED)
        os.waitpid(child, 0)
        return True

    def _run(self, tests: Sequence[str]) -> None:
        import pytest  # here, because only forks need its name

        code = 1
        try:
            os.setsid()
            os.chdir(self._copy)
            source = str(self._copy / "src")
            os.environ |= {"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"}
            sys.dont_write_bytecode = True
            sys.path[:] = [source, *(path for path in sys.path if not path.endswith(("/src", "/benchmarks")))]
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1), os.dup2(silent, 2)
            code = int(pytest.main([*PYTEST, *tests]))
        finally:
            os._exit(code)
