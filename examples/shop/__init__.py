"""Furrow, a small seed shop: one complete application whose every door one RouterGuard keeps.

Start it with ``python -m examples.shop``; ``--help`` says what else there is. Where to read on:

- ``sessions.py``: the session's type, its lifetimes, and every rule. The library is used here.
- ``storage.py``: where sessions are kept, as ``SHOP_STORE`` says. ``key.py``: the key beside SQLite's file.
- ``app.py``: how it is put together.
- ``pages/``: what a browser sees. ``api.py``: what a program sees, and the padlocks in ``/docs``.
- ``people.py``, ``stock.py``: stand-ins for a user table and a database. ``devices.py``: names for browsers.
"""
