"""Puts the configs, which lie beside the package here, inside the wheel; all else stands in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithConfigs(build_py):
    """Copies ``conf`` to where :mod:`medfit.config.folders` looks for it in an installed medfit."""

    def run(self) -> None:
        """Builds the package; an editable one reads the project's own configs."""
        super().run()
        if not self.editable_mode:
            shutil.copytree("conf", Path(self.build_lib) / "medfit" / "conf", dirs_exist_ok=True)


setup(cmdclass={"build_py": WithConfigs})
