"""The contracts that every plugin of its kind keeps; `xbench check redundancy` runs the same."""

from xbench.testing import LanguageContract, ObjectiveContract, TaskContract


class TestRedundancy(ObjectiveContract):
    objective = "redundancy"


class TestNames(TaskContract):
    task = "names"


class TestQAK(LanguageContract):
    language = "qak"
