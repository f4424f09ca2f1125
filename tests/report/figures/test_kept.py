"""Figures are drawn again where something that they show has changed, and only there."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from xbench.report.figures import kept
from xbench.report.figures.gallery import Gallery, build_gallery
from xbench.report.figures.kept import INDEX, gallery_key, read_gallery, write_gallery
from xbench.report.figures.material import Lacking, Material

from ...command import QUICK_OPTIONS, SMALL_OPTIONS
from ...command import with_figures as xbench
from .material import curves, material

FORMATS = ("svg", "pdf")


@pytest.fixture
def drawn(tmp_path: Path) -> tuple[Path, Gallery]:
    """A folder with the figures of the losses, under the key ``a``."""
    made = build_gallery(Material(curves=curves()), FORMATS)
    gallery = replace(made, lacking=(Lacking("Maps", "there is no probe"),))
    write_gallery(tmp_path / "figures", "a", gallery, FORMATS)
    return tmp_path / "figures", gallery


def test_what_was_written_is_what_is_read(drawn: tuple[Path, Gallery]) -> None:
    folder, gallery = drawn
    assert read_gallery(folder, "a", FORMATS) == gallery
    svg = read_gallery(folder, "a", ("svg",))
    assert svg is not None
    assert [set(picture.files) for picture in svg.pictures] == [{"svg"}] * 2


def test_of_another_key_nothing_is_taken(drawn: tuple[Path, Gallery]) -> None:
    assert read_gallery(drawn[0], "b", FORMATS) is None
    assert read_gallery(drawn[0], "a", (*FORMATS, "png")) is None


@pytest.mark.parametrize("damage", ["gone", "edited", "index gone", "index cut", "index empty"])
def test_nor_where_a_file_is_not_as_it_was(damage: str, drawn: tuple[Path, Gallery]) -> None:
    folder, _ = drawn
    picture, index = folder / "losses-align.svg", folder / INDEX
    if damage == "gone":
        picture.unlink()
    elif damage == "edited":
        picture.write_text(picture.read_text() + "<!-- mine -->")
    elif damage == "index gone":
        index.unlink()
    else:
        index.write_text(index.read_text()[:40] if damage == "index cut" else "{}")
    assert read_gallery(folder, "a", FORMATS) is None


class TestKeys:
    def test_the_same_material_has_the_same_key_in_another_process(self) -> None:
        code = (
            "from tests.report.figures.material import curves, material\n"
            "from xbench.report.figures.kept import gallery_key\n"
            "print(gallery_key(material(curves=curves())))"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "12"}
        root = Path(__file__).parents[3]
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=environment
        )
        assert done.stdout.strip() == gallery_key(material(curves=curves())), done.stderr

    def test_every_part_counts(self) -> None:
        whole = material(curves=curves())
        others = [
            replace(whole, results=None),
            replace(whole, probes=None),
            replace(whole, curves=whole.curves[:-1]),
            replace(whole, style=replace(whole.style, allow_partial=True)),
            replace(whole, background=replace(whole.background, groups={"x": ("deu-eng",)})),
            replace(whole, items={**whole.items, ("x", "y"): [0.1]}),  # type: ignore[dict-item]
        ]
        keys = {gallery_key(each) for each in (whole, *others)}
        assert len(keys) == 1 + len(others)

    def test_so_does_the_last_digit_of_a_loss(self) -> None:
        one, *rest = curves()
        name = next(iter(one.losses))
        first, *others = one.losses[name]
        moved = (first + 1e-15 * abs(first), *others)
        assert moved[0] != first
        other = replace(one, losses={**one.losses, name: moved})
        assert gallery_key(Material(curves=[one, *rest])) != gallery_key(
            Material(curves=[other, *rest])
        )

    def test_so_does_the_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = gallery_key(Material())
        monkeypatch.setattr(kept, "_code", lambda: b"another version")
        assert gallery_key(Material()) != before

    def test_what_cannot_be_told_apart_is_refused(self) -> None:
        with pytest.raises(TypeError, match="object is nothing that a figure can be kept by"):
            gallery_key(replace(Material(), items={("a", "b"): object()}))  # type: ignore[dict-item]


def test_a_run_with_nothing_to_compute_draws_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xbench.report.figures import gallery

    drawings: list[str] = []
    render = gallery.render

    def counted(draw: object, formats: tuple[str, ...]) -> dict[str, bytes]:
        drawings.append("drawn")
        return render(draw, formats)  # type: ignore[arg-type]

    monkeypatch.setattr(gallery, "render", counted)
    options = (*SMALL_OPTIONS, *QUICK_OPTIONS, "--arm", "none,aligned", "--mode", "linear")
    options = (*options, "--objective", "hictl:S1W0M0", "--store", tmp_path, "--jobs", "1")
    assert xbench("run", *options).code == 0
    first = len(drawings)
    assert first > 0
    (folder,) = (tmp_path / "runs").glob("*/report")
    before = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert xbench("run", *options).code == 0
    assert len(drawings) == first
    after = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert after == before
    next(folder.glob("figures/*.svg")).write_text("mine")
    assert xbench("run", *options).code == 0
    assert len(drawings) == 2 * first
    assert {
        p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    } == before
