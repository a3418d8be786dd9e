"""The mutants benchmark: faults planted one at a time in the code that scores and stores, and whether tests see them.

``make mutants ARGS="--sample 10 --seed 1"``, or ``--only evidence/odds.py``. All faults take hours. Each
module's results are written when it is done; the same line goes on where an earlier one ended.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from planted import Tests, faults, sampled
from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "mutants.yaml"
FEWEST_KILLED = 0.9
FOLDERS = ("evidence", "data/preprocessing")  # under src/medfit
SHARED = {  # modules whose tests have other names than they
    "data/preprocessing/fitted_patches.py": ["data/preprocessing/test_patches.py", "data/preprocessing/test_fitted.py"],
    "data/preprocessing/image.py": ["data/preprocessing/test_image_preprocessing.py"],
    "data/preprocessing/patch_batches.py": ["data/preprocessing/test_patches.py"],
    "data/preprocessing/patch_places.py": ["data/preprocessing/test_patches.py"],
    "data/preprocessing/series.py": [
        "data/preprocessing/test_series_preprocessing.py",
        "data/preprocessing/test_series_filters.py",
        "data/preprocessing/test_series_lengths.py",
        "data/preprocessing/test_series_augmentation.py",
    ],
    "data/preprocessing/series_scaling.py": [
        "data/preprocessing/test_signal_numbers.py",
        "data/preprocessing/test_series_scaling.py",
        "data/preprocessing/test_series_lengths.py",
    ],
    "data/preprocessing/signal_cleaning.py": [
        "data/preprocessing/test_signal_numbers.py",
        "data/preprocessing/test_series_preprocessing.py",
        "data/preprocessing/test_series_filters.py",
    ],
    "data/preprocessing/table.py": ["data/preprocessing/test_table_preprocessing.py"],
    "data/splits.py": ["data/test_splits.py"],
    "evidence/associations.py": ["evidence/test_associations.py", "data/test_leaks_of_columns.py"],
    "evidence/predictions.py": [
        "evidence/test_readouts.py",
        "evidence/test_targets.py",
        "evidence/test_stored_predictions.py",
    ],
    "evidence/readouts.py": ["evidence/test_readouts.py", "evidence/test_summary.py"],
    "evidence/segmentation.py": ["evidence/test_segmentation_scores.py"],
    "evidence/settings.py": ["evidence/test_readouts.py"],
    "evidence/single_cases.py": ["explanations/test_cases.py"],
    "evidence/targets/generated_images.py": ["evidence/test_targets.py", "evidence/test_generation.py"],
    "evidence/targets/probabilities.py": [
        "evidence/test_targets.py",
        "evidence/test_decisions.py",
        "evidence/test_summary.py",
        "evidence/test_paired.py",
    ],
    "evidence/targets/quantities.py": ["evidence/test_targets.py", "evidence/test_decisions.py"],
    "evidence/targets/regions.py": ["evidence/test_targets.py", "evidence/test_stored_predictions.py"],
    "evidence/validation_decisions.py": ["evidence/test_decisions.py"],
    "study/repair.py": ["study/test_repair.py", "search/test_trials.py", "test_doctor.py"],
    "tasks/metrics.py": ["tasks/test_metrics.py", "evidence/test_weighted.py"],
    "tracking/outbox.py": ["tracking/test_outbox.py", "tracking/test_outbox_order.py"],
}
IGNORED = shutil.ignore_patterns(".git", ".venv", "runs", "__pycache__", "shared", "*.sqlite")
CHANGELESS = ("equivalent", "only ")  # how a reason begins where no result is changed: memory or speed at most
HEAD = """# Which planted faults the tests see

Cosmic Ray changes one operator, number, comparison, condition or decorator at a time; the module's own tests run, the
slow ones left out. *Seen*: a test failed, or the tests did not end. Left out are changes of annotations, and arithmetic
that becomes bits or a shift (or the reverse), which any test would see. Faults are drawn at random from each module; a
module counts in the whole as much as it has faults. What was tested for since a module was measured is told beside the
fault, which still counts as not seen: only what is planted anew counts.
Modules with faults that were not seen are drawn again when tests were written, those without are not: the share leans
to the high side until all are drawn again with a seed of their own.

"""


def modules() -> dict[str, list[str]]:
    """Returns the modules, under ``src/medfit``, that faults are planted in, with the tests that should see them."""
    source = ROOT / "src" / "medfit"
    found = dict(SHARED)
    for path in (path for folder in FOLDERS for path in sorted((source / folder).rglob("*.py"))):
        name = path.relative_to(source).as_posix()
        if path.stem != "__init__" and name not in found:
            own = Path(name).with_name(f"test_{path.stem}.py")
            found[name] = [own.as_posix() if (ROOT / "tests" / own).exists() else "evidence/test_targets.py"]
    return dict(sorted(found.items(), key=lambda item: (not item[0].startswith("evidence"), item[0])))


def play(module: str, under: Tests, copy: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Plants faults in a module of a copy of the repository, one at a time, and returns what its tests saw.

    Raises:
        RuntimeError: the tests fail without any fault.
    """
    tests = [f"tests/{test}" for test in modules()[module]]
    if under.fail(tests):
        raise RuntimeError(f"the tests of {module} fail without any fault: {' '.join(tests)}")
    path = copy / "src" / "medfit" / module
    source = path.read_text()
    found = faults(source)
    drawn = sampled(found, arguments.sample, f"{arguments.seed} {module}")
    left = [fault for fault in drawn if not under.see(path, fault, tests)]
    shown = [(fault.line, *fault.shown(source)) for fault in left]
    survivors = [{"line": line, "was": was, "becomes": becomes, "reason": None} for line, was, becomes in shown]
    whole: dict[str, Any] = {"seed": arguments.seed, "faults": len(found), "planted": len(drawn)}
    whole |= {"seen": len(drawn) - len(left), "measured": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}
    return whole | {"survivors": survivors}


