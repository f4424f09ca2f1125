import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from xbench.store import lease
from xbench.store.lease import DEAD_AFTER, HEARTBEAT, Busy, Lease, is_dead


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases" / "key.json"


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(path: Path, silent: float = 0.0, **holder: object) -> None:
    """A lease as another process would have left it, ``silent`` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), **holder}))
    os.utime(path, (time.time() - silent, time.time() - silent))


def test_a_lease_is_there_while_it_is_held(path: Path) -> None:
    with Lease(path):
        holder = json.loads(path.read_text())
        assert (holder["host"], holder["pid"]) == (socket.gethostname(), os.getpid())
    assert not path.exists()


def test_a_living_holder_keeps_others_out(path: Path) -> None:
    with Lease(path):
        with pytest.raises(Busy), Lease(path):
            pytest.fail("two hold one lease")
        assert path.exists()
    with Lease(path):
        pass


def test_the_lease_ends_with_an_exception(path: Path) -> None:
    with pytest.raises(KeyError), Lease(path):
        raise KeyError
    assert not path.exists()


def test_a_dead_process_on_this_host_is_taken_over_at_once(path: Path, dead_pid: int) -> None:
    leave(path, pid=dead_pid)
    with Lease(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert not path.exists()


@pytest.mark.parametrize("here", [True, False])
def test_long_silence_counts_as_death(path: Path, here: bool) -> None:
    host = {} if here else {"host": "another-host"}
    leave(path, silent=DEAD_AFTER - 30, **host)
    assert not is_dead(path)
    leave(path, silent=DEAD_AFTER + 1, **host)
    assert is_dead(path)
    with Lease(path):
        pass


def test_the_number_of_a_process_means_nothing_on_another_host(path: Path, dead_pid: int) -> None:
    leave(path, host="another-host", pid=dead_pid)
    assert not is_dead(path)


def test_the_number_of_a_process_means_nothing_in_another_container(
    path: Path, dead_pid: int
) -> None:
    leave(path, space="pid:[1]", pid=dead_pid)
    assert not is_dead(path)


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_a_wrong_clock_declares_nobody_dead_or_alive(
    ahead: float, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the clock of the file system, which hosts that share it have in common."""
    for silent, dead in ((DEAD_AFTER - 30, False), (DEAD_AFTER + 30, True)):
        place = path.with_name(f"{silent}.json")
        leave(place, silent=silent, host="another-host")
        with monkeypatch.context() as patch:
            now = time.time() + ahead
            patch.setattr(lease.time, "time", lambda now=now: now)
            patch.setattr(lease, "CLOCK_EVERY", 0.0)
            assert is_dead(place) is dead


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1', "[]", '{"pid": "x", "host": "y"}'])
def test_a_half_written_lease_is_dead_after_a_heartbeat(path: Path, content: str) -> None:
    leave(path)
    path.write_text(content)
    assert not is_dead(path)
    os.utime(path, (time.time() - HEARTBEAT - 1,) * 2)
    assert is_dead(path)
    with Lease(path):
        pass


def test_no_lease_is_dead(path: Path) -> None:
    assert is_dead(path)


def test_the_heartbeat_shows_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT", 0.01)
    with Lease(path):
        os.utime(path, (0, 0))
        for _ in range(500):
            if path.stat().st_mtime > time.time() - 60:
                break
            time.sleep(0.01)
        else:
            pytest.fail("no heartbeat")


def test_a_lease_that_was_taken_over_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT", 0.01)
    with Lease(path):
        leave(path, silent=50, token="somebody else's")
        then = path.stat().st_mtime
        time.sleep(0.1)
        assert path.stat().st_mtime == then
    assert json.loads(path.read_text())["token"] == "somebody else's"


def test_of_many_who_find_a_dead_lease_one_gets_it(path: Path, dead_pid: int) -> None:
    for _ in range(50):
        leave(path, pid=dead_pid)
        assert len(winners(path, 8)) == 1


def winners(path: Path, count: int) -> list[int]:
    """Who gets a lease that so many ask for at the same moment."""
    won: list[int] = []
    barrier = threading.Barrier(count)

    def compete(number: int) -> None:
        barrier.wait()
        try:
            with Lease(path):
                won.append(number)
                barrier.wait()  # hold it until all have tried
        except Busy:
            barrier.wait()

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won
