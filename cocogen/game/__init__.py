"""The coopetition game: what organizations may do, what it is worth to them, and what they pay each other.

One module for each idea: ``accuracy`` (P), ``competition`` (ρ), ``strategies`` (who may choose what, at which cost),
``redistribution`` (R), ``coopetition`` (the game that they make up), ``rationality`` (is taking part worth it) and
``effective`` (the exact count of effective samples). Solvers live in ``cocogen.solvers``.
"""
