"""A store in object storage: what one machine computes, another one has; in memory, and on an S3 server."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from xbench.errors import XbenchError
from xbench.store import STATUS, DamagedArtefact, Store, open_store
from xbench.store.lease import Busy
from xbench.store.remote import RemoteStore
from xbench.store.remote_lease import TAKEN

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome
from ..command import with_workers as xbench

KEY = "cd" * 32
HAVE_S3 = all(importlib.util.find_spec(name) for name in ("s3fs", "moto", "flask"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 server of this machine (moto's), and the variables that lead there."""
    if not HAVE_S3:
        pytest.skip("s3fs and moto[server] are not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture(params=["memory", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a new store may be."""
    monkeypatch.setenv("XBENCH_MIRROR", str(tmp_path / "first"))
    name = tmp_path.name.replace("_", "-").lower()
    if request.param == "memory":
        return f"memory://{name}"
    endpoint = request.getfixturevalue("server")
    for variable, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }.items():
        monkeypatch.setenv(variable, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with suppress(FileExistsError):
        s3fs.S3FileSystem().mkdir("bucket")
    return f"s3://bucket/{name}"


@pytest.fixture
def elsewhere(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], RemoteStore]:
    """The same store as another machine sees it: without the first one's mirror."""

    def see() -> RemoteStore:
        monkeypatch.setenv(
            "XBENCH_MIRROR", str(tmp_path / f"mirror-{len(list(tmp_path.iterdir()))}")
        )
        store = open_store(address)
        assert isinstance(store, RemoteStore)
        store.prepare()
        return store

    return see


@pytest.fixture
def store(address: str) -> Store:
    made = open_store(address)
    made.prepare()
    return made


def write(store: Store, value: float = 0.5, key: str = KEY) -> None:
    with store.lease(key), store.write("align", key, {"what": 1}) as entry:
        for name in ("step-4/model.safetensors", "step-4/config.json"):
            (entry.folder / name).parent.mkdir(exist_ok=True)
            (entry.folder / name).write_bytes(b"weights of " + name.encode())
        entry.result = {"value": value}


def test_what_one_writes_another_reads(store: Store, elsewhere: Callable[[], RemoteStore]) -> None:
    other = elsewhere()
    assert other.state("align", KEY) == "absent"
    write(store)
    other = elsewhere()
    assert other.state("align", KEY) == "done"
    assert other.result("align", KEY) == {"value": 0.5}
    folder = other.file("align", KEY, "step-4/model.safetensors").parent
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert other.entries("align") == [KEY]
    assert other.verify("align", KEY)


def test_weights_are_freed_for_all(store: Store, elsewhere: Callable[[], RemoteStore]) -> None:
    write(store)
    name = "step-4/model.safetensors"
    assert store.free("align", KEY, name) > 0
    other = elsewhere()
    assert not other.has_file("align", KEY, name)
    with pytest.raises(XbenchError, match="not in the store"):
        other.file("align", KEY, name)
    write(store, key="ef" * 32)
    store.keep("align", "ef" * 32)
    assert elsewhere().free("align", "ef" * 32, name) == 0


def test_a_failure_is_seen_and_mended(store: Store, elsewhere: Callable[[], RemoteStore]) -> None:
    store.write_failure(
        "align", KEY, {}, {"error": "no luck", "traceback": "long", "cause": "disk"}
    )
    other = elsewhere()
    assert other.error("align", KEY) == "no luck"
    assert (other.folder("align", KEY) / "log.txt").read_text() == "long"
    write(other)
    assert elsewhere().state("align", KEY) == "done"


def test_damage_in_the_storage_is_found(
    store: Store, address: str, elsewhere: Callable[[], RemoteStore]
) -> None:
    write(store)
    files, base = storage(address)
    files.pipe_file(f"{base}/align/{KEY}/step-4/model.safetensors", b"something else")
    other = elsewhere()
    with pytest.raises(DamagedArtefact):
        other.file("align", KEY, "step-4/model.safetensors")
    assert elsewhere().state("align", KEY) == "absent"


