"""Where results are kept: a folder for each key, what runs asked for, and what they gave.

``Store`` is the store itself, in a folder; ``remote`` is one in object storage. ``runs``, ``rows`` and
``failures`` read what runs left in it; ``lease`` marks what is being computed; ``transfer`` moves
results to another store, ``sweep`` finds what nothing needs.
"""

from pathlib import Path

from xbench.store.store import FORMAT, MARKER, STATUS, WEIGHTS, DamagedArtefact, Entry, State, Store

__all__ = [
    "FORMAT",
    "MARKER",
    "STATUS",
    "WEIGHTS",
    "DamagedArtefact",
    "Entry",
    "State",
    "Store",
    "open_store",
]


def open_store(place: str | Path) -> Store:
    """The store in a folder, or at an address as ``s3://bucket/prefix``. Nothing is looked at yet."""
    if "://" not in str(place):
        return Store(Path(place))
    from xbench.store.remote import RemoteStore

    return RemoteStore(str(place))
