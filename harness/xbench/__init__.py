"""xbench: does this alignment objective make cross-lingual transfer better?"""

__version__ = "0.1.0"
