"""Every backend behind one name: the tests of this folder that ask for ``backend`` run once on each."""

from tests.testing.conftest import backend, make_backend

__all__ = ["backend", "make_backend"]
