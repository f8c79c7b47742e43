"""Who holds which samples: the data sets, how one is cut into the members' own, and files of arrays."""
