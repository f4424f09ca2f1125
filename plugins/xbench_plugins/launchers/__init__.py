"""Schedulers that compute the jobs of a run: a class each."""
