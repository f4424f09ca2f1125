"""The commands of ``xbench``, one file each, imported when it is called."""
