"""Generators of labelled synthetic samples under one protocol, and the measure of their quality."""
