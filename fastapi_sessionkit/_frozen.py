"""Objects that do not change once they are made."""


class Frozen:
    """A base whose attributes are set once, in the constructor; after that, setting or deleting one raises."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            raise AttributeError(f"A {type(self).__name__} does not change once it is made: {name}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"A {type(self).__name__} does not change once it is made: {name}")
