"""What is installed is whole: data, templates and plans travel with the code."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_every_file_that_the_code_reads(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in [
        ("results/paper", "harness/results/paper"),
        ("results/reference", "harness/results/reference"),
        ("results/tuning", "harness/results/tuning"),
        ("results/weights", "harness/results/weights"),
        ("reports/templates", "reports/templates"),
        ("harness/plans", "harness/plans"),
    ]:
        for path in (ROOT / folder).iterdir():
            assert f"{inside}/{path.name}" in held
    assert not [name for name in held if name.startswith(("tests", "benchmarks", "reports/out"))]
