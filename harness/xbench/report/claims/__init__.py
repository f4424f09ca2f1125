"""Claims against a run: what a claim may look at (``view``), the ``verdicts``, the report's ``section``."""
