"""Someone else's cells: `tests/acme` built, installed and run as from a repository of its own.

The installed package is all that the subprocesses can import of it; line file and tests are copied away
from its source.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import pytest

ACME = Path(__file__).parent / "acme"
CELLRT = str(Path(sys.executable).with_name("cellrt"))


class Shop(NamedTuple):
    """A folder with ACME's line and tests, and where its package is installed."""

    folder: Path
    packages: Path
    wheel: Path

    def run(self, *command: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        if installed:
            env["PYTHONPATH"] = str(self.packages)
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=150
        )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("acme")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ACME)], check=True, capture_output=True, timeout=100)
    (wheel,) = folder.glob("*.whl")
    packages = folder / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile"]
    quiet = ["--disable-pip-version-check", "--target", str(packages)]
    subprocess.run([*pip, *quiet, str(wheel)], check=True, capture_output=True, timeout=100)
    shutil.copy(ACME / "acme_line.toml", folder)
    shutil.copytree(ACME / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    return Shop(folder, packages, wheel)


def test_wheel_has_the_cell_its_map_and_its_simulation(shop: Shop) -> None:
    held = {name for name in ZipFile(shop.wheel).namelist() if name.startswith("acme_cells/")}
    files = ("__init__.py", "labeler.py", "labeler.toml", "py.typed", "sim.py")
    assert held == {f"acme_cells/{file}" for file in files}


def test_installed_its_own_tests_pass(shop: Shop) -> None:
    done = shop.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_installed_its_line_is_well(shop: Shop) -> None:
    done = shop.run(CELLRT, "check", "acme_line.toml", "--show")
    assert done.returncode == 0, done.stderr
    assert "acme_cells.labeler:Labeler" in done.stdout
    assert "6 cells, 3 devices, well" in done.stdout


def test_installed_its_line_runs_in_the_twin(shop: Shop) -> None:
    done = shop.run(CELLRT, "twin", "acme_line.toml", "--for", "120")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    boards = report["boards"]
    assert boards["completed"] >= 5 and boards["rejected"] == 0
    assert report["cells"]["labeler"]["boards"] >= boards["completed"]


def test_not_installed_the_line_names_what_is_missing(shop: Shop) -> None:
    done = shop.run(CELLRT, "check", "acme_line.toml", installed=False)
    assert done.returncode == 2
    assert "acme_line.toml:41: there is no module 'acme_cells" in done.stderr
    assert "Traceback" not in done.stderr
