"""The ten clone languages of the suite ``mini``, and the pairs that are aligned.

They mirror the reference study (arXiv 2603.18863): the comment names the language each one plays.
"""

from xbench_plugins.clones.language import CloneLanguage

QAA = CloneLanguage("qaa", "Clone A", "Latn", "source")  # English

QAB = CloneLanguage(  # German
    "qab", "Clone B", "Latn", "close", shared_vocabulary=0.7, agglutination=0.1
)
QAC = CloneLanguage(  # Kazakh
    "qac", "Clone C", "Cyrl", "distant", "SOV", shared_vocabulary=0.2, agglutination=0.8
)
QAD = CloneLanguage(  # Korean
    "qad", "Clone D", "Armn", "distant", "SOV", shared_vocabulary=0.1, agglutination=0.8
)
QAE = CloneLanguage(  # Japanese
    "qae", "Clone E", "Geor", "distant", "SOV", shared_vocabulary=0.1, agglutination=0.5
)
QAF = CloneLanguage(  # Spanish
    "qaf", "Clone F", "Latn", "close", shared_vocabulary=0.6, agglutination=0.1
)
QAG = CloneLanguage(  # French
    "qag", "Clone G", "Latn", "middling", "VSO", shared_vocabulary=0.5
)
QAH = CloneLanguage(  # Russian
    "qah", "Clone H", "Cyrl", "middling", shared_vocabulary=0.5, agglutination=0.3
)
QAI = CloneLanguage(  # Hindi
    "qai", "Clone I", "Grek", "middling", "SOV", shared_vocabulary=0.3, agglutination=0.2
)
QAJ = CloneLanguage(  # Chinese and Hebrew
    "qaj", "Clone J", "Tfng", "distant", "inverted", shared_vocabulary=0.0, noise=0.05
)

LANGUAGES = (QAA, QAB, QAC, QAD, QAE, QAF, QAG, QAH, QAI, QAJ)
"""All languages of the suite, the source first."""

ALIGNED_PAIRS = (("qab", "qaa"), ("qaa", "qac"), ("qae", "qac"), ("qac", "qad"))
"""The pairs that encoders are aligned on."""
