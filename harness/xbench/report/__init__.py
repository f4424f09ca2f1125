"""From what a run left in the store to the tables, figures and claims of a paper. Computes nothing.

``results/`` reads and averages rows, ``statistics/`` tests them, ``tables/``, ``figures/`` and
``claims/`` make of them what is shown, ``render/`` writes it in five formats, ``run/`` does all that for a
run of a store. ``table`` is a table as data, ``write`` writes the files of a report.
"""
