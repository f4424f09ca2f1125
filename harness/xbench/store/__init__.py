"""Where results are kept: a folder for each key, what runs asked for, and what they gave.

``Store`` is the store itself; ``runs``, ``rows`` and ``failures`` read what runs left in it;
``lease`` marks what is being computed; ``transfer`` moves results to another store, ``sweep`` finds
what nothing needs.
"""

from xbench.store.store import FORMAT, MARKER, STATUS, WEIGHTS, DamagedArtefact, Entry, State, Store

__all__ = ["FORMAT", "MARKER", "STATUS", "WEIGHTS", "DamagedArtefact", "Entry", "State", "Store"]
