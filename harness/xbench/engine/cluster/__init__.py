"""Runs on other machines: jobs as files in the run's folder, processes that compute them, and who waits.

``files`` has what is written and read, ``node`` is the process of one job, ``launcher`` submits jobs
through a plugin (:class:`xbench.api.Launcher`), ``following`` waits for them, ``queue`` tells how they are.
"""
