"""Do the papers' claims hold, and what does it pay to cheat? Measurements over random markets, with intervals.

``markets`` draws them; ``sweep`` reads their curves; ``claims`` holds the rules behind every verdict; ``study`` runs experiments in parallel and
writes their files; ``tradefl`` (``_comparison``, ``_sweeps``), ``cocogen_plus``, ``cocogen_sweeps``,
``cocogen_rationality``, ``deviation`` and ``misreport`` say what is measured; ``figures`` draws; ``studies`` lists them
all. Left out: federated training, which the claims about the game do not need.
"""
