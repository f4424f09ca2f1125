"""Each table of a report, a file each: from averages to cells with notes; ``study`` is all of them."""
