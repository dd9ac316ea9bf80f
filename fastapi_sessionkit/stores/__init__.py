"""Where server-side sessions are kept. Each engine has a module of its own, so that none is imported unasked."""
