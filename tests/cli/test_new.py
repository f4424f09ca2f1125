"""``xbench new`` writes distributions that install, keep their contracts, and run, unchanged."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xbench.cli.scaffold import KINDS, write_distribution

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome, xbench
from ..program import run_module, shell

NAMES = {kind: "qtz" if kind == "language" else f"fresh_{kind}" for kind in KINDS}


class Place:
    """A folder with a new plugin of every kind, installed into a folder for ``sys.path``."""

    def __init__(self, root: Path) -> None:
        self.root, self.installed = root, root / "installed"
        self.projects = {kind: write_distribution(kind, name, root) for kind, name in NAMES.items()}
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
        done = self.python("pip", "install", *options, self.installed, *self.projects.values())
        assert done.code == 0, done.err

    def python(
        self, module: str, *arguments: str | Path, cwd: Path | None = None, **given: str
    ) -> Outcome:
        """``python -m MODULE ...`` where what is installed there can be seen."""
        return run_module(module, arguments, cwd or self.root, shell(self.installed, **given))

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> Outcome:
        """A run in small."""
        options = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--mode", "linear", "--jobs", "1", "--offline"]
        store = self.root / "store"
        command = ["xbench", "run", *options, "--store", store, *arguments]
        return self.python(*command, cwd=cwd)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("new"))


def test_every_kind_keeps_its_contract(place: Place) -> None:
    done = place.python("xbench", "check", *NAMES.values())
    assert done.code == 0, done.out + done.err
    assert "FAILED" not in done.out
    assert f"{len(NAMES)} of {len(NAMES)} keep their contracts." in done.out


def test_the_tests_pass_as_they_are(place: Place) -> None:
    folders = [project / "tests" for project in place.projects.values()]
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    # in the task's folder, where its data are bound
    done = place.python("pytest", *options, *folders, cwd=place.projects["task"])
    assert done.code == 0, done.out + done.err
    assert "skipped" not in done.out


def test_data_beside_the_source(place: Place) -> None:
    data = place.projects["source"] / "tests" / "data"
    done = place.python("xbench", "check", NAMES["source"], XBENCH_DATA=str(data))
    assert done.code == 0, done.out
    assert "\n  - " not in done.out


def test_what_is_written_is_well_formed(place: Place) -> None:
    modules = [
        str(path) for path in place.root.glob("xbench-*/**/*.py") if "build" not in path.parts
    ]
    assert len(modules) == 2 * len(NAMES)
    config = Path(__file__).parents[2] / "pyproject.toml"
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = place.python("ruff", *command, "--config", config, *modules)
        assert done.code == 0, done.out + done.err


def test_the_objective_is_short(place: Place) -> None:
    module = place.projects["objective"] / "xbench_fresh_objective.py"
    assert len(module.read_text().splitlines()) <= 30


def test_the_objective_gets_to_a_row(place: Place) -> None:
    done = place.run("--objective", NAMES["objective"])
    assert done.code == 0, done.out + done.err
    assert NAMES["objective"] in done.out
    store = place.root / "store"
    listed = place.python("xbench", "results", "--store", store, "--format", "json")
    rows = json.loads(listed.out)
    aligned = [row for row in rows if row["objective"] == NAMES["objective"]]
    assert {row["language"] for row in aligned} == {"qaa", "qac"}
    assert [row for row in aligned if row["status"] != "done" or row["value"] is None] == []


def test_the_others_run(place: Place) -> None:
    """Transform, merge, an aligner beside an objective that needs links, a probe; then a task."""
    names = [NAMES["transform"], NAMES["merge"], "l2_contextual:frozen"]
    objectives = ["--objective", ",".join(names), "--arm", "aligned"]
    more = ["--probe", NAMES["probe"], "-O", f"align.aligner={NAMES['aligner']}"]
    done = place.run(*objectives, *more, "--language", "qac")
    assert done.code == 0, done.out + done.err
    bound = place.projects["task"]
    done = place.run("--task", NAMES["task"], "--arm", "none", "--language", "qac", cwd=bound)
    assert done.code == 0, done.out + done.err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_writes_and_says_what_comes_next(here: Path) -> None:
    outcome = xbench("new", "objective", "my-loss")
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith(
        "Now, in xbench-my-loss:\n  pip install -e .\n  xbench check my-loss\n"
        "  xbench run --objective my-loss --task pos\n"
    )
    written = {str(p.relative_to(here)) for p in here.rglob("*") if p.is_file()}
    assert written == {
        "xbench-my-loss/pyproject.toml",
        "xbench-my-loss/README.md",
        "xbench-my-loss/xbench_my_loss.py",
        "xbench-my-loss/tests/test_xbench_my_loss.py",
    }
    assert all(name in outcome.out for name in written)


def test_nothing_is_overwritten(here: Path) -> None:
    assert xbench("new", "metric", "mine", "--dir", "below").code == 0
    module = here / "below" / "xbench-mine" / "xbench_mine.py"
    module.write_text("changed")
    outcome = xbench("new", "task", "mine", "--dir", "below")
    assert outcome.code == 2
    assert "is there already" in outcome.err
    assert module.read_text() == "changed"


def test_a_class_does_not_hide_what_the_module_imports(here: Path) -> None:
    for name in ("term", "objective"):
        assert xbench("new", "objective", name).code == 0
        text = (here / f"xbench-{name}" / f"xbench_{name}.py").read_text()
        assert f"class {name.capitalize()}Objective(Objective):" in text


def test_a_language_with_its_script(here: Path) -> None:
    assert xbench("new", "language", "qty_Deva").code == 0
    text = (here / "xbench-qty-deva" / "xbench_qty_deva.py").read_text()
    assert 'code="qty_Deva"' in text
    assert 'script="Deva"' in text


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("objectiv", "mine", "Did you mean 'objective'?"),
        ("objective", "My Loss", "cannot be used"),
        ("objective", "1st", "cannot be used"),
        ("objective", "../mine", "cannot be used"),
        ("objective", "mine_", "cannot be used"),
        ("language", "german", "an ISO 639-3 code"),
        ("objective", "mlm", "is taken: Objective 'mlm'"),
        ("transform", "lsar", "is taken: Objective 'lsar'"),
        ("objective", "infoxlm", "registry has it"),
        ("language", "deu", "registry has it"),
        ("objective", "plugins", "A module xbench_plugins is installed already"),
    ],
)
def test_names_that_cannot_be(here: Path, kind: str, name: str, message: str) -> None:
    outcome = xbench("new", kind, name)
    assert outcome.code == 2
    assert message in outcome.err
    assert not list(here.iterdir())


def test_a_name_that_was_installed_in_the_meantime(
    here: Path, install: Callable[..., Path]
) -> None:
    install("others", {"objectives": {"mine": "theirs:Mine"}}, {})
    outcome = xbench("new", "objective", "mine")
    assert outcome.code == 2
    assert "of others 1.2" in outcome.err
