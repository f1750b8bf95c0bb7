"""Types that checkers reveal of declared elements. Read, not run: each comment gives a type, or says "wrong".

`# is:` is what both checkers reveal, `# wrong` what both refuse.
"""

# pyright: strict, reportUnusedExpression=false
# ruff: noqa: F821, B018  (`reveal_type` is for type checkers, and some expressions are there to be refused)

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Generic, Self, TypeVar

from trioxmpp import JID, Client, Message, xml
from trioxmpp.protocol.stanza import Get, Set

NS = "https://example.org/weather"


@xml.element(NS, "report")
class Report:
    measured: datetime = xml.attr()
    celsius: float = xml.child_text()
    note: str | None = xml.child_text(default=None)
    windy: bool = xml.flag()
    remarks: Mapping[str, str] = xml.lang_text("remark")
    others: tuple[xml.Element, ...] = xml.rest()
    attributes: Mapping[str, str] = xml.rest_attrs()


@xml.element(NS, "query")
class Query(Get[Report]):
    place: str = xml.attr()
    days: int = xml.attr(default=1, codec=xml.integer(1, 14))


@xml.element(NS, "forget")
class Forget(Set[None]):
    who: JID | None = xml.attr(default=None)


@xml.element(NS, "place")
class Place:
    name: str = xml.attr()
    places: tuple[Self, ...] = xml.children()


@xml.element(NS, "village")
class Village(Place):
    square: Place | Report | None = xml.child(default=None)


class Reason(enum.Enum):
    SUCCESS = "success"


@xml.structure
class Published:
    id: str | None = xml.attr(default=None)
    payload: xml.Payload | None = xml.any_child(default=None)


@xml.element(NS, "item")
class Item(Published):
    pass


@xml.element("urn:other", "item")
class OtherItem(Published):
    publisher: JID | None = xml.attr(default=None)


ItemT = TypeVar("ItemT", bound=Published)


@xml.structure
class Items(Generic[ItemT]):
    node: str = xml.attr()
    items: tuple[ItemT, ...] = xml.children(lenient=True)


@xml.element("urn:other", "items")
class OtherItems(Items[OtherItem]):
    pass


@xml.element(NS, "forecast")
class Forecast:
    reason: Reason | str = xml.child_name()
    content: xml.Payload = xml.any_child("description")
    more: xml.Payloads = xml.any_children()
    places: tuple[str, ...] = xml.child_texts("place")
    always: tuple[JID, ...] | None = xml.child_texts("jid", inside="always", default=None)
    first: str | None = xml.child_text(default=None)
    index: int | None = xml.attr(inside="first", default=None)
    lasts: timedelta = xml.child_text(inside="a/b", default=timedelta(0))
    names: xml.Texts = xml.lang_text("name")
    message: Message | None = xml.child(default=None)


def new_kinds(items: OtherItems, forecast: Forecast, query: Query) -> None:
    reveal_type(items.node)  # is: str
    reveal_type(items.items)  # is: tuple[OtherItem, ...]
    reveal_type(items.items[0].publisher)  # is: JID | None
    reveal_type(items.items[0].payload)  # is: Payload | None
    reveal_type(xml.parse(OtherItems, xml.fromstring("<a/>")).items)  # is: tuple[OtherItem, ...]
    OtherItems(node="n", items=(OtherItem(id="1", payload=xml.Payload(query)),))
    OtherItems(node="n", items=(Item(id="1"),))  # wrong
    OtherItem(publisher="romeo@example.net")  # wrong
    Forecast(reason=Reason.SUCCESS, content=xml.Payload(query), places=("Ulm",), names=xml.Texts({"de": "Ulm"}))
    Forecast(reason="unknown", content=xml.Payload(query), lasts=timedelta(hours=1), message=Message(body="x"))
    Forecast(content=xml.Payload(query))  # wrong
    Forecast(reason="unknown")  # wrong
    Forecast(reason=3, content=xml.Payload(query))  # wrong
    Forecast(reason="unknown", content=xml.Payload(query), lasts=3)  # wrong
    reveal_type(forecast.reason)  # is: Reason | str
    reveal_type(forecast.content.get(Query))  # is: Query | None
    reveal_type(forecast.more.get_all(Query))  # is: list[Query]
    reveal_type(forecast.always)  # is: tuple[JID, ...] | None
    reveal_type(forecast.index)  # is: int | None
    reveal_type(forecast.lasts)  # is: timedelta
    reveal_type(forecast.names.lookup("de"))  # is: str | None
    reveal_type(forecast.message)  # is: Message | None
    reveal_type(xml.replace(query, place="Bonn"))  # is: Query
    reveal_type(xml.malformed(forecast)[0].error.path)  # is: str


def constructors(now: datetime) -> None:
    reveal_type(Query(place="Ulm"))  # is: Query
    Query(place="Ulm", days=3)
    Report(measured=now, celsius=1.5, windy=True, remarks={"de": "kalt"})
    Village(name="Ulm", places=(), square=Place(name="Markt"))
    Query()  # wrong
    Query("Ulm")  # wrong
    Query(place=1)  # wrong
    Query(place="Ulm", hours=1)  # wrong
    Report(measured=now, celsius="warm")  # wrong


def fields(report: Report, village: Village, query: Query) -> None:
    reveal_type(report.measured)  # is: datetime
    reveal_type(report.celsius)  # is: float
    reveal_type(report.note)  # is: str | None
    reveal_type(report.windy)  # is: bool
    reveal_type(report.remarks)  # is: Mapping[str, str]
    reveal_type(village.name)  # is: str
    reveal_type(village.square)  # is: Place | Report | None
    reveal_type(village.places)  # is: tuple[Village, ...]
    reveal_type(dataclasses.replace(query, place="Bonn"))  # is: Query
    query.place = "Bonn"  # wrong
    report.remarks["de"] = "warm"  # wrong
    query.temperature  # wrong


def reading(element: xml.Element) -> None:
    reveal_type(xml.parse(Query, element))  # is: Query
    reveal_type(xml.find(element, Report))  # is: Report | None
    reveal_type(xml.serialise(Query(place="Ulm")))  # is: str


def matching(village: Village) -> str:
    match village:
        case Village(name=name, square=Report(celsius=celsius)):
            reveal_type(name)  # is: str
            reveal_type(celsius)  # is: float
            return name
        case _:
            return ""


async def requests(client: Client, station: JID) -> None:
    reveal_type(await client.request(Query(place="Ulm"), to=station))  # is: Report
    reveal_type(await client.request(Forget()))  # is: None
    await client.request(Report(measured=datetime.now(), celsius=0))  # wrong
    print(await client.request(Query(place="Ulm")))  # where any object will do
    found: list[object] = [await client.request(Query(place="Ulm"), to=station)]
    requests: list[Get[object]] = [Query(place="Ulm")]
    del found, requests
    async with client.messages.subscribe() as inbox:
        async for message in inbox:
            reveal_type(message.get(Report))  # is: Report | None
            reveal_type(message.get(Report, strict=True))  # is: Report | None
            reveal_type(message.get_all(Report))  # is: list[Report]
