"""Fitted transforms: they move the states of every language towards those of the source language."""
