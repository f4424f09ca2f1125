"""Can a linear classifier tell from a sentence vector which language it is in?"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor


@dataclass(frozen=True)
class Sentences:
    """Sentence vectors [N, D], and of each its language and the id that its translations share."""

    vectors: Tensor
    languages: Sequence[str]
    ids: Sequence[str]


@dataclass(frozen=True)
class Guesses:
    """[N] bool, whether each sentence's language was found; what to know about it."""

    right: npt.NDArray[np.bool_]
    note: str = ""


def guess_languages(sentences: Sentences, folds: int = 5, strength: float = 1.0) -> Guesses:
    """Multinomial logistic regression, cross-validated: each sentence is guessed once, unseen.

    ``p(l | x) = softmax(W z + b)_l`` with z the vector standardised over the training folds, and
    ``W`` minimising the log loss plus ``|W|^2 / (2 strength)``. Folds part sentence ids, so that a
    sentence is never guessed by a classifier that has seen its translation. Nothing is drawn at
    random, and the order of the sentences plays no part: they are taken by id and language.

    Raises ``ValueError`` where there are fewer than 2 languages or ids.
    """
    groups = len(set(sentences.ids))
    if len(set(sentences.languages)) < 2 or groups < 2:
        raise ValueError("it takes two languages, and two sentences of them, to tell them apart")
    order = sorted(
        range(len(sentences.ids)), key=lambda n: (sentences.ids[n], sentences.languages[n])
    )
    labels, ids = (np.array(side)[order] for side in (sentences.languages, sentences.ids))
    vectors_ND = sentences.vectors.double().numpy()[order]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        split = GroupKFold(min(folds, groups))
        guessed = cross_val_predict(model, vectors_ND, labels, groups=ids, cv=split)
    right_N = np.empty(len(order), dtype=np.bool_)
    right_N[order] = guessed == labels
    stopped = any(issubclass(each.category, ConvergenceWarning) for each in told)
    return Guesses(right_N, "the classifier's fit had not converged" if stopped else "")
