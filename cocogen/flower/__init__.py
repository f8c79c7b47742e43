"""Training on Flower [1]_: each organization's node holds its own samples and key, the server settles the rounds.

Needs the extra ``flower``; nothing outside this package and ``cli`` imports it. Modules: :mod:`.messages` (what
travels), :mod:`.node` (the ClientApp) and :mod:`.strategy` (the ServerApp's strategy). Left out: how processes are
started and where ledger and keys come from (package ``cli``).

.. [1] D. Beutel et al., "Flower: A Friendly Federated Learning Framework", 2020.
"""
