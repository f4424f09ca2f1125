"""The code of an editable plugin is part of its identity: its own package's, and no more."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from xbench.catalogue.discovery import Plugin, PluginError
from xbench.catalogue.identity import code_digest, component
from xbench.keys import to_json

Digest = Callable[[str], str]
MODULES = {
    "{p}/__init__.py": "from .shared import CONSTANT\n",
    "{p}/loss.py": (
        "import json\nimport {p}.absolute\nfrom . import relative\nfrom .deep.below import thing\n"
        "def lazily():\n    from {p} import late\n    from .deep import sibling as s\n"
        "class Loss:\n    'A loss.'\n    version = 3\n    def terms(self, batch): ...\n"
    ),
    "{p}/absolute.py": "from {p}.indirect import x\n",
    "{p}/indirect.py": "x = 1\n",
    "{p}/relative.py": "",
    "{p}/late.py": "raise RuntimeError('is never run')\n",
    "{p}/shared.py": "CONSTANT = 1\n",
    "{p}/deep/__init__.py": "",
    "{p}/deep/below.py": "from ..upward import up\nthing = 1\n",
    "{p}/deep/sibling.py": "",
    "{p}/upward.py": "up = 1\n",
    "{p}/unrelated.py": "from .loss import Loss\n",
    "{p}/deep/unrelated.py": "",
    "{p}_other.py": "",
}
FOLLOWED = ["loss", "absolute", "indirect", "relative", "late", "deep/below", "deep/sibling"]
FOLLOWED += ["upward", "__init__", "shared", "deep/__init__"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package with a name of its own, for imports last as long as the process."""
    name = f"identity_{abs(hash(request.node.nodeid))}"
    for path, source in MODULES.items():
        file = tmp_path / path.format(p=name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source.replace("{p}", name))
    monkeypatch.syspath_prepend(tmp_path)
    code_digest.cache_clear()
    return name


def digest(module: str) -> str:
    code_digest.cache_clear()
    return code_digest(module)


@pytest.mark.parametrize("path", FOLLOWED)
def test_a_change_in_what_is_imported_changes_the_digest(
    path: str, package: str, tmp_path: Path
) -> None:
    before = digest(f"{package}.loss")
    file = tmp_path / package / f"{path}.py"
    file.write_text(file.read_text() + "# changed\n")
    assert digest(f"{package}.loss") != before


@pytest.mark.parametrize("path", ["{p}/unrelated.py", "{p}/deep/unrelated.py", "{p}_other.py"])
def test_a_change_in_what_is_not_imported_changes_nothing(
    path: str, package: str, tmp_path: Path
) -> None:
    before = digest(f"{package}.loss")
    (tmp_path / path.format(p=package)).write_text("changed = 1\n")
    (tmp_path / package / "new.py").write_text("")
    assert digest(f"{package}.loss") == before


def test_moving_code_between_modules_changes_the_digest(package: str, tmp_path: Path) -> None:
    before = digest(f"{package}.loss")
    indirect, relative = (tmp_path / package / f"{n}.py" for n in ("indirect", "relative"))
    indirect.write_text("")
    relative.write_text("x = 1\n")
    assert digest(f"{package}.loss") != before


def test_a_package_itself_may_hold_the_plugin(package: str, tmp_path: Path) -> None:
    before = digest(package)
    (tmp_path / package / "shared.py").write_text("CONSTANT = 2\n")
    assert digest(package) != before


def test_only_an_editable_plugin_has_its_code_in_its_identity(package: str) -> None:
    target = f"{package}.loss:Loss"
    installed = component(Plugin("objectives", "loss", target, "dist", "1.2"))
    assert to_json(installed) == {"name": "loss", "version": 3, "distribution": "dist"}
    editable = component(Plugin("objectives", "loss", target, "dist", "1.2", editable=True))
    assert editable == replace(installed, code=digest(f"{package}.loss"))


def test_a_version_that_no_key_can_hold_is_refused(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "odd.py").write_text(
        "class Odd:\n    version = object()\n    def terms(self): ...\n"
    )
    with pytest.raises(PluginError, match=r"'odd'.* of dist 1\.2.*version"):
        component(Plugin("objectives", "odd", f"{package}.odd:Odd", "dist", "1.2"))
