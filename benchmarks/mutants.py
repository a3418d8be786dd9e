"""The mutants benchmark: faults planted one at a time in the code that scores and stores, and whether tests see them.

``make mutants ARGS="--only evidence/odds.py"``. Slow (hours for all of it), by Cosmic Ray, on a copy of the repository.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "mutants.md"
FEWEST_KILLED = 0.9
FOLDERS = ("evidence", "data/preprocessing")  # under src/medfit, whose modules' tests have the modules' names
TESTS = {  # where they have not
    "data/splits.py": ["tests/data/test_splits.py"],
    "evidence/associations.py": ["tests/data/test_leaks.py"],
    "evidence/predictions.py": ["tests/evidence/test_targets.py", "tests/evidence/test_stored_predictions.py"],
    "evidence/readouts.py": ["tests/evidence/test_summary.py"],
    "evidence/segmentation.py": ["tests/evidence/test_segmentation_scores.py"],
    "evidence/single_cases.py": ["tests/explanations"],
    "study/repair.py": ["tests/study"],
    "tasks/metrics.py": ["tests/evidence/test_weighted.py", "tests/tasks"],
    "tracking/outbox.py": ["tests/tracking/test_outbox.py", "tests/tracking/test_outbox_order.py"],
}
IGNORED = shutil.ignore_patterns(".git", ".venv", "runs", "__pycache__", "shared", "*.sqlite")
HEAD = """# Which planted faults the tests see

Cosmic Ray changes one operator, number, comparison or condition at a time, and runs the module's own tests, the slow
ones left out. *Killed*: a test failed, or the tests did not end.

"""


@dataclass(frozen=True)
class Mutant:
    """A planted fault.

    Args:
        line: Of the module.
        change: The kind of fault.
        killed: Whether a test saw it.
        diff: The changed lines.
    """

    line: int
    change: str
    killed: bool
    diff: str


def modules() -> dict[str, list[str]]:
    """Returns the modules, under ``src/medfit``, that faults are planted in, with the tests that should see them."""
    source = ROOT / "src" / "medfit"
    found = dict(TESTS)
    for path in (path for folder in FOLDERS for path in sorted((source / folder).rglob("*.py"))):
        name = path.relative_to(source).as_posix()
        if path.stem == "__init__" or name in found:
            continue
        folder = Path("tests") / Path(name).parent
        tests = (folder / f"test_{path.stem}.py", folder, folder.parent)
        found[name] = [next(test.as_posix() for test in tests if (ROOT / test).exists())]
    return found


def play(module: str, tests: Sequence[str], copy: Path, timeout_s: float) -> list[Mutant]:
    """Plants faults in a module of a copy of the repository, one at a time.

    Args:
        module: Under ``src/medfit``.
        tests: Files or folders.
        copy: Of the repository.
        timeout_s: After which tests count as failed.

    Raises:
        RuntimeError: the tests fail without any fault.
    """
    config, session = copy / "mutants.toml", copy / "mutants.sqlite"
    command = f"{sys.executable} -m pytest -q -x -p no:cacheprovider -m 'not slow' {' '.join(tests)}"
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "src/medfit/{module}"\ntimeout = {timeout_s}\nexcluded-modules = []\n'
        f'test-command = "{command}"\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    session.unlink(missing_ok=True)
    if _cosmic_ray(copy, "baseline", config.name).returncode:
        raise RuntimeError(f"the tests of {module} fail without any fault: {command}")
    for step in (["init", config.name, session.name], ["exec", config.name, session.name]):
        _cosmic_ray(copy, *step).check_returncode()
    return list(_read(_cosmic_ray(copy, "dump", session.name).stdout))


def _cosmic_ray(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "cosmic_ray.cli", *arguments]
    return subprocess.run(command, cwd=copy, env=environment, text=True, capture_output=True)


def _read(dumped: str) -> Iterator[Mutant]:
    for line in dumped.splitlines():
        item, result = json.loads(line)
        (mutation,) = item["mutations"]
        lines = (result["diff"] or "").splitlines()
        changed = [text for text in lines if text[:1] in ("+", "-") and text[:3] not in ("+++", "---")]
        killed = result["test_outcome"] != "survived"
        kind = mutation["operator_name"].removeprefix("core/")
        yield Mutant(mutation["start_pos"][0], kind, killed, " -> ".join(text[1:].strip() for text in changed))


def page(found: dict[str, list[Mutant]]) -> str:
    """Returns the page of results.

    Args:
        found: The faults of each module.
    """
    rows = ["| module | faults | killed | % |", "|---|---:|---:|---:|"]
    for module, mutants in found.items():
        killed = sum(mutant.killed for mutant in mutants)
        rows.append(f"| {module} | {len(mutants)} | {killed} | {100 * killed / max(len(mutants), 1):.0f} |")
    left = [
        f"- `{module}:{mutant.line}`, {mutant.change}: `{mutant.diff}`"
        for module, mutants in found.items()
        for mutant in mutants
        if not mutant.killed
    ]
    return HEAD + "\n".join([*rows, "", "## Survivors", "", *(left or ["None."])]) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Plants the faults, and returns 1 if the tests see fewer than nine in ten."""
    arguments = _parser().parse_args(argv)
    known = modules()
    wanted = {name: known[name] for name in arguments.only or known}
    found: dict[str, list[Mutant]] = {}
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "medfit"
        shutil.copytree(ROOT, copy, ignore=IGNORED)
        for module, tests in wanted.items():
            found[module] = play(module, tests, copy, arguments.timeout)
            print(f"{module}: {sum(m.killed for m in found[module])} of {len(found[module])} killed", flush=True)
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(page(found))
    every = [mutant for mutants in found.values() for mutant in mutants]
    return 0 if sum(mutant.killed for mutant in every) >= FEWEST_KILLED * len(every) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(modules()), metavar="MODULE", help="such as evidence/odds.py")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds after which tests count as failed")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
