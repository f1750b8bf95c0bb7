"""The elements of weather reports, for weather_station.py and weather_query.py."""

from trioxmpp import Get, xml


@xml.element("https://example.org/weather", "report")
class Report:
    degrees: int = xml.attr()
    sky: str = xml.child_text()


@xml.element("https://example.org/weather", "query")
class Query(Get[Report]):
    place: str = xml.attr()
