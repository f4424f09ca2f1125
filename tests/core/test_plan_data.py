"""Digests of the content of model and data are in the keys of what is computed from them."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from xbench.errors import XbenchError
from xbench.plan import Plan
from xbench.spec.request import make_spec

from .. import real
from ..command import TUNED, Test, below, changed, everything, nothing, plan_of, roles, where


class TestFiles:
    """Digests of the content of model and data, wherever they lie."""

    def plan(self, data: Path, model: Path | str = "mini-encoder") -> Plan:
        spec = make_spec(
            {
                "suite": "paper",
                "model": str(model),
                "data": str(data),
                "objective": "hictl:S1W0M0",
                "task": "pos",
                "pair": "de-en,en-kk",
                "language": "deu,eng,kas_Deva",
                "seed": 15,
                "device": "cpu",
            },
            "the test",
        )
        return plan_of(spec)

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        source = Path(str(files("xbench_plugins.clones") / "encoder"))
        return Path(shutil.copytree(source, tmp_path / "model"))

    @pytest.mark.parametrize(
        ("name", "noticed"),
        [
            ("ud/UD_English-EWT/en-ud-train.conllu", below(*TUNED)),
            (
                "ud/UD_English-EWT/en-ud-test.conllu",
                # of the alignments too, whose text is cleared of it
                lambda f: (
                    f["pair"] in ("deu-eng", "eng-kaz")
                    or (f["kind"] in ("evaluate", "score") and f["language"] == "eng")
                ),
            ),
            (
                "ud/UD_German-GSD/de-ud-test.conllu",
                lambda f: (
                    f["pair"] == "deu-eng"
                    or (f["kind"] in ("evaluate", "score") and f["language"] == "deu")
                ),
            ),
            ("ud/UD_German-GSD/de-ud-train.conllu", nothing),
            ("parallel/pairs/de-en.tsv", lambda f: f["pair"] == "deu-eng"),
        ],
    )
    def test_data(self, name: str, noticed: Test, data: Path) -> None:
        before = self.plan(data)
        with (data / name).open("a") as file:
            file.write("\n")
        assert changed(before, self.plan(data)) == where(before, noticed)

    def test_the_place_and_the_packing_of_data_play_no_part(
        self, data: Path, tmp_path: Path
    ) -> None:
        before = self.plan(data)
        assert changed(before, self.plan(data.rename(tmp_path / "elsewhere"))) == set()

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
    def test_the_model(self, name: str, model: Path, data: Path) -> None:
        before = self.plan(data, model)
        with (model / name).open("ab") as file:
            file.write(b" ")
        after = self.plan(data, model)
        assert changed(before, after) == where(before, everything)

    def test_its_place_and_other_files_in_its_folder_play_no_part(
        self, model: Path, data: Path, tmp_path: Path
    ) -> None:
        before = self.plan(data, model)
        (model / "README.md").write_text("about")
        after = self.plan(data, model.rename(tmp_path / "renamed"))
        assert roles(after) == roles(before)
        assert {cell.coordinates["model"] for cell in after.cells} == {"renamed"}

    def test_a_language_without_data_is_a_gap(self, data: Path) -> None:
        plan = self.plan(data)
        assert list(plan.gaps) == ["pos: kas_Deva"]
        gaps = [cell for cell in plan.cells if cell.coordinates["language"] == "kas_Deva"]
        assert gaps
        assert all(cell.unavailable and cell.score is None for cell in gaps)
        assert all(not cell.unavailable for cell in plan.cells if cell not in gaps)

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("ud/UD_English-EWT/en-ud-train.conllu", "No training data for task 'pos'"),
            ("parallel/pairs/de-en.tsv", "No parallel text for the pair deu-eng"),
        ],
    )
    def test_data_that_nothing_works_without_is_an_error(
        self, path: str, message: str, data: Path
    ) -> None:
        (data / path).unlink()
        with pytest.raises(XbenchError, match=message):
            self.plan(data)

    def test_damaged_files_are_told(self, data: Path) -> None:
        (data / "parallel/pairs/de-en.tsv").rename(data / "parallel/pairs/de-en.tsv.gz")
        with pytest.raises(XbenchError, match=r"de-en\.tsv\.gz is named \.gz but"):
            self.plan(data)


def test_the_study_is_planned_whole() -> None:
    """The matrix of the reference study, on its real data where that is configured."""
    models = real.folder("XBENCH_MODELS")
    real.folder("XBENCH_DATA")
    values = {
        "suite": "paper",
        "model": str(models / "xlmr-small"),
        "objective": "hictl",
        "task": "pos,topic",
        "device": "cpu",
    }
    plan = plan_of(make_spec(values, "the test"))
    # 7 variants x 4 pairs; (28 aligned encoders + the untouched one) x 2 tasks x 2 modes x 3 seeds
    assert len(plan.of_kind("align")) == 28
    assert len(plan.of_kind("finetune")) == 29 * 12
    # 14 languages, of which one has no treebank
    assert len(plan.cells) == 29 * 12 * 14
    assert len(plan.of_kind("score")) == 29 * 6 * (14 + 13)
    assert list(plan.gaps) == ["pos: kas_Deva"]
