"""What the doctor finds on sound and unsound machines."""

import json
import os
from collections import namedtuple
from collections.abc import Iterable
from pathlib import Path

import pytest

from xbench.cli import doctor
from xbench.cli.doctor import Finding
from xbench.store import Store

from ..command import xbench


def texts(findings: Iterable[Finding], level: str | None = None) -> str:
    return "\n".join(f"{f.text} {f.advice}" for f in findings if level in (None, f.level))


def test_a_sound_machine_is_well(tmp_path: Path) -> None:
    outcome = xbench("doctor", "--store", tmp_path / "store", "--format", "json")
    findings = json.loads(outcome.out)
    assert outcome.code == 0, outcome.out
    topics = {finding["topic"] for finding in findings}
    assert topics >= {"versions", "device", "cores", "disk", "store", "hub", "registry", "plugins"}
    assert any("torch" in finding["text"] for finding in findings)
    assert all(finding["level"] in ("good", "note") for finding in findings)


def test_the_hub_out_of_reach_is_a_note_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    (finding,) = doctor.hub()
    assert finding.level == "note"
    assert "--data DIR" in finding.advice
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "nothing is fetched" in texts(doctor.hub())


def test_little_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage(10**9, 10**9, 10**6))
    assert "--store DIR" in texts(doctor.disks(Store(tmp_path / "not" / "there")), "note")


def test_stores_that_cannot_be_used(tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "xbench-store.json").write_text('{"format": 99}')
    assert "Update xbench" in texts(doctor.health(Store(newer)), "bad")
    file = tmp_path / "file"
    file.write_text("")
    assert "is no folder" in texts(doctor.health(Store(file)), "bad")
    sound = Store(tmp_path / "sound")
    sound.prepare()
    (sound.root / "aside" / "align-x").mkdir(parents=True)
    assert "1 damaged artefacts" in texts(doctor.health(sound), "note")


def test_a_data_folder_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XBENCH_DATA", str(tmp_path / "nowhere"))
    assert "no folder" in texts(doctor.data(), "bad")


def test_a_broken_overlay_is_told_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text("models:\n  x: {hubid: a/b}\n")
    monkeypatch.setenv("XBENCH_REGISTRY", str(tmp_path / "mine.yaml"))
    assert "mine.yaml:2" in texts(doctor.catalogue(), "bad")


def test_limits_of_a_control_group(tmp_path: Path) -> None:
    path = tmp_path / "cpu.max"
    path.write_text("150000 100000\n")
    assert doctor.cgroup_cores(path) == 1.5
    path.write_text("max 100000\n")
    assert doctor.cgroup_cores(path) is None
    assert doctor.cgroup_cores(tmp_path / "nowhere") is None


def test_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(1000 + (os.cpu_count() or 1)))
    assert "more than the cores" in texts(doctor.processors(), "note")
