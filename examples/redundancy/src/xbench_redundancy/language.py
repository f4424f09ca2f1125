"""A clone language that is not among xbench's own."""

from xbench_plugins.clones.language import CloneLanguage

QAK = CloneLanguage(
    "qak", "Clone K", script="Latn", word_order="SOV", shared_vocabulary=0.7, agglutination=0.3
)
