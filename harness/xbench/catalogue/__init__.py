"""What a name means: entries of the registry, plugins, languages, models, files on the hub.

:class:`~xbench.catalogue.catalogue.Catalogue` is the place where names are looked up; ``settings`` has
the settings of every phase, with their bounds.
"""
