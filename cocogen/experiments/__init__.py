"""Do the papers' claims hold, and what does it pay to cheat? Measurements over random markets, with intervals.

``markets`` draws them; ``study`` runs experiments in parallel and writes their files; ``sweep`` reads curves from their
tables; ``claims`` holds the rules behind every verdict; ``tradefl`` (``_comparison``, ``_sweeps``), ``cocogen_plus``,
``cocogen_sweeps``, ``cocogen_rationality``, ``deviation``, ``misreport`` and ``silent`` say what is measured;
``figures`` draws; ``studies`` lists them all. Left out: federated training, which no claim about the game needs.
"""
