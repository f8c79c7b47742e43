"""The rules that the papers compare with."""
