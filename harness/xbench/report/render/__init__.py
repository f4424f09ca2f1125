"""Tables and pages as text: terminal, Markdown, LaTeX, HTML and CSV."""
