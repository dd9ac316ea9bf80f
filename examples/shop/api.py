"""What a program sees: JSON, with a padlock in the docs on everything that a rule guards."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from examples.shop.catalogue import Product
from examples.shop.sessions import Current, ShopSession, ThisBasket
from examples.shop.stock import OpenShop, Order, Shop

router = APIRouter(prefix="/api")


class Shelf(BaseModel):
    """How many packets there are now."""

    packets: Annotated[int, Field(ge=0, le=10_000)]


class Month(BaseModel):
    """What to do in one month."""

    month: Annotated[int, Field(ge=1, le=12)]
    sow: list[str]
    harvest: list[str]


class Refused(BaseModel):
    """Why not."""

    detail: str


ON_ONE_PRODUCT: dict[int | str, Any] = {
    400: {"model": Refused, "description": "The path or the body can't be read"},
    404: {"model": Refused, "description": "There is no such product"},
}
ON_EMPTY_BASKET: dict[int | str, Any] = {409: {"model": Refused, "description": "The basket is empty"}}


def find(shop: Shop, slug: str) -> Product:
    """The product, or 404."""
    if slug not in shop.products:
        raise HTTPException(404, "There is no such product")
    return shop.products[slug]


@router.get("/products", tags=["Seeds"], summary="All seeds")
async def products(shop: OpenShop) -> list[Product]:
    return list(shop.products.values())


@router.get("/products/{slug}", tags=["Seeds"], summary="One packet", responses=ON_ONE_PRODUCT)
async def product(slug: str, shop: OpenShop) -> Product:
    return find(shop, slug)


@router.patch("/products/{slug}", tags=["Seeds"], summary="Count what is on the shelf", responses=ON_ONE_PRODUCT)
async def count(slug: str, shelf: Shelf, shop: OpenShop) -> Product:
    find(shop, slug)
    shop.restock(slug, shelf.packets)
    return find(shop, slug)


@router.get("/me", tags=["You"], summary="Who is signed in")
async def me(session: Current) -> ShopSession:
    return session


@router.get("/orders", tags=["You"], summary="Your orders")
async def orders(session: Current, shop: OpenShop) -> list[Order]:
    return shop.orders_of(session.user_id)


@router.post(
    "/orders", tags=["You"], summary="Order what is in your basket", status_code=201, responses=ON_EMPTY_BASKET
)
async def order(session: Current, basket: ThisBasket, shop: OpenShop) -> Order:
    if not basket.packets:
        raise HTTPException(409, "Your basket is empty")
    placed = shop.place_order(session.user_id, basket.packets)
    basket.packets.clear()
    return placed


@router.get("/almanac", tags=["Members"], summary="The year, month by month")
async def almanac(shop: OpenShop) -> list[Month]:
    seeds = shop.products.values()
    return [
        Month(
            month=month,
            sow=[seed.name for seed in seeds if month in seed.sow],
            harvest=[seed.name for seed in seeds if month in seed.harvest],
        )
        for month in range(1, 13)
    ]


@router.get("/admin/orders", tags=["Staff"], summary="Everybody's orders")
async def all_orders(shop: OpenShop) -> list[Order]:
    return shop.orders
