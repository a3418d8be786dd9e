"""medfit as another machine has it: installed from its wheel, in an environment of its own, without the project."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from medfit.config import folders

PROJECT = ("conf", "src", "LICENSE", "MANIFEST.in", "NOTICE", "README.md", "pyproject.toml", "setup.py")


def build_wheel(folder: Path) -> Path:
    """Returns medfit's wheel, built from a copy of the project, as building leaves files behind."""
    copy = folder / "project"
    copy.mkdir()
    for name in PROJECT:
        place = folders.ROOT / name
        if place.is_dir():
            shutil.copytree(place, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(place, copy)
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(copy)], check=True, timeout=300)
    (wheel,) = folder.glob("medfit-*.whl")
    shutil.rmtree(copy)
    return wheel


def make(folder: Path, wheel: Path) -> Path:
    """Returns the Python of a new environment: medfit is the wheel's, all other packages are this environment's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=300)
    python = folder / "bin" / "python"
    options = ["install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *options], check=True, timeout=300)
    (own,) = folder.glob("lib/python*/site-packages")
    others = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (own / "others.pth").write_text("\n".join(others))  # later: pip would take a medfit there for this one's
    return python


def run(python: Path, arguments: list[str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Runs a program in the environment, from a folder, with nothing of this one's but the packages."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run([str(python), *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=400)
