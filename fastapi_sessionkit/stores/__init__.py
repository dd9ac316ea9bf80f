"""Where server-side sessions are kept. Each engine has a module or a package of its own, so that none is imported unasked."""
