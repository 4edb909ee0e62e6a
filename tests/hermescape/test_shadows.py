"""A folder or file `theory` or `numerics` of the user's is named in the error; one that Python ignores is no matter."""

import subprocess
import sys
from pathlib import Path

import pytest

import hermescape


def imported(folder: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """`import hermescape` in this working directory, where Python looks first."""
    code = f"{before}\nimport hermescape; hermescape.activation('relu'); hermescape.Exit(0.5)"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["theory", "numerics"])
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("before", [False, True])
def test_what_shadows_a_package_of_ours_is_named(tmp_path: Path, name: str, kind: str, before: bool) -> None:
    culprit = tmp_path / (f"{name}.py" if kind == "file" else name)
    if kind == "folder":
        culprit.mkdir()
    (culprit if kind == "file" else culprit / "__init__.py").write_text("")
    done = imported(tmp_path, f"import {name}" if before else "")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"hermescape.shadows.ShadowedPackageError: {culprit} is imported as {name} in place of")
    assert last.endswith("Rename it, or start Python in another folder.")


def test_what_python_does_not_take_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "theory").mkdir()  # no package, so that ours is found after it
    (tmp_path / "numerics.txt").write_text("")
    done = imported(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_error_is_an_import_error_with_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib_spec(tmp_path / "theory.py")
    monkeypatch.setattr("hermescape.shadows.find_spec", lambda _: found)
    with pytest.raises(ImportError, match="Rename it") as caught:
        hermescape.shadows.refuse_shadows()
    assert (caught.value.name, caught.value.path) == ("theory", str(tmp_path / "theory.py"))


def importlib_spec(path: Path):
    from importlib.util import spec_from_file_location

    return spec_from_file_location("theory", path)
