"""One file for each kind of stage, with its ``run``: inputs in, files of the store out.

``resources`` is what a stage works with; ``inputs/`` is the reading that several kinds share. The
engine calls ``run``; nothing else is taken from here.
"""
