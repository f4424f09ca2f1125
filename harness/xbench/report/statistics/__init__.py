"""Tests and intervals: over seeds, over pairs of languages, over test items; Holm's correction."""
