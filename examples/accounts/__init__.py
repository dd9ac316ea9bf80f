"""Accounts: the starting point for an application whose people register and sign in.

Start it with ``python -m examples.accounts``; ``docs/how-to/accounts.md`` walks through it. Where to read on:

- ``sessions.py``: the session, its lifetimes, who may go where, and what reaches people who are signed in.
- ``users.py``: the table, argon2, and how people are found.
- ``door.py``, ``town.py``: the ways in and out: a letter, a password, an account elsewhere.
- ``account.py``, ``api.py``: one's own account and everybody's, as pages and as JSON.
- ``app.py``, ``page.py``, ``settings.py``: how it is put together. ``provider.py``: the account elsewhere.
"""
