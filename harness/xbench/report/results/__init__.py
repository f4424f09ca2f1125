"""Rows of the store as typed results: selected, checked, averaged, and traced to their stages."""
