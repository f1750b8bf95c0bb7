"""The embedded server, as a client that knows nothing but XML finds it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.testing.raw import RawClient, back, log_in, log_in_managed
from trioxmpp.protocol import ns
from trioxmpp.testing import Faults, open_server

ROMEO, JULIET = "romeo@example.test/orchard", "juliet@example.test/balcony"
SM = ns.SM


@pytest.fixture
async def server(autojump_clock):
    async with open_server() as server:
        yield server


def error(condition: str, kind: str = "cancel") -> str:
    return f"<error type='{kind}'><{condition} xmlns='{ns.STANZA_ERRORS}'/></error>"


async def is_thrown_out(client: RawClient, condition: str) -> None:
    answer = await client.hears()
    assert answer.tag == f"{{{ns.STREAM}}}error"
    assert answer[0].tag == f"{{{ns.STREAM_ERRORS}}}{condition}"
    await client.expects_footer()
    await client.expects_end()


# --- before there is a session


async def test_features_depend_on_the_state_of_the_login(autojump_clock, server):
    client = RawClient(await server.endpoint())
    outside = await client.opens()
    assert "SCRAM-SHA-256" in outside
    assert "bind" not in outside
    await client.auths("romeo", "secret")
    await client.expects(f"<success xmlns='{ns.SASL}'/>")
    inside = await client.opens()
    assert ns.BIND in inside
    assert ns.SM in inside
    assert "SCRAM" not in inside


async def test_the_third_wrong_password_ends_the_stream(autojump_clock, server):
    client = RawClient(await server.endpoint())
    await client.opens()
    for _ in range(3):
        await client.auths("romeo", "wrong")
        await client.expects(f"<failure xmlns='{ns.SASL}'><not-authorized/></failure>")
    await is_thrown_out(client, "policy-violation")


async def test_before_tls_nothing_else_works_where_it_is_required(autojump_clock, server):
    server.policy.starttls = "required"
    client = RawClient(await server.endpoint())
    assert "SCRAM" not in await client.opens()
    await client.auths("romeo", "secret")
    await client.expects(f"<failure xmlns='{ns.SASL}'><encryption-required/></failure>")
    await client.starts_tls(server.client_tls_context())
    await client.logs_in()
    await client.binds("orchard")


async def test_stanzas_before_the_login_and_before_binding_are_refused(autojump_clock, server):
    client = RawClient(await server.endpoint())
    await client.opens()
    await client.says("<message to='juliet@example.test'/>")
    await is_thrown_out(client, "not-authorized")
    client = await back(server)
    await client.says("<message to='juliet@example.test'/>")
    await is_thrown_out(client, "not-authorized")


async def test_another_host_is_unknown(autojump_clock, server):
    client = RawClient(await server.endpoint(), "other.test")
    await client.says_raw(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        b"to='other.test' version='1.0'>"
    )
    await client.expects_header()
    await is_thrown_out(client, "host-unknown")


async def test_data_that_is_not_xml_is_answered_in_a_stream(autojump_clock, server):
    client = RawClient(await server.endpoint())
    await client.says_raw(b"GET / HTTP/1.1\r\n\r\n")
    await client.expects_header()
    await is_thrown_out(client, "not-well-formed")


async def test_binding_the_same_resource_ends_the_old_session(autojump_clock, server):
    first = await log_in(server)
    await log_in(server)
    await is_thrown_out(first, "conflict")
    assert list(server.sessions) == [ROMEO]


# --- where stanzas go


async def test_a_message_goes_to_the_resource_with_the_senders_address(autojump_clock, server):
    romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
    await romeo.says(f"<message to='{JULIET}' type='chat' id='1'><body>Hi</body></message>")
    await juliet.expects(f"<message from='{ROMEO}' to='{JULIET}' type='chat' id='1'><body>Hi</body></message>")


async def test_a_client_cannot_claim_another_sender(autojump_clock, server):
    romeo = await log_in(server)
    await romeo.says(f"<message from='{JULIET}' to='{ROMEO}'/>")
    await is_thrown_out(romeo, "invalid-from")


async def test_a_message_for_an_offline_user_waits_and_has_a_delay(autojump_clock, server):
    romeo = await log_in(server)
    await romeo.says("<message to='juliet@example.test' type='chat'><body>Hi</body></message>")
    await romeo.expects_nothing(1)
    juliet = await log_in(server, "juliet", "balcony")
    await juliet.expects_nothing(1)
    await juliet.says("<presence/>")
    await juliet.expects(f"<presence from='{JULIET}'/>")
    late = await juliet.hears()
    assert late.find(f"{{{ns.CLIENT}}}body").text == "Hi"
    assert late.find("{urn:xmpp:delay}delay").get("from") == "example.test"
    await juliet.expects_nothing(1)


@pytest.mark.parametrize(
    ("to", "condition", "kind"),
    [
        ("nobody@example.test", "service-unavailable", "cancel"),
        ("someone@elsewhere.test", "remote-server-not-found", "cancel"),
        ("juliet@example.test/absent", "service-unavailable", "cancel"),
    ],
)
async def test_a_request_to_an_unknown_address_is_answered(autojump_clock, server, to, condition, kind):
    romeo = await log_in(server)
    ping = f"<ping xmlns='{ns.PING}'/>"
    await romeo.says(f"<iq type='get' id='1' to='{to}'>{ping}</iq>")
    await romeo.expects(f"<iq type='error' id='1' from='{to}' to='{ROMEO}'>{error(condition, kind)}</iq>")


async def test_a_malformed_address_is_answered_by_the_server(autojump_clock, server):
    romeo = await log_in(server)
    await romeo.says("<message to='@' id='1'/>")
    await romeo.expects(
        f"<message type='error' id='1' from='example.test' to='{ROMEO}'>{error('jid-malformed', 'modify')}</message>"
    )


async def test_the_server_answers_pings_and_refuses_unknown_requests(autojump_clock, server):
    romeo = await log_in(server)
    await romeo.says(f"<iq type='get' id='1' to='example.test'><ping xmlns='{ns.PING}'/></iq>")
    await romeo.expects(f"<iq type='result' id='1' from='example.test' to='{ROMEO}'/>")
    await romeo.says("<iq type='get' id='2' to='example.test'><magic xmlns='m'/></iq>")
    await romeo.expects(f"<iq type='error' id='2' from='example.test' to='{ROMEO}'>{error('service-unavailable')}</iq>")
    await romeo.says("<iq type='get' id='3'/>")
    await romeo.expects(f"<iq type='error' id='3' to='{ROMEO}'>{error('bad-request', 'modify')}</iq>")


async def test_requests_and_replies_pass_between_clients(autojump_clock, server):
    romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
    await romeo.says(f"<iq type='get' id='1' to='{JULIET}'><x xmlns='y'/></iq>")
    await juliet.expects(f"<iq type='get' id='1' from='{ROMEO}' to='{JULIET}'><x xmlns='y'/></iq>")
    await juliet.says(f"<iq type='result' id='1' to='{ROMEO}'/>")
    await romeo.expects(f"<iq type='result' id='1' from='{JULIET}' to='{ROMEO}'/>")


async def test_presence_goes_to_contacts_and_so_does_its_end(autojump_clock, server):
    server.add_contacts("romeo", "juliet")
    romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
    await romeo.says("<presence/>")
    await romeo.expects(f"<presence from='{ROMEO}'/>")
    await juliet.says("<presence><show>away</show></presence>")
    await juliet.expects(f"<presence from='{JULIET}'><show>away</show></presence>")
    await juliet.expects(
        f"<presence from='{ROMEO}' to='{JULIET}'>"
        "<delay xmlns='urn:xmpp:delay' from='example.test' stamp='$1'/></presence>"
    )
    await romeo.expects(f"<presence from='{JULIET}' to='romeo@example.test'><show>away</show></presence>")
    server.sessions[JULIET].link.reset()  # not managed: the session is over
    await romeo.expects(f"<presence type='unavailable' from='{JULIET}' to='romeo@example.test'/>")


async def test_presence_does_not_go_to_strangers(autojump_clock, server):
    romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
    await juliet.says("<presence/>")
    await juliet.expects(f"<presence from='{JULIET}'/>")
    await romeo.says("<presence/>")
    await romeo.expects(f"<presence from='{ROMEO}'/>")
    await romeo.expects_nothing(1)
    await romeo.says(f"<presence to='{JULIET}'/>")
    await juliet.expects(f"<presence from='{ROMEO}' to='{JULIET}'/>")
    await romeo.says_footer()
    await juliet.expects(f"<presence type='unavailable' from='{ROMEO}' to='{JULIET}'/>")


# --- stream management


async def test_the_server_counts_stanzas_and_requests_acks(autojump_clock, server):
    romeo, _ = await log_in_managed(server)
    await romeo.says(f"<r xmlns='{SM}'/><message to='example.test' type='error'/><presence/><r xmlns='{SM}'/>")
    await romeo.expects(f"<a xmlns='{SM}' h='0'/>")
    answer = [(await romeo.hears()).tag for _ in range(3)]
    assert set(answer) == {f"{{{SM}}}a", f"{{{SM}}}r", f"{{{ns.CLIENT}}}presence"}


async def test_unacknowledged_stanzas_come_again_in_order(autojump_clock, server):
    server.policy.ack_requests = False
    romeo, juliet = await log_in(server), None
    juliet, id = await log_in_managed(server, "juliet", "balcony")
    for number in range(4):
        await romeo.says(f"<message to='{JULIET}' id='{number}'/>")
        await juliet.expects(f"<message from='{ROMEO}' to='{JULIET}' id='{number}'/>")
    await juliet.says(f"<a xmlns='{SM}' h='1'/>")
    await trio.testing.wait_all_tasks_blocked()
    server.sessions[JULIET].link.reset()
    assert server.sessions[JULIET].hibernating
    await romeo.says(f"<message to='{JULIET}' id='4'/>")
    juliet = await back(server, "juliet")
    await juliet.resumes(id, 2)
    await juliet.expects(f"<resumed xmlns='{SM}' h='0' previd='{id}'/>")
    for number in (2, 3, 4):
        await juliet.expects(f"<message from='{ROMEO}' to='{JULIET}' id='{number}'/>")
    await juliet.expects_nothing(1)


async def test_a_session_expires_after_its_time_and_its_count_is_told(autojump_clock, server):
    for seconds, resumable in ((299, True), (301, False)):
        romeo, id = await log_in_managed(server)
        await romeo.says("<message to='example.test' type='error'/>")
        await trio.testing.wait_all_tasks_blocked()
        server.sessions[ROMEO].link.reset()
        await trio.sleep(seconds)
        romeo = await back(server)
        await romeo.resumes(id, 0)
        if resumable:
            await romeo.expects(f"<resumed xmlns='{SM}' h='1' previd='{id}'/>")
        else:
            gone = f"<item-not-found xmlns='{ns.STANZA_ERRORS}'/>"
            await romeo.expects(f"<failed xmlns='{SM}' h='1'>{gone}</failed>")
            await romeo.binds("orchard")


@pytest.mark.parametrize("why", ["never heard of", "of somebody else", "forgotten", "not told"])
async def test_a_resumption_that_fails_without_a_count(autojump_clock, server, why):
    _, id = await log_in_managed(server)
    server.sessions[ROMEO].link.reset()
    name = "romeo"
    if why == "never heard of":
        id = "no such thing"
    elif why == "of somebody else":
        name = "juliet"
    elif why == "forgotten":
        server.forget(ROMEO)
    else:
        server.policy.resume_h_in_failed = False
        server.expire(ROMEO)
    client = await back(server, name)
    await client.resumes(id, 0)
    await client.expects(f"<failed xmlns='{SM}'><item-not-found xmlns='{ns.STANZA_ERRORS}'/></failed>")


@pytest.mark.parametrize("plan", ["with-h", "without-h"])
async def test_a_planned_refusal_ends_the_session(autojump_clock, server, plan):
    _, id = await log_in_managed(server)
    server.sessions[ROMEO].link.reset()
    server.plan(Faults(refuse_resume=plan))
    client = await back(server)
    await client.resumes(id, 0)
    count = " h='0'" if plan == "with-h" else ""
    await client.expects(f"<failed xmlns='{SM}'{count}><item-not-found xmlns='{ns.STANZA_ERRORS}'/></failed>")
    assert not server.sessions


@pytest.mark.parametrize("when", ["live", "resuming"])
async def test_a_count_that_is_too_high_ends_the_stream(autojump_clock, server, when):
    romeo, id = await log_in_managed(server)
    if when == "live":
        await romeo.says(f"<a xmlns='{SM}' h='5'/>")
    else:
        server.sessions[ROMEO].link.reset()
        romeo = await back(server)
        await romeo.resumes(id, 5)
    answer = await romeo.hears()
    assert answer.find(f"{{{SM}}}handled-count-too-high").attrib == {"h": "5", "send-count": "0"}
    await romeo.expects_footer()


async def test_undelivered_stanzas_of_an_expired_session_are_rerouted(autojump_clock, server):
    romeo = await log_in(server)
    await log_in_managed(server, "juliet", "balcony")
    server.sessions[JULIET].link.reset()
    await romeo.says(f"<message to='{JULIET}' type='chat'><body>Hi</body></message>")
    await romeo.says(f"<iq to='{JULIET}' type='get' id='1'><x xmlns='y'/></iq>")
    await trio.sleep(301)
    await romeo.expects(
        f"<iq type='error' id='1' from='{JULIET}' to='{ROMEO}'>{error('recipient-unavailable', 'wait')}</iq>"
    )
    assert len(server.accounts["juliet"].offline) == 1


# --- its end


async def test_leaving_the_block_leaves_nothing(autojump_clock):
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with open_server() as server:
        romeo = await log_in(server)
        _, _ = await log_in_managed(server, "juliet", "balcony")
        server.sessions[JULIET].link.black_hole()
        silent = RawClient(await server.endpoint())
    for client in (romeo, silent):
        await client.expects_end()
    assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_an_exception_in_the_body_leaves_unchanged(autojump_clock):
    for raised in (ValueError("mine"), ExceptionGroup("mine", [ValueError()])):
        with pytest.raises(type(raised)) as caught:
            async with open_server() as server:
                await log_in(server)
                raise raised
        assert caught.value is raised


async def test_cancelling_the_body_leaves_as_cancelled():
    with trio.move_on_after(0.01) as scope:
        async with open_server() as server:
            await log_in(server)
            await trio.sleep_forever()
    assert scope.cancelled_caught
