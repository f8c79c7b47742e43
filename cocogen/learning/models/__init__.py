"""Classifiers and the states of models."""
