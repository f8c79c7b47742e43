"""``cocogen run --runtime flower``: Flower's processes, and the two apps that run in them.

:mod:`.runtime` starts and ends the processes (:mod:`.guardian` ties them to us); :mod:`.apps` opens ledger, agreement
and keys inside them; the folder ``project`` is what Flower distributes. Left out: training and the round as a
strategy (:mod:`cocogen.flower`).
"""
