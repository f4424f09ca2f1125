"""Who computes what, where, and who is told.

``todo`` finds what the store lacks and makes jobs of it, ``launcher`` feeds them to workers
(``worker``), ``job`` computes the stages of one. ``preflight`` reads all input before any work,
``estimate`` says what it will take, ``hooks`` and ``events`` tell observers.
"""
