"""One organization's own data: from its file, as it writes it, to rows of the agreed schema; nothing here is sent."""
