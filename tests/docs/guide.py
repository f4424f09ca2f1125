"""Follows a guide: writes the files that a page shows and runs its commands, in the page's order.

``file`` after a block's language: the block is the file that its first line names; Python goes below
what the page has put there before. ``text files``: paths below the data folder, which get some content.
``sh guide``: commands, run in the folder of these files. Runs are computed in small.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..command import QUICK_OPTIONS, Outcome
from ..toys import model_folder
from .data_folder import write_data, write_file
from .pages import Block, blocks_of

NAME = re.compile(r"# (\S+)\n")
IN_SMALL = [*QUICK_OPTIONS, "--seed", "15", "--jobs", "1", "--device", "cpu"]
FEW = ["--language", "qaa,qac"]


@dataclass
class Workshop:
    """A folder to follow a page in; what is installed there lies in ``installed``."""

    folder: Path

    @property
    def installed(self) -> Path:
        return self.folder / "installed"

    def write(self, block: Block) -> Path:
        """Put a block into the file that its first line names."""
        found = NAME.match(block.text)
        assert found, f"{block.document}: the first line of a file names it: {block.text[:40]!r}"
        path = self.folder / found[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        grows = block.language == "python" and path.exists()
        before = path.read_text(encoding="utf-8") + "\n\n" if grows else ""
        path.write_text(before + block.text, encoding="utf-8")
        return path

    def run(self, line: str) -> Outcome:
        """Run a command of the page; it must end well."""
        program, *arguments = shlex.split(line)
        outcome = self.execute(*command_of(program, arguments, self.installed))
        assert outcome.code == 0, f"{line}\n{outcome.out}\n{outcome.err}"
        return outcome

    def execute(self, *command: str | Path) -> Outcome:
        """Run a program in the folder, as a new shell there would."""
        gone = ("XBENCH_STORE", "XBENCH_DATA", "XBENCH_REGISTRY", "PYTEST_ADDOPTS")
        kept = {name: value for name, value in os.environ.items() if name not in gone}
        path = os.pathsep.join(filter(None, [str(self.installed), kept.get("PYTHONPATH")]))
        more = {
            "PYTHONPATH": path,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env={**kept, **more},
            capture_output=True,
            text=True,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def follow(self, document: str) -> list[Outcome]:
        """All files and commands of a page; what the commands said."""
        said = []
        write_data(self.folder / "DATA")
        model_folder(self.folder / "ENCODER")
        for block in blocks_of(document):
            if block.needs == "file":
                self.write(block)
            elif block.needs == "files":
                for name in block.text.split():
                    write_file(self.folder / "DATA", name)
            elif block.needs == "guide":
                text = block.text.replace("\\\n", " ")
                said += [self.run(line) for line in text.splitlines() if line]
        return said


def command_of(program: str, arguments: list[str], installed: Path) -> list[str]:
    """What is executed for a command of a page: in this environment, offline, and in small."""
    if program == "xbench":
        if arguments[0] == "run":
            few = [] if {"--language", "--suite"} & set(arguments) else FEW
            arguments = [*arguments, *few, *IN_SMALL]
        return [sys.executable, "-m", "xbench", *arguments]
    if program == "pip":
        assert arguments[:2] == ["install", "-e"]
        return install_command(installed, arguments[2])
    assert program == "pytest"
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def install_command(installed: Path, project: str) -> list[str]:
    """Puts a distribution into a folder for ``sys.path``, without a network."""
    how = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    return [sys.executable, "-m", "pip", "install", *how, str(installed), project]
