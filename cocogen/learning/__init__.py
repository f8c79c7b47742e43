"""Models, how they are trained and made one, and generators: where torch is.

Beside this package a member alone imports torch (:mod:`cocogen.evidence.member`). Importing the package itself loads
nothing. Left out: who holds which samples (:mod:`cocogen.data`), and what is believed of training
(:mod:`cocogen.evidence`).
"""
