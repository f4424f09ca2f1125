"""One directory per key: whole or absent, verified, and recomputed where it is damaged."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xbench.errors import XbenchError
from xbench.files import dump_json, write_atomic
from xbench.store import FORMAT, MARKER, DamagedArtefact, Store

KEY = "0" * 64
FAILURE = {"error": "ValueError: bad", "traceback": "Traceback: ...", "cause": "error"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def fill(store: Store, content: bytes = b"weights", **result: int) -> None:
    with store.write("align", KEY, {"seed": 1}) as entry:
        (entry.folder / "step-1").mkdir()
        (entry.folder / "step-1" / "model.safetensors").write_bytes(content)
        entry.result = dict(result)


def files(store: Store) -> list[str]:
    return sorted(p.relative_to(store.root).as_posix() for p in store.root.rglob("*"))


class TestWriting:
    def test_a_stage_appears_with_all_that_describes_it(self, store: Store) -> None:
        fill(store, loss=3)
        assert store.state("align", KEY) == "done"
        assert store.result("align", KEY) == {"loss": 3}
        weights = store.file("align", KEY, "step-1/model.safetensors")
        assert weights.read_bytes() == b"weights"
        assert json.loads((store.folder("align", KEY) / "spec.json").read_text()) == {"seed": 1}
        status = store.status("align", KEY)
        assert status["started"] <= status["finished"]
        assert set(status["files"]) == {"spec.json", "result.json", "step-1/model.safetensors"}

    def test_an_exception_leaves_nothing(self, store: Store) -> None:
        before = files(store)

        def interrupted() -> None:
            with store.write("align", KEY, {}) as entry:
                (entry.folder / "half").write_text("half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert store.state("align", KEY) == "absent"
        assert files(store) == ["align", *before]

    def test_a_result_that_json_cannot_hold_leaves_nothing(self, store: Store) -> None:
        with pytest.raises(ValueError, match="JSON"), store.write("align", KEY, {}) as entry:
            entry.result = {"loss": float("nan")}
        assert store.state("align", KEY) == "absent"
        assert not list((store.root / "align").iterdir())

    def test_until_the_end_nothing_is_to_be_seen(self, store: Store) -> None:
        with store.write("align", KEY, {}):
            assert store.state("align", KEY) == "absent"
        assert store.state("align", KEY) == "done"

    def test_what_a_killed_process_left_is_removed_by_the_next_attempt(self, store: Store) -> None:
        for left in (f".{KEY}.1a2b.tmp", f".{KEY}.3c4d.old"):
            (store.root / "align" / left / "deep").mkdir(parents=True)
        other = store.root / "align" / f".{'1' * 64}.1a2b.tmp"
        other.mkdir()
        fill(store)
        assert sorted(p.name for p in (store.root / "align").iterdir()) == [other.name, KEY]

    def test_the_training_state_goes_when_the_stage_is_done(self, store: Store) -> None:
        store.work_folder(KEY).mkdir(parents=True)
        with pytest.raises(RuntimeError), store.write("align", KEY, {}):
            raise RuntimeError
        assert store.work_folder(KEY).is_dir()
        fill(store)
        assert not store.work_folder(KEY).exists()

    def test_a_file_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        write_atomic(path, "old")
        with pytest.raises(TypeError):
            write_atomic(path, 3)  # type: ignore[arg-type]
        write_atomic(path, "neu: ü")
        assert path.read_text(encoding="utf-8") == "neu: ü"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_file_that_cannot_be_put_in_place_leaves_no_temporary_one(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "x" / "in the way").mkdir(parents=True)
        with pytest.raises(OSError, match="x"):
            write_atomic(tmp_path / "x", b"content")
        assert [path.name for path in tmp_path.iterdir()] == ["x"]


class TestFailures:
    def test_a_failure_is_recorded_with_its_log(self, store: Store) -> None:
        store.write_failure("align", KEY, {"seed": 1}, FAILURE)
        assert store.state("align", KEY) == "failed"
        assert store.error("align", KEY) == "ValueError: bad"
        assert store.status("align", KEY)["cause"] == "error"
        assert (store.folder("align", KEY) / "log.txt").read_text() == "Traceback: ..."
        assert not store.has_file("align", KEY, "log.txt")  # only a finished stage gives files

    def test_a_later_success_takes_its_place(self, store: Store) -> None:
        store.write_failure("align", KEY, {}, FAILURE)
        fill(store, loss=1)
        assert store.state("align", KEY) == "done"
        assert store.error("align", KEY) is None
        assert store.result("align", KEY) == {"loss": 1}
        assert [p.name for p in (store.root / "align").iterdir()] == [KEY]

    def test_a_failure_never_costs_what_was_done(self, store: Store) -> None:
        fill(store, loss=1)
        store.write_failure("align", KEY, {}, FAILURE)
        assert store.state("align", KEY) == "done"
        assert store.error("align", KEY) == "ValueError: bad"
        assert store.file("align", KEY, "step-1/model.safetensors").read_bytes() == b"weights"
        fill(store, loss=2)
        assert store.error("align", KEY) is None


class TestDamage:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
    @given(content=st.binary(min_size=1, max_size=40), data=st.data())
    def test_every_change_of_a_byte_is_noticed(self, content: bytes, data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            fill(store, content)
            path = store.folder("align", KEY) / "step-1" / "model.safetensors"
            place = data.draw(st.integers(0, len(content) - 1))
            flip = data.draw(st.integers(1, 255))
            altered = bytearray(content)
            altered[place] ^= flip
            path.write_bytes(altered)
            with pytest.raises(DamagedArtefact, match=r"step-1/model\.safetensors is damaged"):
                store.file("align", KEY, "step-1/model.safetensors")

    @pytest.mark.parametrize("damage", ["truncated", "longer", "gone", "a folder"])
    def test_a_damaged_stage_is_set_aside_and_can_be_written_anew(
        self, damage: str, store: Store
    ) -> None:
        fill(store, loss=1)
        path = store.folder("align", KEY) / "result.json"
        content = path.read_bytes()
        path.unlink()
        if damage == "truncated":
            path.write_bytes(content[:-1])
        elif damage == "longer":
            path.write_bytes(content + b" ")
        elif damage == "a folder":
            path.mkdir()
        with pytest.raises(DamagedArtefact, match="computed again by the next run"):
            store.result("align", KEY)
        assert store.state("align", KEY) == "absent"
        (aside,) = (store.root / "aside").iterdir()
        assert aside.name.startswith(f"align-{KEY}-")
        assert "result.json" in (aside / "why.txt").read_text()
        fill(store, loss=1)
        assert store.result("align", KEY) == {"loss": 1}

    @pytest.mark.parametrize("content", ["", "{", "[]", "null", '"done"'])
    def test_a_damaged_status_is_set_aside(self, content: str, store: Store) -> None:
        fill(store)
        (store.folder("align", KEY) / "status.json").write_text(content)
        assert store.state("align", KEY) == "absent"
        assert len(list((store.root / "aside").iterdir())) == 1

    def test_verify_says_whether_all_files_are_whole(self, store: Store) -> None:
        assert not store.verify("align", KEY)
        fill(store)
        assert store.verify("align", KEY)
        (store.folder("align", KEY) / "spec.json").write_text("{}")
        assert not store.verify("align", KEY)
        assert store.state("align", KEY) == "absent"

    def test_what_is_not_there_is_an_error_of_its_own(self, store: Store) -> None:
        with pytest.raises(XbenchError, match=r"result\.json is not in the store"):
            store.result("align", KEY)


class TestFreeing:
    def test_weights_go_and_the_rest_stays(self, store: Store) -> None:
        fill(store, b"12345", loss=1)
        assert store.free("align", KEY, "step-1/model.safetensors") == 5
        assert store.state("align", KEY) == "done"
        assert not store.has_file("align", KEY, "step-1/model.safetensors")
        assert not (store.folder("align", KEY) / "step-1" / "model.safetensors").exists()
        assert store.status("align", KEY)["freed"]["step-1/model.safetensors"]["bytes"] == 5
        assert store.result("align", KEY) == {"loss": 1}
        assert store.verify("align", KEY)
        assert store.free("align", KEY, "step-1/model.safetensors") == 0

    def test_computing_again_brings_them_back(self, store: Store) -> None:
        fill(store)
        store.free("align", KEY, "step-1/model.safetensors")
        fill(store)
        assert store.has_file("align", KEY, "step-1/model.safetensors")
        assert "freed" not in store.status("align", KEY)


class TestTheFolder:
    def test_a_new_store_says_its_format(self, store: Store) -> None:
        assert json.loads((store.root / MARKER).read_text()) == {"format": FORMAT}
        assert files(store) == [MARKER]
        store.prepare()

    def test_a_newer_format_is_refused(self, store: Store) -> None:
        (store.root / MARKER).write_text(dump_json({"format": FORMAT + 1}))
        for use in (store.prepare, store.check_format):
            with pytest.raises(XbenchError, match=r"has format 2; this xbench reads up to 1"):
                use()

    @pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": "x"}', '{"format": null}'])
    def test_a_damaged_marker_is_told(self, content: str, store: Store) -> None:
        (store.root / MARKER).write_text(content)
        with pytest.raises(XbenchError, match=r"xbench-store\.json is damaged"):
            store.check_format()

    def test_a_file_is_no_store(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(XbenchError, match="is no folder"):
            Store(tmp_path / "file").check_format()
        for path in ("file", "file/below"):
            with pytest.raises(XbenchError, match="cannot be written"):
                Store(tmp_path / path).prepare()

    def test_a_store_that_is_not_there_has_no_format_to_check(self, tmp_path: Path) -> None:
        Store(tmp_path / "absent").check_format()


NOBODY = 65534


class TestReadOnly:
    @pytest.fixture
    def read_only(self) -> Iterator[Store]:
        """The store of somebody else. Root may write anywhere, and becomes nobody meanwhile."""
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            store.prepare()
            fill(store, loss=1)
            (store.root / "align" / KEY / "step-1" / "model.safetensors").write_bytes(b"altered")
            folders = [store.root, *(p for p in store.root.rglob("*") if p.is_dir())]
            for each in folders:
                each.chmod(0o555)
            user = os.geteuid()
            os.seteuid(NOBODY if user == 0 else user)
            try:
                yield store
            finally:
                os.seteuid(user)
                for each in folders:
                    each.chmod(0o755)

    def test_it_can_be_read_and_not_be_run_on(self, read_only: Store) -> None:
        assert read_only.result("align", KEY) == {"loss": 1}
        with pytest.raises(XbenchError, match=r"cannot be written: Permission denied.*--store DIR"):
            read_only.prepare()

    def test_damage_in_it_is_told_each_time_and_stays(self, read_only: Store) -> None:
        for _ in range(2):
            with pytest.raises(DamagedArtefact):
                read_only.file("align", KEY, "step-1/model.safetensors")
        assert read_only.state("align", KEY) == "done"
