"""Readers of files and tokenised text, for sources and tasks of plugins as well.

The readers (``conllu``, ``iob2``, ``tsv``, ...) give records, and raise errors with file and line;
``tokenise`` puts text into tables on disk that are mapped, not loaded.
"""
