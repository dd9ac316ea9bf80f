"""What the shop sells and prints: eight packets of seeds and four pieces for the journal."""

from pydantic import BaseModel, Field


class Product(BaseModel):
    """A packet of seeds."""

    slug: str
    name: str
    kind: str
    about: str
    cents: int = Field(ge=0, description="Price in euro cents")
    packets: int = Field(ge=0, description="Packets in stock")
    paper: str = Field(description="The packet's colour")
    sow: tuple[int, ...] = Field(description="Months to sow in, 1 to 12")
    harvest: tuple[int, ...] = Field(description="Months to harvest in, 1 to 12")


class Entry(BaseModel):
    """A piece in the journal; a draft until it is published."""

    slug: str
    title: str
    teaser: str
    minutes: int = Field(description="Minutes it takes to read")
    published: bool = True


PRODUCTS = (
    Product(
        slug="tomato",
        name="Black Krim",
        kind="Tomato",
        about="Dark shoulders, a salty sweetness, best eaten warm from the vine.",
        cents=420,
        packets=64,
        paper="#f0c9b4",
        sow=(3, 4),
        harvest=(7, 8, 9, 10),
    ),
    Product(
        slug="beet",
        name="Chioggia",
        kind="Beetroot",
        about="Rings like a target, from a village on the Venetian lagoon.",
        cents=350,
        packets=120,
        paper="#efd3dc",
        sow=(4, 5, 6, 7),
        harvest=(6, 7, 8, 9, 10),
    ),
    Product(
        slug="sunflower",
        name="Velvet Queen",
        kind="Sunflower",
        about="Two metres of rust and copper, and goldfinches in October.",
        cents=390,
        packets=41,
        paper="#f3dca6",
        sow=(4, 5),
        harvest=(8, 9, 10),
    ),
    Product(
        slug="pea",
        name="Purple Podded",
        kind="Pea",
        about="Violet pods that are easy to find among the leaves, green peas inside.",
        cents=380,
        packets=88,
        paper="#d9d3ea",
        sow=(2, 3, 4, 5),
        harvest=(6, 7, 8),
    ),
    Product(
        slug="radish",
        name="French Breakfast",
        kind="Radish",
        about="From seed to butter and salt in twenty-five days.",
        cents=290,
        packets=210,
        paper="#cfe3d2",
        sow=(3, 4, 5, 6, 7, 8, 9),
        harvest=(4, 5, 6, 7, 8, 9, 10),
    ),
    Product(
        slug="poppy",
        name="Ladybird",
        kind="Poppy",
        about="Scarlet with a black thumbprint on every petal. Sow it where it shall stay.",
        cents=320,
        packets=7,
        paper="#c9dde6",
        sow=(3, 4, 9),
        harvest=(6, 7, 8),
    ),
    Product(
        slug="squash",
        name="Turk’s Turban",
        kind="Winter squash",
        about="A hat first and a soup later; it keeps until February.",
        cents=450,
        packets=33,
        paper="#d5dfba",
        sow=(5, 6),
        harvest=(9, 10, 11),
    ),
    Product(
        slug="bean",
        name="Borlotto Rosso",
        kind="Climbing bean",
        about="Painted pods, speckled beans, and a pot of soup for every metre of row.",
        cents=410,
        packets=0,
        paper="#efdcc3",
        sow=(5, 6),
        harvest=(8, 9, 10),
    ),
)

ENTRIES = (
    Entry(
        slug="saving-tomatoes",
        title="Letting tomatoes go to seed",
        teaser="Pick the best one, and don’t eat it. Three days in a jar do the rest.",
        minutes=4,
    ),
    Entry(
        slug="the-first-row",
        title="The first row is for practice",
        teaser="Why we sow radishes between everything else, and what they tell us about the soil.",
        minutes=3,
    ),
    Entry(
        slug="names",
        title="Who was the Velvet Queen?",
        teaser="Old varieties carry names of people, villages and quarrels. Five of them, told.",
        minutes=6,
    ),
    Entry(
        slug="rain",
        title="Nine kinds of rain",
        teaser="And the two of them that seedlings like.",
        minutes=5,
        published=False,
    ),
)
