"""Plugins by their metadata alone: lazily, attributably, and each on its own."""

import sys
from pathlib import Path

import pytest

from xbench.catalogue.discovery import KINDS, Plugin, PluginError, PluginTable, discovery
from xbench.errors import UnknownName

from ..conftest import Install

LOSS = "class Loss:\n    'A loss.'\n    def terms(self, batch): ...\n"


def test_a_distribution_in_a_folder_on_the_path_is_found(install: Install) -> None:
    install("acme-losses", {"objectives": {"acme": "acme_found:Loss"}}, {"acme_found.py": LOSS})
    plugin = discovery.table.get("objectives", "acme")
    assert plugin == Plugin("objectives", "acme", "acme_found:Loss", "acme-losses", "1.2")
    assert not plugin.editable
    assert "acme_found" not in sys.modules
    assert plugin.load().__name__ == "Loss"
    assert plugin.summary() == "A loss."


def test_an_editable_distribution_is_known_as_one(install: Install) -> None:
    install("acme", {"probes": {"p": "acme_edit:P"}}, {}, editable=True)
    assert discovery.table.get("probes", "p").editable


def test_listing_imports_nothing(install: Install) -> None:
    source = {"acme_boom.py": "raise SystemExit('imported')"}
    install("acme", {kind: {"boom": "acme_boom:X"} for kind in KINDS}, source)
    for kind in KINDS:
        assert "boom" in discovery.table.names(kind)
    assert len([plugin for plugin in discovery.table if plugin.name == "boom"]) == len(KINDS)
    assert "acme_boom" not in sys.modules


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_library\n", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('no licence')\n", "SystemExit: no licence"),
        ("def broken(:\n", "SyntaxError"),
        ("", "AttributeError"),
    ],
)
def test_an_import_that_fails_names_distribution_version_and_cause(
    source: str, cause: str, install: Install
) -> None:
    modules = {"acme_fails.py": source, "acme_works.py": LOSS}
    targets = {"bad": "acme_fails:Loss", "good": "acme_works:Loss"}
    install("acme-losses", {"objectives": targets}, modules)
    with pytest.raises(PluginError) as error:
        discovery.table.get("objectives", "bad").load()
    assert "Objective 'bad' (acme_fails:Loss) of acme-losses 1.2 cannot be imported" in str(
        error.value
    )
    assert cause in str(error.value)
    assert discovery.table.get("objectives", "good").load()
    assert discovery.table.get("objectives", "hictl").load()
    sys.modules.pop("acme_works", None)
    sys.modules.pop("acme_fails", None)


@pytest.mark.parametrize("kind", ["objectives", "tasks", "metrics", "probes", "sources"])
def test_what_is_no_plugin_of_its_kind_is_refused(kind: str, install: Install) -> None:
    install("acme", {kind: {"odd": "json:dumps", "class": "json:JSONDecoder"}}, {})
    for name in ("odd", "class"):
        with pytest.raises(PluginError, match=rf"{name}.* of acme 1.2 is not a subclass of xbench"):
            discovery.table.get(kind, name).load()


def test_a_name_that_two_distributions_claim_is_an_error_naming_both(install: Install) -> None:
    install("acme", {"objectives": {"twin": "acme_a:A", "single": "acme_a:B"}}, {})
    install("other", {"objectives": {"twin": "other_b:A"}}, {})
    assert "twin" in discovery.table.names("objectives")
    with pytest.raises(PluginError) as error:
        discovery.table.get("objectives", "twin")
    for part in ("'twin'", "acme 1.2 (acme_a:A)", "other 1.2 (other_b:A)", "XBENCH_DISABLE"):
        assert part in str(error.value)
    assert discovery.table.get("objectives", "single").distribution == "acme"


def test_of_one_distribution_found_twice_the_first_on_the_path_counts(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme", {"objectives": {"loss": "acme_old:Loss"}}, {})
    again = install("Acme", {"objectives": {"loss": "acme_new:Loss"}}, {})
    assert sys.path[0] == str(again)
    assert discovery.table.get("objectives", "loss").target == "acme_new:Loss"


@pytest.mark.parametrize("switch", ["twin", "objective:twin", "other_losses", "nothing, twin"])
def test_plugins_can_be_switched_off(
    switch: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("other-losses", {"objectives": {"twin": "other_b:A"}}, {})
    monkeypatch.setenv("XBENCH_DISABLE_PLUGINS", switch)
    assert "twin" not in discovery.table.names("objectives")
    assert discovery.table.get("objectives", "hictl")
    with pytest.raises(UnknownName, match="installed and switched off"):
        discovery.table.get("objectives", "twin")


def test_switching_off_one_of_two_claims_leaves_the_other(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme", {"objectives": {"twin": "acme_a:A"}}, {})
    install("other", {"objectives": {"twin": "other_b:A"}}, {})
    monkeypatch.setenv("XBENCH_DISABLE_PLUGINS", "other")
    assert discovery.table.get("objectives", "twin").distribution == "acme"


def test_a_switch_for_one_kind_spares_the_others() -> None:
    plugins = [Plugin(kind, "x", "m:X", "d", "1") for kind in ("tasks", "probes")]
    table = PluginTable(plugins, disabled=["task:x"])
    assert table.names("tasks") == []
    assert table.names("probes") == ["x"]


def test_an_unknown_name_comes_with_suggestions() -> None:
    with pytest.raises(UnknownName, match=r"Unknown objective 'hictk'\. Did you mean 'hictl'\?"):
        discovery.table.get("objectives", "hictk")
