"""One request's session: read at most once, changed by what is marked, saved once."""
