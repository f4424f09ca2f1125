"""``python -m xbench`` is ``xbench``."""

from xbench.cli import main

if __name__ == "__main__":
    main()
