"""What a launcher must keep to. Nothing is submitted: no scheduler has to be here."""

import inspect
import tempfile
from pathlib import Path
from typing import ClassVar

from xbench.api.launcher import Job, Launcher, Submission
from xbench.testing.contract import expect
from xbench.testing.definition import Configured, Documented

UNRULY = "a b'c\"$(touch hacked)\n%A;&"  # a name that a shell must not take at its word


class LauncherContract(Documented, Configured):
    """``class TestMine(LauncherContract): launcher = "mine"``."""

    kind = "launcher"
    group = "launchers"
    needs_sources: ClassVar[bool] = False  # its settings are a machine's, and no paper states them
    launcher: ClassVar[str | type[Launcher]]

    def test_device(self) -> None:
        """It says whether its jobs have a GPU."""
        for variant, config in self.configurations().items():
            device = self.loaded(config).device
            expect(
                device in ("cpu", "cuda"),
                f"the device is {device!r} (configuration {variant!r})",
                'give "cuda" where the settings ask for a GPU, else "cpu"',
            )

    def test_preview(self) -> None:
        """It says what it would submit, and writes nothing."""
        for variant, config in self.configurations().items():
            with tempfile.TemporaryDirectory() as place:
                lines = self.loaded(config).preview(_submission(Path(place)))
                left = [path.name for path in Path(place).iterdir()]
            expect(
                len(lines) and all(isinstance(line, str) for line in lines),
                f"preview() gives {lines!r} (configuration {variant!r})",
                "give a few lines for a person: how many jobs, and what each asks for",
            )
            expect(not left, f"preview() wrote {left}", "only write() and submit() write")

    def test_write(self) -> None:
        """It writes its scripts into the folder of the submission, whatever names it meets there."""
        for config in self.configurations().values():
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place) / UNRULY
                folder.mkdir()
                lines = self.loaded(config).write(_submission(folder))
                left = [path.name for path in Path(place).iterdir()]
            expect(
                all(isinstance(line, str) for line in lines),
                f"write() gives {lines!r}",
                "give the commands that would submit what was written",
            )
            expect(left == [UNRULY], f"write() left {left} there", "write into submission.folder")

    def test_methods(self) -> None:
        """It submits, tells how jobs are, and cancels them."""
        for name in ("submit", "states", "cancel"):
            expect(
                inspect.isfunction(getattr(self.loaded, name, None))
                and getattr(self.loaded, name) is not getattr(Launcher, name),
                f"{self.name} has no {name}()",
                f"define it as xbench.api.Launcher.{name} says",
            )


def _submission(folder: Path) -> Submission:
    """Two jobs, one of which waits for the other, and for one of an earlier submission."""
    commands = [("python", "-m", "job", UNRULY, name) for name in ("2-0", "2-1")]
    jobs = (
        Job("2-0", commands[0], (), 0, "the first"),
        Job("2-1", commands[1], ("2-0", "1-0"), 1, "the second"),
    )
    return Submission(jobs, folder, 1, {"1-0": "77_0"})
