"""A real Ray cluster on this machine: two nodes, of which one is lost in the middle of a run."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xbench.api import Job, LauncherError, Submission
from xbench.testing import LauncherContract
from xbench_plugins.launchers.ray import Ray

from ..command import xbench
from ..waiting import wait
from .real_run import OPTIONS, Run, events, follow_page, is_training
from .test_cluster import rows

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra ray is not installed"
)


class TestRay(LauncherContract):
    launcher = "ray"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one processor each, on this machine."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()


def nodes_of(store: Path, jobs: tuple[str, ...]) -> dict[str, int]:
    """The process numbers of jobs that have begun."""
    return {job: events(store, job)[0]["pid"] for job in jobs if events(store, job)}


@needs_ray
def test_a_lost_node_costs_what_ran_on_it(
    cluster: Any, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    store = tmp_path / "store"
    run = Run(store, {}, "--launcher", "ray", "-O", f"launcher.address={cluster.address}")
    for job in ("0000", "0001"):
        wait(lambda job=job: is_training(store, job)() or run.is_over)
    cluster.remove_node(other, allow_graceful=False)
    code, err = run.end()
    with subtests.test("the run is complete"):
        assert code == 0, err
    with subtests.test("one job began again, in a process of its own"):
        begun = [
            len([e for e in events(store, job) if e["event"] == "begun"])
            for job in ("0000", "0001")
        ]
        assert sorted(begun) == [1, 2]
    with subtests.test("rows are those of this machine"):
        alone = tmp_path / "alone"
        assert xbench("run", *OPTIONS, "--store", alone).code == 0
        assert rows(store) == rows(alone)


@needs_ray
def test_jobs_end_with_the_driver(cluster: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run = Run(store, {}, "--launcher", "ray", "-O", f"launcher.address={cluster.address}")
    wait(is_training(store, "0000"))
    pid = events(store, "0000")[0]["pid"]
    run.kill()
    run.end()
    wait(lambda: not Path(f"/proc/{pid}").exists())


@needs_ray
def test_no_cluster(tmp_path: Path) -> None:
    nowhere = ("-O", "launcher.address=127.0.0.1:9")
    code, err = Run(tmp_path / "store", {}, "--launcher", "ray", *nowhere).end()
    assert code == 2
    assert "ray start --head" in err
    assert "Traceback" not in err


def test_without_ray_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    job = Job("1-0", ("true",), (), 0, "a job")
    with pytest.raises(LauncherError, match=r"pip install 'xbench\[ray\]'"):
        list(Ray().submit(Submission([job], tmp_path)))


def test_parts_of_a_gpu() -> None:
    assert Ray(Ray.Config(gpus=0.25)).device == "cuda"
    assert Ray().device == "cpu"
    lines = Ray(Ray.Config(gpus=0.25, resources={"big": 1.0})).preview(Submission([], Path()))
    assert "num_gpus 0.25" in lines[0]
    with pytest.raises(ValueError, match="gpus"):
        Ray.Config(gpus=-1)


@needs_ray
def test_the_page_can_be_followed(tmp_path: Path) -> None:
    said = follow_page("ray", tmp_path, {})
    assert "ray: 3 tasks" in said["xbench plan ray.yaml"]
    assert "Table 1" in said["xbench run ray.yaml"]
