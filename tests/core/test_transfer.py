"""Results as a file: they arrive whole or not at all, and nothing of it is believed."""

import io
import json
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xbench.errors import XbenchError
from xbench.store import STATUS, Store
from xbench.store.transfer import import_file

KEY = "ab" * 32


def stage(root: Path, key: str = KEY) -> Store:
    """A store with one finished stage."""
    store = Store(root)
    store.prepare()
    with store.write("score", key, {"what": 1}) as entry:
        entry.result = {"value": 0.5}
        (entry.folder / "part").mkdir()
        (entry.folder / "part" / "data.bin").write_bytes(bytes(range(256)) * 8)
    return store


def packed(path: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def members(store: Store, key: str = KEY) -> dict[str, bytes]:
    """The files of a stage by the names that an export gives them, status.json last."""
    folder = store.folder("score", key)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != STATUS)
    return {
        f"score/{key}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in [*files, folder / STATUS]
    }


@pytest.fixture
def good(tmp_path: Path) -> dict[str, bytes]:
    return members(stage(tmp_path / "from"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "to" / "store")
    made.prepare()
    return made


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_stage_arrives(good: dict[str, bytes], store: Store, tmp_path: Path) -> None:
    done = import_file(store, packed(tmp_path / "file", {**good}))
    assert (done.stages, done.known, done.refused) == (1, 0, {})
    assert store.verify("score", KEY)
    assert store.result("score", KEY) == {"value": 0.5}
    again = import_file(store, tmp_path / "file")
    assert (again.stages, again.known) == (0, 1)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        f"score/{KEY}/../../../escaped",
        "/tmp/escaped-xbench",
        f"score/{KEY}/..\\..\\escaped",
        f"nonsense/{KEY}/result.json",
        "score/short/result.json",
        f"score/{KEY}",
        "runs/../../escaped/plan.json",
        "runs/abcdefabcdef/report/report.md",
        "xbenchfile.py",
    ],
)
def test_names_that_lead_elsewhere_are_refused(
    name: str, good: dict[str, bytes], store: Store, tmp_path: Path
) -> None:
    done = import_file(store, packed(tmp_path / "file", {name: b"evil", **good}))
    assert list(done.refused) == [name]
    assert done.stages == 1
    assert files_below(tmp_path / "to") == {
        "store/xbench-store.json",
        *(f"store/{member}" for member in good),
    }


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(
    kind: bytes, good: dict[str, bytes], store: Store, tmp_path: Path
) -> None:
    name = f"score/{KEY}/part"
    evil = {name: link(name, str(tmp_path / "outside"), kind)}
    done = import_file(store, packed(tmp_path / "file", {**evil, **good}))
    assert list(done.refused) == [name]
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("change", ["content", "missing", "extra", "status", "names", "failed"])
def test_a_stage_that_is_not_intact_is_refused(
    change: str, good: dict[str, bytes], store: Store, tmp_path: Path
) -> None:
    status = f"score/{KEY}/{STATUS}"
    stated = json.loads(good[status])
    if change == "content":
        good[f"score/{KEY}/result.json"] = b'{"value": 0.9}'
    elif change == "missing":
        del good[f"score/{KEY}/part/data.bin"]
    elif change == "extra":
        good = {f"score/{KEY}/extra.bin": b"not in the digests", **good}
    elif change == "status":
        good[status] = b"{"
    elif change == "names":
        stated["files"]["../../outside"] = stated["files"]["result.json"]
        good[status] = json.dumps(stated).encode()
    else:
        good[status] = json.dumps({**stated, "state": "failed"}).encode()
    done = import_file(store, packed(tmp_path / "file", {**good}))
    assert list(done.refused) == [f"score/{KEY}"]
    assert store.state("score", KEY) == "absent"
    assert files_below(store.root) == {"xbench-store.json"}


def test_what_is_there_stays(good: dict[str, bytes], tmp_path: Path) -> None:
    other = stage(tmp_path / "other")
    before = members(other)
    done = import_file(other, packed(tmp_path / "file", {**good}))
    assert (done.stages, done.known) == (0, 1)
    assert members(other) == before


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_gives_an_error_or_a_refusal(data: st.DataObject, tmp_path: Path) -> None:
    place = tmp_path / str(len(list(tmp_path.iterdir())))
    good = members(stage(place / "from"))
    content = bytearray(packed(place / "file", {**good}).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (place / "file").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    store = Store(place / "to")
    store.prepare()
    with suppress(XbenchError):
        import_file(store, place / "file")
    whole = store.state("score", KEY)
    assert whole in ("absent", "done")
    if whole == "done":
        assert store.verify("score", KEY)
        assert store.result("score", KEY) == {"value": 0.5}


def test_names_in_a_shared_store_lead_nowhere(tmp_path: Path) -> None:
    """Somebody who may write into a store must not have others delete files elsewhere."""
    store = stage(tmp_path / "store")
    victim = tmp_path / "victim.model.safetensors"
    victim.write_text("precious")
    path = store.folder("score", KEY) / STATUS
    status = json.loads(path.read_text())
    name = "../../../victim.model.safetensors"
    status["files"][name] = {"sha256": "0" * 64, "bytes": 8}
    path.write_text(json.dumps(status))
    assert store.free("score", KEY, name) == 0
    assert victim.read_text() == "precious"
    assert store.state("score", KEY) == "absent"  # set aside
