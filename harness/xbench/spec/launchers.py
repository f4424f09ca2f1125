"""Which launcher computes a run, with its settings checked and complete."""

from collections.abc import Mapping
from typing import Any

from xbench.api.launcher import Launcher
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.configs import component_config, configured
from xbench.errors import UnknownName, XbenchError
from xbench.spec.request import LauncherChoice

LOCAL = "local"  # worker processes on this machine, which need no plugin


def resolve_launcher(
    asked: Mapping[str, Any] | str | None, options: Mapping[str, Any], catalogue: Catalogue
) -> LauncherChoice | None:
    """The launcher that was asked for: by name, or as a mapping with ``name``; None: this machine."""
    given = {"name": asked} if isinstance(asked, str) else dict(asked or {})
    settings = {**given, **options}
    name = settings.pop("name", LOCAL)
    known = [LOCAL, *catalogue.discovery.table.names("launchers")]
    if name not in known:
        raise UnknownName("launcher", str(name), known)
    if name == LOCAL:
        if settings:
            raise XbenchError(
                f"launcher.{next(iter(settings))} is a setting of no launcher here: worker processes "
                f"on this machine have --jobs. Name another one: --launcher {known[-1]}."
            )
        return None
    loaded = catalogue.load("launchers", name)
    return LauncherChoice(name=name, settings=configured(f"launcher {name}", loaded, settings))


def make_launcher(choice: LauncherChoice, catalogue: Catalogue) -> Launcher:
    """The plugin of a choice."""
    loaded = catalogue.load("launchers", choice.name)
    launcher: Launcher = loaded(component_config(loaded, choice.settings))
    return launcher
