"""What code, software and machine a run was made with."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from medfit.config.folders import ROOT

CODE = ["*.py", "*.yaml", "*.toml", "constraints.txt", "Makefile"]  # never data, which may be any other text
DIFF = ["--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/"]  # as git apply takes it


@functools.cache
def code() -> dict[str, str]:
    """Returns ``commit``, ``dirty`` (true or false) and ``diff`` (of code and configs, new files included).

    The diff's paths begin at the project's folder, whatever the user's settings of git are.
    """
    commit = _git("rev-parse", "HEAD").strip()
    if not commit:
        return {"commit": "unknown", "dirty": "unknown", "diff": ""}
    diff = _git("diff", *DIFF, "--relative", "HEAD", "--", *CODE)
    for path in _git("ls-files", "--others", "--exclude-standard", "--", *CODE).splitlines():
        diff += _git("diff", *DIFF, "--no-index", "--", os.devnull, path)
    dirty = bool(_git("status", "--porcelain").strip())
    return {"commit": commit, "dirty": str(dirty).lower(), "diff": diff}


@functools.cache
def source() -> str:
    """Returns a hash of medfit's own code."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SEEN: dict[str, Any] = {}


def remember(seen: dict[str, Any]) -> None:
    """Takes the environment from another process of this machine, which has imported what it takes to tell."""
    _SEEN.update(seen)


def remembers_no_gpu() -> bool:
    """Tells whether another process has found that there is no GPU."""
    return bool(_SEEN) and _SEEN["gpu"] is None


def environment() -> dict[str, Any]:
    """Returns the installed versions and the machine; no user's or host's name."""
    seen = _SEEN or _environment()
    torch = sys.modules.get("torch")  # whose threads a worker may have been given since
    return {**seen, "threads": torch.get_num_threads()} if torch else seen


@functools.cache
def _environment() -> dict[str, Any]:
    import psutil  # late: a quick start
    import torch

    cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpu": _cpu(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "torch_build": hashlib.sha256(torch.__config__.show().encode()).hexdigest()[:12],
        "cpu_count": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "cuda": torch.version.cuda if cuda else None,
        "versions": dict(sorted({m["Name"]: m["Version"] for m in (d.metadata for d in distributions())}.items())),
    }


def _cpu() -> str:
    """Returns the processor's name; nothing where it is not told."""
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")), "")


def _git(*arguments: str) -> str:
    """Returns what git prints; nothing where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, errors="replace", timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