def with_reasons(new: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
    """Returns a module's results with the reasons that somebody wrote beside the same faults before."""
    known = {(one["was"], one["becomes"]): one["reason"] for one in (old or {}).get("survivors", [])}
    return new | {"survivors": [one | {"reason": known.get((one["was"], one["becomes"]))} for one in new["survivors"]]}


def share_seen(found: dict[str, dict[str, Any]]) -> tuple[float, float, float]:
    """Returns the share of all faults that tests see, as the samples tell it, with the ends of Wilson's interval."""
    weights = {module: one["faults"] / one["planted"] for module, one in found.items()}
    total = sum(one["faults"] for one in found.values())
    share = sum(weights[module] * one["seen"] for module, one in found.items()) / total
    worth = total**2 / sum(weights[module] ** 2 * one["planted"] for module, one in found.items())
    low, high = stats.binomtest(round(share * worth), round(worth)).proportion_ci(method="wilson")
    return share, float(low), float(high)


def page(found: dict[str, dict[str, Any]]) -> str:
    """Returns the page of results."""
    share, low, high = share_seen(found)
    total, planted, seen = (sum(one[key] for one in found.values()) for key in ("faults", "planted", "seen"))
    told = f"**{100 * share:.1f} %** of {total} faults are seen ({100 * low:.1f} to {100 * high:.1f} %, Wilson's 95 %)"
    reasons = [str(fault["reason"]) for one in found.values() for fault in one["survivors"]]
    left = planted - sum(reason.startswith(CHANGELESS) for reason in reasons)
    measured = f"{len(found)} of {len(modules())} modules are measured"
    lines = [f"{told}; {planted} were planted, and {seen} of them seen. {measured}.", ""]
    lines += [f"Of the {left} that are not known to change no result, {100 * seen / max(left, 1):.1f} % were seen.", ""]
    lines += ["| module | faults | planted | seen | seed | measured (UTC) |", "|---|---:|---:|---:|---:|---|"]
    lines += [
        f"| {module} | {one['faults']} | {one['planted']} | {one['seen']} | {one['seed']} | {one['measured']} |"
        for module, one in found.items()
    ]
    lines += ["", "## Not seen", "", "| place | was | becomes | reason |", "|---|---|---|---|"]
    for module, one in found.items():
        for fault in one["survivors"]:
            was, becomes = (fault[key].replace("|", "\\|") for key in ("was", "becomes"))
            place = f"{module}:{fault['line']}"
            lines.append(f"| {place} | `{was}` | `{becomes}` | {fault['reason'] or 'not known'} |")
    return HEAD + "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Plants the faults, and returns 1 if the tests see fewer than nine in ten."""
    arguments = _parser().parse_args(argv)
    found = yaml.safe_load(arguments.results.read_text()) if arguments.results.exists() else {}
    wanted = arguments.only or [module for module in modules() if not _is_done(found.get(module), arguments)]
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "medfit"
        shutil.copytree(ROOT, copy, ignore=IGNORED)
        under = Tests(copy, arguments.timeout)
        for number, module in enumerate(wanted):
            if time.monotonic() - began > 60 * arguments.minutes:
                print(f"{len(wanted) - number} modules are left: give the same line again")
                return 1
            found[module] = with_reasons(play(module, under, copy, arguments), found.get(module))
            print(f"{module}: {found[module]['seen']} of {found[module]['planted']} seen", flush=True)
            arguments.results.write_text(yaml.safe_dump(dict(sorted(found.items())), sort_keys=False, width=1000))
            arguments.results.with_suffix(".md").write_text(page(dict(sorted(found.items()))))
    arguments.results.with_suffix(".md").write_text(page(dict(sorted(found.items()))))  # with reasons written since
    return 0 if share_seen(found)[0] >= FEWEST_KILLED else 1


def _is_done(old: dict[str, Any] | None, arguments: argparse.Namespace) -> bool:
    if old is None or old["seed"] != arguments.seed:
        return False
    return bool(old["planted"] == min(arguments.sample or old["faults"], old["faults"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(modules()), metavar="MODULE", help="again, whatever is known")
    parser.add_argument("--sample", type=int, help="faults of each module, drawn at random; all of them without it")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the draw: another one where tests were written for this"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no more modules are begun")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds after which tests count as failed")
    parser.add_argument("--results", type=Path, default=RESULTS, help="kept results, and the page of the same name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
