"""Follows a guide: writes the files that a page shows and runs its commands, in the page's order.

``file`` after a block's language: the block is the file that its first line names; Python goes below
what the page has put there before. ``text files``: paths below the data folder, which get some content.
``sh guide``: commands, run in the folder of these files; runs are computed in small.
``text said``: what the last command before it prints. ``python test``: tests, run at the end.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..command import QUICK_OPTIONS, Outcome
from ..program import run_module, shell
from ..toys import model_folder
from .data_folder import write_data, write_file
from .pages import Block, blocks_of

NAME = re.compile(r"# (\S+)\n")
ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")
TESTS = "test_page.py"
IN_SMALL = [*QUICK_OPTIONS, "--seed", "15", "--jobs", "1", "--device", "cpu"]
FEW = ["--language", "qaa,qac"]


@dataclass
class Workshop:
    """A folder to follow a page in; what is installed lies in a folder of it, ``installed``."""

    folder: Path
    document: str
    said: dict[str, Outcome] = field(default_factory=dict)

    @property
    def installed(self) -> Path:
        return self.folder / "installed"

    def follow(self) -> "Workshop":
        """All files and commands of the page; what the commands say is kept."""
        write_data(self.folder / "DATA")
        model_folder(self.folder / "ENCODER")
        for block in blocks_of(self.document):
            if block.needs == "file":
                self._write(block)
            elif block.needs == "files":
                for name in block.text.split():
                    write_file(self.folder / "DATA", name)
            elif block.needs == "test":
                with (self.folder / TESTS).open("a", encoding="utf-8") as file:
                    file.write(block.text)
            elif block.needs == "guide":
                for line in block.text.replace("\\\n", " ").splitlines():
                    self.said[line] = self.run(line)
            elif block.needs == "said":
                assert block.text.strip() == list(self.said.values())[-1].out.strip()
        if (self.folder / TESTS).exists():
            self.said[TESTS] = self.run(f"pytest {TESTS}")
        return self

    def _write(self, block: Block) -> None:
        found = NAME.match(block.text)
        assert found, f"{block.document}: the first line of a file names it: {block.text[:40]!r}"
        path = self.folder / found[1]
        grows = block.language == "python" and path.exists()
        before = path.read_text(encoding="utf-8") + "\n\n" if grows else ""
        path.write_text(before + block.text, encoding="utf-8")

    def run(self, line: str, *more: str, code: int | None = 0) -> Outcome:
        """Run a command, which must end with ``code`` (None: any); ``more`` is added to it."""
        words = shlex.split(line)
        given = {}
        while found := ASSIGNMENT.fullmatch(words[0]):
            given[found[1]] = found[2]
            words.pop(0)
        outcome = self._execute([*command_of(words[0], words[1:], self.installed), *more], given)
        assert code in (None, outcome.code), f"{line}\n{outcome.out}\n{outcome.err}"
        return outcome

    def _execute(self, command: list[str], given: Mapping[str, str]) -> Outcome:
        environment = shell(self.installed, **{"COLUMNS": "200", **given})
        if command[:2] == [sys.executable, "-m"] and command[2] != "pip":
            return run_module(command[2], command[3:], self.folder, environment)
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        return Outcome(done.returncode, done.stdout, done.stderr)


def command_of(program: str, arguments: list[str], installed: Path) -> list[str]:
    """What is executed for a command of a page: in this environment, offline, and in small."""
    if program == "xbench":
        if arguments[0] == "run":
            few = [] if "--language" in arguments else FEW
            arguments = [*arguments, *few, *IN_SMALL]
        return [sys.executable, "-m", "xbench", *arguments]
    if program == "pip":
        assert arguments[:2] == ["install", "-e"]
        return install_command(installed, arguments[2])
    assert program == "pytest"
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def install_command(installed: Path, project: str | Path) -> list[str]:
    """Puts a distribution into a folder for ``sys.path``, without a network."""
    how = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    return [sys.executable, "-m", "pip", "install", *how, str(installed), str(project)]
