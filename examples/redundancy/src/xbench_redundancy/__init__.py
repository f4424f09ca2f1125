"""Redundancy reduction between translations, with a task and a language to try it on."""
