"""What `make setup` says and does, with a Python that has no more than a venv and a pip that only pretends."""

import os
import shutil
import subprocess

import pytest

from medfit.config import folders

PYTHON = """#!/bin/sh
test "$1" = -c && exit 0
mkdir -p .venv/bin
cat > .venv/bin/pip <<'END'
#!/bin/sh
echo "pip: $*"
echo "index: $PIP_EXTRA_INDEX_URL"
exit ${PIP_STATUS:-0}
END
chmod +x .venv/bin/pip
"""
UNAME = "#!/bin/sh\necho {}\n"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def setup(tmp_path):
    """Runs `make setup` in a folder of its own, as on Linux or elsewhere."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(folders.ROOT / name, tmp_path)

    def run(*arguments, system="Linux", **environment):
        for name in ("uname", "python", "python3", *(f"python3.{minor}" for minor in range(11, 15))):
            (programs / name).write_text(UNAME.format(system) if name == "uname" else PYTHON)
            (programs / name).chmod(0o755)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE"))}
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        command = ["make", "setup", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env={**inherited, "PATH": path, **environment}, capture_output=True, text=True
        )

    return run


def test_set_up_says_what_it_is_about_to_do_and_lets_pip_speak(setup, tmp_path):
    done = setup()
    assert done.returncode == 0
    before, _, after = done.stdout.partition("pip: ")
    assert "once" in before and "minutes" in before
    assert "6.5 GB" in before
    assert "--quiet" not in after
    assert after.startswith("install ")
    assert "--constraint constraints.txt --editable .[dev]" in after
    assert (tmp_path / ".venv" / ".ready").exists()


def test_the_command_that_is_told_takes_torch_without_cuda(setup, tmp_path):
    (line,) = [line for line in setup().stdout.splitlines() if line.startswith("  make setup ")]
    (tmp_path / ".venv" / ".ready").unlink()
    done = setup(*line.split()[2:])
    assert "index: https://download.pytorch.org/whl/cpu\n" in done.stdout
    assert "CUDA" not in done.stdout


def test_an_index_in_the_environment_is_as_good(setup):
    done = setup(PIP_EXTRA_INDEX_URL="https://example.org/simple")
    assert "index: https://example.org/simple\n" in done.stdout
    assert "CUDA" not in done.stdout


def test_cuda_is_told_of_on_linux_alone(setup):
    assert "CUDA" not in setup(system="Darwin").stdout


def test_set_up_fails_with_pip_and_goes_on_by_the_same_command(setup, tmp_path):
    assert setup(PIP_STATUS="1").returncode != 0
    assert not (tmp_path / ".venv" / ".ready").exists()
    assert setup().returncode == 0


def test_set_up_is_done_once(setup):
    setup()
    assert "pip: " not in setup().stdout