def test_an_interrupted_upload_is_finished(
    store: Store,
    address: str,
    elsewhere: Callable[[], RemoteStore],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ConnectionError("the line is dead")

    with monkeypatch.context() as patch:
        patch.setattr(storage(address)[0], "put_file", fail)
        write(store)  # the result is whole here: no reason to fail
        assert "cannot be reached: ConnectionError" in capsys.readouterr().err
    assert elsewhere().state("align", KEY) == "absent"
    store.flush()
    assert elsewhere().state("align", KEY) == "done"


def test_one_holds_a_lease(store: Store) -> None:
    with store.lease(KEY), pytest.raises(Busy), store.lease(KEY):
        pytest.fail("two hold one lease")
    with store.lease(KEY):
        pass


def storage(address: str) -> tuple[Any, str]:
    """The file system of an address, the same that a store uses, and the path there."""
    import fsspec

    files, base = fsspec.core.url_to_fs(address, use_listings_cache=False)
    return files, base


def leave(address: str, **holder: object) -> None:
    """A lease as another process has left it."""
    files, base = storage(address)
    content = {"host": socket.gethostname(), "pid": os.getpid(), "token": "old", **holder}
    files.pipe_file(f"{base}/leases/{KEY}.json", json.dumps(content).encode())


def test_a_dead_process_of_this_machine_is_taken_over(store: Store, address: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    leave(address, pid=process.pid)
    with store.lease(KEY):
        pass


def test_silence_of_another_host_counts_as_death(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(address, host="another-host")
    with pytest.raises(Busy), store.lease(KEY):
        pass
    monkeypatch.setattr("xbench.store.remote_lease.DEAD_AFTER", -1.0)
    with store.lease(KEY):
        pass


def test_of_two_who_find_a_dead_lease_one_gets_it(store: Store, address: str) -> None:
    """The second comes when the first has said that it takes over, and has not done so yet."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    leave(address, pid=process.pid)
    files, base = storage(address)
    files.pipe_file(f"{base}/leases/{KEY}.json{TAKEN}old", b"{}")
    with pytest.raises(Busy), store.lease(KEY):
        pass


def test_a_run_and_another_machine(
    address: str,
    finished: tuple[Path, Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if address.startswith("memory"):
        pytest.skip("workers are processes: they share no memory")
    arguments = ["run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--no-report", "--store", address]
    done = xbench(*arguments)
    assert done.code == 0, done.err
    monkeypatch.setenv("XBENCH_MIRROR", str(tmp_path / "second"))
    again = xbench(*arguments)
    assert again.code == 0, again.err
    assert "nothing to compute" in again.err
    rows = json.loads(xbench("results", "--store", address, "--format", "json").out)
    assert rows == json.loads(xbench("results", "--store", finished[0], "--format", "json").out)
    assert "0 damaged" in xbench("store", "--verify", "--store", address).out
    monkeypatch.setenv("XBENCH_MIRROR", str(tmp_path / "third"))
    more = xbench(*arguments, "--seed", "33")  # with the weights of the first machine's alignment
    assert more.code == 0, more.err
    assert "align" not in more.err.splitlines()[0]
    status = xbench("status", "--store", address)
    assert address in status.out


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nonsense://bucket", "Protocol not known"),
        ("memory://x/y", "needs a store in a folder"),
    ],
)
def test_mistakes(place: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XBENCH_MIRROR", str(tmp_path))
    launcher = ["--launcher", "slurm"] if place.startswith("memory") else []
    done = xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, *launcher, "--store", place)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not HAVE_S3:
        pytest.skip("s3fs is not installed")
    monkeypatch.setenv("XBENCH_MIRROR", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    done = xbench("status", "--store", "s3://nowhere/x")
    assert done.code == 2
    assert "cannot be reached" in done.err
    assert STATUS not in done.err


def test_names_in_the_storage_lead_nowhere(
    store: Store, address: str, elsewhere: Callable[[], RemoteStore]
) -> None:
    """Somebody who may write there must not have others write files elsewhere."""
    files, base = storage(address)
    evil = ["runs/../../escaped/spec.yaml", "runs/x/spec.yaml", "align/../../escaped/status.json"]
    for name in evil:
        files.pipe_file(f"{base}/{name}", b"{}")
    other = elsewhere()
    other.fetch_runs()
    assert other.entries("align") == []
    below = {path.name for path in other.root.parent.rglob("*") if path.is_file()}
    assert below == {"xbench-store.json"}


def test_damage_to_one_mirror_is_mended_from_the_storage(
    store: Store, elsewhere: Callable[[], RemoteStore]
) -> None:
    write(store)
    other = elsewhere()
    assert other.result("align", KEY) == {"value": 0.5}
    (other.folder("align", KEY) / "result.json").write_text("")
    assert other.result("align", KEY) == {"value": 0.5}
    (other.folder("align", KEY) / STATUS).write_text("{")
    other.state("align", KEY)
    assert elsewhere().state("align", KEY) == "done"


def test_a_mark_of_another_machine_counts(
    store: Store, elsewhere: Callable[[], RemoteStore]
) -> None:
    """One has seen a stage before another one asked for its weights to be kept, or freed them."""
    name = "step-4/model.safetensors"
    write(store)
    other = elsewhere()
    assert other.has_file("align", KEY, name)
    store.keep("align", KEY)
    assert other.free("align", KEY, name) == 0
    assert elsewhere().has_file("align", KEY, name)

    second = "ef" * 32
    write(store, key=second)
    assert other.state("align", KEY) == "done"
    again = elsewhere()
    assert again.has_file("align", second, name)
    store.free("align", second, name)
    with pytest.raises(XbenchError, match="not in the store"):
        again.file("align", second, name)
    assert not again.has_file("align", second, name)


def test_a_mirror_of_another_store_is_thrown_away(store: Store, address: str) -> None:
    write(store)
    files, base = storage(address)
    files.rm(base, recursive=True)
    emptied = open_store(address)
    emptied.prepare()
    assert emptied.state("align", KEY) == "absent"


def test_an_old_listing_overwrites_nothing(
    store: Store, elsewhere: Callable[[], RemoteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage becomes done here while its failure is being fetched."""
    other = elsewhere()
    other.write_failure("align", KEY, {}, {"error": "no luck", "cause": "disk"})
    files, _ = storage(store.address)
    read = files.cat

    def slow(*arguments: Any, **options: Any) -> Any:
        found = read(*arguments, **options)
        monkeypatch.setattr(files, "cat", read)
        write(store)
        return found

    monkeypatch.setattr(files, "cat", slow)
    store.entries("align")
    assert store.state("align", KEY) == "done"
    assert elsewhere().state("align", KEY) == "done"
