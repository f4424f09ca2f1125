"""Word order: from a meaning to its words in a row."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from xbench_plugins.clones.grammar import Clause, Meaning, NounPhrase, Word


class Placed(NamedTuple):
    """A word in its place, and the node of its host if it can become a suffix."""

    word: Word
    host: int | None = None


Order = Callable[[Meaning], list[Placed]]


def in_order(meaning: Meaning, word_order: str) -> list[Placed]:
    """The words of ``meaning`` from first to last; the final punctuation mark stays last."""
    return [*_ORDERS[word_order](meaning), Placed(meaning.stop)]


def _row(*parts: Placed | Iterable[Placed] | Word | None) -> list[Placed]:
    """The parts in a row, without those that are absent."""
    row: list[Placed] = []
    for part in parts:
        if isinstance(part, Placed):
            row.append(part)
        elif isinstance(part, Word):
            row.append(Placed(part))
        elif part is not None:
            row.extend(part)
    return row


def _bound(word: Word | None, host: Word) -> Placed | None:
    return None if word is None else Placed(word, host.node)


def _verb_particles(clause: Clause) -> tuple[Placed | None, Placed | None]:
    """The auxiliary and the negation, each with the predicate as its host."""
    return _bound(clause.auxiliary, clause.predicate), _bound(clause.negation, clause.predicate)


def _head_final(phrase: NounPhrase | None) -> list[Placed]:
    """determiner numeral adjective noun adposition"""
    if phrase is None:
        return []
    return _row(
        _bound(phrase.determiner, phrase.head),
        phrase.numeral,
        phrase.adjective,
        phrase.head,
        _bound(phrase.adposition, phrase.head),
    )


def _prepositional(phrase: NounPhrase | None) -> list[Placed]:
    """adposition determiner numeral adjective noun"""
    if phrase is None:
        return []
    return _row(
        _bound(phrase.adposition, phrase.head),
        _bound(phrase.determiner, phrase.head),
        phrase.numeral,
        phrase.adjective,
        phrase.head,
    )


def _head_initial(phrase: NounPhrase | None) -> list[Placed]:
    """adposition noun determiner numeral adjective"""
    if phrase is None:
        return []
    return _row(
        _bound(phrase.adposition, phrase.head),
        phrase.head,
        _bound(phrase.determiner, phrase.head),
        phrase.numeral,
        phrase.adjective,
    )


def _svo_clause(clause: Clause) -> list[Placed]:
    auxiliary, negation = _verb_particles(clause)
    return _row(
        _prepositional(clause.subject),
        auxiliary,
        negation,
        clause.predicate,
        _prepositional(clause.complement),
        _prepositional(clause.adjunct),
        clause.adverb,
    )


def _sov_clause(clause: Clause) -> list[Placed]:
    auxiliary, negation = _verb_particles(clause)
    return _row(
        _head_final(clause.subject),
        clause.adverb,
        _head_final(clause.adjunct),
        _head_final(clause.complement),
        clause.predicate,
        negation,
        auxiliary,
    )


def _vso_clause(clause: Clause) -> list[Placed]:
    auxiliary, negation = _verb_particles(clause)
    return _row(
        auxiliary,
        negation,
        clause.predicate,
        _head_initial(clause.subject),
        _head_initial(clause.complement),
        _head_initial(clause.adjunct),
        clause.adverb,
    )


def _joined(meaning: Meaning, clause: Callable[[Clause], list[Placed]]) -> list[Placed]:
    """The clauses, each in its order, with comma and conjunction between them."""
    first, *rest = (clause(each) for each in meaning.clauses)
    return _row(first, meaning.comma, meaning.conjunction, *rest)


def _svo(meaning: Meaning) -> list[Placed]:
    return _row(meaning.question, _joined(meaning, _svo_clause))


def _sov(meaning: Meaning) -> list[Placed]:
    return _row(_joined(meaning, _sov_clause), meaning.question)


def _vso(meaning: Meaning) -> list[Placed]:
    return _row(meaning.question, _joined(meaning, _vso_clause))


def _inverted(meaning: Meaning) -> list[Placed]:
    return _svo(meaning)[::-1]


_ORDERS: dict[str, Order] = {"SVO": _svo, "SOV": _sov, "VSO": _vso, "inverted": _inverted}
