"""A fixed choice of sentences, the same in all languages, where taking all would cost too much."""

import hashlib
from collections.abc import Sequence

import torch

from xbench.api.probe import ProbeView
from xbench_plugins.measures.languages import Sentences
from xbench_plugins.measures.measured import usable


def chosen_ids(view: ProbeView, count: int) -> list[str]:
    """At most ``count`` ids, in an order that neither the corpus nor the languages decide.

    They come in the order of a digest; ids that all languages have are taken before others.
    """
    of_each = [set(view.ids(code)) for code in view.languages]
    shared = set.intersection(*of_each)
    every = set.union(*of_each)
    return sorted(every, key=lambda name: (name not in shared, _digest(name)))[:count]


def take(view: ProbeView, ids: Sequence[str], depth: float) -> tuple[Sentences, str]:
    """(the sentences of these ids in every language, language by language; a note).

    Sentences of which the vector is zero are left out, with a note. Raises ``ValueError`` where there
    are fewer than two sentences, or the vectors of all languages together cannot be used.
    """
    found, languages, names = [], [], []
    for code in view.languages:
        place = {name: n for n, name in enumerate(view.ids(code))}
        there = [name for name in ids if name in place]
        found.append(view.pooled(code, depth)[[place[name] for name in there]])
        languages += [code] * len(there)
        names += there
    if len(set(names)) < 2:
        raise ValueError(f"{len(set(names))} sentences, and the measure needs 2")
    vectors_ND = torch.cat(found)
    kept_nD, note = usable(vectors_ND, "all languages")
    if note:
        left = torch.nonzero(vectors_ND.any(dim=1))[:, 0].tolist()
        languages, names = [languages[n] for n in left], [names[n] for n in left]
    return Sentences(kept_nD, languages, names), note


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
