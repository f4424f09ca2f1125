"""What was asked (``request``), and how every name and setting of it is made concrete (``resolve``).

A resolved spec is again a request: running it repeats the run. ``methods`` and ``configs`` know what
stands at an objective's place, ``device`` which device and precision are used.
"""
