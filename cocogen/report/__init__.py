"""Results for people: figures that need no display, each drawn from plain numbers.

``style`` holds what all figures share. Left out: how the numbers come about.
"""
