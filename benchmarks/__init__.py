"""Paired measurements: ours and the alternative in turn in one run, medians and ratios."""
