"""What is submitted to Slurm, read by bash and by programs in the place of Slurm's own."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from xbench.api import Job, LauncherError, Submission
from xbench.api.launcher import INTERRUPTED
from xbench.testing import LauncherContract
from xbench_plugins.launchers.slurm import Slurm

UNRULY = 'it\'s $(touch hacked) `touch hacked` "x"\n; touch hacked %A'
# Prints an id and runs all elements of the array at once.
SBATCH = """\
#!/bin/bash
for script; do :; done
echo "$@" >> sbatch.calls
printf x >> submitted
n=$(wc -c < submitted)
elements=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for i in $(seq 0 "$elements"); do
  SLURM_ARRAY_JOB_ID=$n SLURM_ARRAY_TASK_ID=$i bash "$script" >&2 || true
done
echo "$n;cluster"
"""
SCONTROL = """\
#!/bin/bash
if [ "$1" = show ]; then echo "MaxArraySize            = 3"; else echo "$@" >> scontrol.calls; fi
"""
SCANCEL = '#!/bin/bash\necho "$@" >> scancel.calls\n'


class TestSlurm(LauncherContract):
    launcher = "slurm"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with stand-ins for Slurm's commands."""
    for name, source in (("sbatch", SBATCH), ("scontrol", SCONTROL), ("scancel", SCANCEL)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(source)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def jobs(commands: Sequence[Sequence[str]], wave: int = 0, first: int = 0) -> list[Job]:
    return [
        Job(f"1-{first + n}", command, ("1-0",) if wave else (), wave, "a job")
        for n, command in enumerate(commands)
    ]


def submission(place: Path, made: list[Job], **fields: object) -> Submission:
    folder = place / UNRULY / "runs" / UNRULY / "submissions" / "1"
    folder.mkdir(parents=True)
    return Submission(made, folder, **fields)  # type: ignore[arg-type]


def say(*words: str) -> list[str]:
    """A command that keeps its arguments in a file, each ended by a zero byte."""
    return ["bash", "-c", 'printf "%s\\0" "$@" >> said', "_", *words]


@pytest.mark.parametrize("how", ["submit", "submit.sh"])
def test_names_are_never_interpreted(how: str, here: Path) -> None:
    made = submission(here, [*jobs([say(UNRULY, "a b")]), *jobs([say("two")], wave=1, first=1)])
    slurm = Slurm()
    if how == "submit":
        list(slurm.submit(made))
    else:
        (command,) = slurm.write(made)
        subprocess.run(command, shell=True, check=True, executable="/bin/bash")
    assert (here / "said").read_text().split("\0")[:-1] == [UNRULY, "a b", "two"]
    assert not list(here.rglob("hacked"))


def test_waves_wait_for_one_another(here: Path) -> None:
    first = jobs([say(str(n)) for n in range(3)])
    second = jobs([say("last")], wave=1, first=3)
    third = [Job("1-4", say("of old"), ("1-3", "0-7"), 2, "a job")]
    made = submission(here, [*first, *second, *third], living={"0-7": "99_4"}, at_once=5)
    names = {k: v for group in Slurm().submit(made) for k, v in group.items()}
    # The cluster allows two elements in an array.
    assert names == {"1-0": "1_0", "1-1": "1_1", "1-2": "2_0", "1-3": "3_0", "1-4": "4_0"}
    calls = (here / "sbatch.calls").read_text()
    assert "--dependency=afterany:1:2 " in calls
    assert "--dependency=afterany:3:99_4 " in calls
    scripts = [path.read_text() for path in sorted(made.folder.glob("wave-0-*.sh"))]
    assert ["--array=0-1%5" in script for script in scripts] == [True, False]
    assert "--array=0-0%5" in scripts[1]


def test_settings_become_options(here: Path) -> None:
    config = Slurm.Config(
        partition="gpu", account="me", time="1:00:00", memory="16G", cpus=4, gpus=1,
        gpu_type="a100", options=("--constraint=fast&big",), setup=("export GREETING='hi there'",),
        warning=300,
    )  # fmt: skip
    made = submission(here, jobs([["bash", "-c", 'echo "$GREETING" > greeting']]))
    slurm = Slurm(config)
    assert slurm.device == "cuda"
    assert Slurm().device == "cpu"
    list(slurm.submit(made))
    lines = (made.folder / "wave-0-0.sh").read_text().splitlines()
    for option in (
        "--partition=gpu", "--account=me", "--time=1:00:00", "--mem=16G", "--cpus-per-task=4",
        "--gres=gpu:a100:1", "--constraint=fast&big", "--signal=B:USR1@300", "--requeue",
    ):  # fmt: skip
        assert f"#SBATCH {option}" in lines
    assert (here / "greeting").read_text() == "hi there\n"


@pytest.mark.parametrize(("restarts", "again"), [("0", True), ("2", False)])
def test_an_interrupted_job_goes_back_into_the_queue(
    restarts: str, again: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    (here.parent / "bin" / "sleep").write_text("#!/bin/bash\n")
    (here.parent / "bin" / "sleep").chmod(0o755)
    made = submission(here, jobs([["bash", "-c", f"exit {INTERRUPTED}"]]))
    list(Slurm(Slurm.Config(requeues=2)).submit(made))
    calls = here / "scontrol.calls"
    assert calls.exists() is again
    if again:
        assert calls.read_text() == "requeue 1_0\n"


def test_a_signal_reaches_the_process(here: Path) -> None:
    """The shell that Slurm tells passes it on, and ends with the code of the process."""
    told = 'trap "touch told; exit 3" USR1; touch ready; while :; do sleep 0.05; done'
    made = submission(here, jobs([["bash", "-c", told]]))
    Slurm().write(made)
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "1"}
    script = subprocess.Popen(["bash", made.folder / "wave-0-0.sh"], env=environment)
    while not (here / "ready").exists():
        assert script.poll() is None
    script.send_signal(10)
    assert script.wait() == 3
    assert (here / "told").exists()


def test_what_is_refused_is_said_in_slurms_words(here: Path) -> None:
    (here.parent / "bin" / "sbatch").write_text(
        '#!/bin/bash\nif [ -e refused ]; then echo "no such partition" >&2; exit 1; fi\n'
        "touch refused; echo 7\n"
    )
    made = submission(here, [*jobs([say("one")]), *jobs([say("two")], wave=1, first=1)])
    names = iter(Slurm().submit(made))
    assert next(names) == {"1-0": "7_0"}  # known before the next one is tried
    with pytest.raises(LauncherError, match="sbatch says: no such partition"):
        next(names)


def test_without_slurm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LauncherError, match="login node"):
        Slurm().states(["1_0"])


@pytest.mark.parametrize(
    "fields",
    [
        {"partition": "gpu\n#SBATCH --exclusive"},
        {"time": "$(date)"},
        {"memory": "16 G"},
        {"options": ("-p gpu",)},
        {"options": ("--comment=a b",)},
        {"cpus": 0},
        {"gpus": -1},
    ],
    ids=str,
)
def test_settings_that_would_break_a_script(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields)) + "|begins with --"):
        Slurm.Config(**fields)  # type: ignore[arg-type]


def test_squeue_is_read(here: Path) -> None:
    listed = "7_0 RUNNING\n7_1 PENDING\n7_2 COMPLETING\n7_3 CANCELLED\n7_4 REQUEUED\n9 RUNNING\n\n"
    program = here.parent / "bin" / "squeue"
    program.write_text(f"#!/bin/bash\ncat <<'END'\n{listed}END\n")
    program.chmod(0o755)
    states = Slurm().states([f"7_{n}" for n in range(6)])
    assert states == {"7_0": "running", "7_1": "waiting", "7_2": "running", "7_4": "waiting"}
