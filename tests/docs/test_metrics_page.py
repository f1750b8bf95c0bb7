"""The recipes of the page about metrics give the figures of a client, and its table has all of them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import trio

import trioxmpp
from tests.docs.test_pages import load, programs, run
from trioxmpp import Client, Counters, Message, MessageType
from trioxmpp.testing import open_server

PAGE = "docs/metrics.md"
TEXT = (Path(__file__).parents[2] / PAGE).read_text()


def with_a_client_that_has_sent_three(look: Any) -> None:
    async def main() -> None:
        async with open_server(accounts={"bot": "secret"}) as server:
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            async with trioxmpp.connect("bot@example.test/1", "secret", **options) as client:
                for _ in range(3):
                    await client.send(Message(to="bot@example.test", type=MessageType.CHAT, body="Hi"))
                server.sessions["bot@example.test/1"].link.stall()
                client.enqueue(Message(to="bot@example.test", type=MessageType.CHAT, body="Hi"))
                await trio.sleep(1)
                await trio.to_thread.run_sync(look, client)
                server.sessions["bot@example.test/1"].link.reset()

    run(main)


def test_the_first_program_prints_figures(capsys: pytest.CaptureFixture[str]) -> None:
    run(load(programs(PAGE)[0], PAGE)["main"])
    assert capsys.readouterr().out == "2 links, 1 resumption, 1 acknowledged\n"


def test_prometheus_gets_the_figures() -> None:
    prometheus_client = pytest.importorskip("prometheus_client")
    collector = load(programs(PAGE)[1], PAGE)["ClientCollector"]()
    registry = prometheus_client.CollectorRegistry()
    registry.register(collector)

    def look(client: Client) -> None:
        collector.clients.add(client)
        account = {"account": "bot@example.test"}
        assert registry.get_sample_value("xmpp_stanzas_sent_total", account) == 4
        assert registry.get_sample_value("xmpp_in_flight", account) == 1
        assert registry.get_sample_value("xmpp_linked", account) == 1
        text = prometheus_client.generate_latest(registry).decode()
        assert text.count('account="bot@example.test"') == len(dataclasses.fields(Counters))

    with_a_client_that_has_sent_three(look)


def test_opentelemetry_gets_the_figures() -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    observe = load(programs(PAGE)[2], PAGE)["observe"]

    def look(client: Client) -> None:
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader])
        observe(provider.get_meter("test"), [client])
        data = reader.get_metrics_data()
        assert data is not None
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        values = {metric.name: metric.data.data_points[0].value for metric in metrics}
        assert len(values) == len(dataclasses.fields(Counters))
        assert values["xmpp.client.stanzas_sent"] == 4
        assert values["xmpp.client.in_flight"] == 1
        assert metrics[0].data.data_points[0].attributes == {"account": "bot@example.test"}
        provider.shutdown()

    with_a_client_that_has_sent_three(look)


def test_the_table_has_every_field_and_tells_the_gauges() -> None:
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", TEXT, re.MULTILINE)
    stated = {name: "gauge" in meaning for names, meaning in rows for name in re.findall(r"`(\w+)`", names)}
    assert stated == {field.name: field.name in Counters.GAUGES for field in dataclasses.fields(Counters)}
