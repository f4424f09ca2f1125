"""How Sphinx makes the documentation: Markdown pages, and the reference from docstrings."""

import xbench

project = "xbench"
author = "The xbench developers"
copyright = author
release = xbench.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["generate.py"]
html_theme = "furo"
html_title = f"xbench {release}"
html_show_sphinx = False

myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
