"""A run of a store turned into a report: what it holds, read once, and what the catalogue adds.

:class:`~xbench.report.run.stored.StoredRun` is the run; ``tables``, ``extras``, ``settings``,
``items`` and ``comparison`` make of it what a report shows. This is the only part of ``report`` that
looks names up.
"""
