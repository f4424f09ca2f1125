"""A real Slurm on this machine alone: its daemons, two logical nodes, nothing outside a folder.

Needs Debian's packages slurmctld, slurmd, slurm-client and munge, and root.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool_%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=3
JobRequeue=1
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1 RealMemory=4000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def reason_against() -> str:
    """Why there can be no Slurm here; empty where there can be."""
    # Daemons lie in /usr/sbin, which not everybody's PATH has.
    lacking = [name for name in PROGRAMS if _program(name) is None]
    if lacking:
        return f"no Slurm here: {', '.join(lacking)} not installed"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started by root"


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Within it the variables that it gives lead Slurm's commands to a cluster of its own."""
    folder.mkdir(parents=True)
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    ports = [_free_port() for _ in range(3)]
    config = folder / "slurm.conf"
    names = ("port", "first", "second")
    values = dict(zip(names, ports, strict=True))
    host = socket.gethostname().split(".")[0]
    config.write_text(CONFIG.format(host=host, folder=folder, **values))
    # Without cgroups: a container has them read-only.
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    environment = {"SLURM_CONF": str(config)}
    munge = [
        f"--socket={folder}/munge.socket",
        f"--key-file={key}",
        f"--pid-file={folder}/munge.pid",
    ]
    munge += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed", "--force"]
    daemons = [
        _start(["munged", "--foreground", *munge], folder, environment),
        _start(["slurmctld", "-D", "-f", str(config)], folder, environment),
        *(
            _start(["slurmd", "-D", "-N", n, "-f", str(config)], folder, environment)
            for n in ("n1", "n2")
        ),
    ]
    try:
        _wait_until_idle(environment, folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--me"], env=os.environ | environment, capture_output=True)
        time.sleep(0.5)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _start(
    command: list[str], folder: Path, environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    program = _program(command[0])
    assert program is not None
    with (folder / f"{command[0]}.out").open("ab") as output:
        started = subprocess.Popen(
            [program, *command[1:]], stdout=output, stderr=output, env=os.environ | environment
        )
    time.sleep(0.3)
    return started


def _wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    for _ in range(100):
        done = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%T"],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        if done.stdout.split() == ["idle", "idle"]:
            return
        time.sleep(0.2)
    logs = "\n".join(f"{p.name}: {p.read_text()[-500:]}" for p in folder.glob("*.out"))
    raise AssertionError(f"Slurm did not come up: {done.stdout} {done.stderr}\n{logs}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
