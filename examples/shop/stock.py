"""What the shop remembers: a stand-in for a database that starts anew with every run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends
from pydantic import BaseModel, Field

from examples.shop.catalogue import ENTRIES, PRODUCTS, Entry


class Order(BaseModel):
    """What somebody bought."""

    number: int
    username: str
    at: datetime
    packets: dict[str, int] = Field(description="How many of which product")
    cents: int


class Shop:
    """Everything that changes while the shop is open."""

    def __init__(self) -> None:
        self.products = {product.slug: product for product in PRODUCTS}
        self.entries = {entry.slug: entry for entry in ENTRIES}
        self.orders: list[Order] = []
        self.closed: set[str] = set()
        self.notice = "Spring sowing has begun. What is ordered before noon leaves the barn the same day."

    @property
    def published(self) -> list[Entry]:
        """The journal as visitors see it."""
        return [entry for entry in self.entries.values() if entry.published]

    def priced(self, basket: Mapping[str, int]) -> int:
        """The basket's price in cents."""
        return sum(self.products[slug].cents * packets for slug, packets in basket.items())

    def place_order(self, username: str, basket: Mapping[str, int]) -> Order:
        """Turn a basket into an order and take it from the shelf."""
        order = Order(
            number=1001 + len(self.orders),
            username=username,
            at=datetime.now(UTC),
            packets=dict(basket),
            cents=self.priced(basket),
        )
        self.orders.append(order)
        for slug, packets in basket.items():
            self.restock(slug, max(0, self.products[slug].packets - packets))
        return order

    def orders_of(self, username: str) -> list[Order]:
        """One customer's orders, newest first."""
        return [order for order in reversed(self.orders) if order.username == username]

    def restock(self, slug: str, packets: int) -> None:
        """Note how many packets there are."""
        self.products[slug] = self.products[slug].model_copy(update={"packets": packets})

    def turn_over(self, slug: str) -> None:
        """Publish a draft, or take a published piece back."""
        entry = self.entries[slug]
        self.entries[slug] = entry.model_copy(update={"published": not entry.published})


_shop = Shop()


async def the_shop() -> Shop:
    """The dependency; tests override it with a shop of their own."""
    return _shop


OpenShop = Annotated[Shop, Depends(the_shop)]
