"""The examples of RFC 6120, RFC 6121 and the XEPs: 819 stanzas, what stands between them, and what we must write."""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.failures import check_each
from trioxmpp import IQ, IQType, Message, Presence, xml
from trioxmpp.protocol import ns, sasl2, sm, starttls
from trioxmpp.protocol.auth import Auth, Challenge, Success
from trioxmpp.protocol.bind import Bind
from trioxmpp.protocol.fast import Fast
from trioxmpp.protocol.features import parse_features
from trioxmpp.protocol.sasl2 import SASL2Offer
from trioxmpp.protocol.stanza import parse_stanza
from trioxmpp.protocol.streamerror import parse_stream_error

# Its "notice" says whose the examples are.
VECTORS = json.loads((Path(__file__).parent / "vectors" / "stanzas.json").read_text())
NONZAS: dict[str, list[Any]] = {}
for vector in VECTORS["nonzas"]:
    NONZAS.setdefault(vector["expect"]["kind"], []).append(pytest.param(vector, id=vector["id"]))
WRITTEN = {vector["build"]: vector["xml"] for vector in VECTORS["serialise"]}

AnyStanza = Message | Presence | IQ


def read(text: str) -> AnyStanza:
    stanza = parse_stanza(xml.fromstring(text))
    assert stanza is not None
    return stanza


def declared(text: str) -> str:
    """The text for a stream whose default namespace is ``jabber:client``, as a document of its own."""
    root = xml.fromstring(f"<stream xmlns='{ns.CLIENT}'>{text}</stream>")
    return xml.serialise(root[0], "")


def name_of(payload: xml.Element) -> list[str]:
    namespace, _, name = str(payload.tag)[1:].rpartition("}")
    return [namespace, name]


def values(stanza: AnyStanza) -> dict[str, Any]:
    """The fields of a stanza as the examples give them: without what is not there."""
    kind: enum.Enum = stanza.type
    found: dict[str, Any] = {"kind": stanza.NAME, "type": kind.value or "available"}
    found |= {"id": stanza.id, "to": stanza.to and str(stanza.to), "from": stanza.from_ and str(stanza.from_)}
    found["lang"] = stanza.lang
    if isinstance(stanza, Message):
        thread = {"id": stanza.thread, "parent": stanza.parent_thread}
        found |= {"body": stanza.bodies or None, "subject": stanza.subjects or None}
        found["thread"] = {key: value for key, value in thread.items() if value is not None} or None
    if isinstance(stanza, Presence):
        found |= {"show": stanza.show and stanza.show.value, "status": stanza.statuses or None}
        found["priority"] = stanza.priority or None
    if stanza.error is not None:
        error = stanza.error
        said = {"type": error.TYPE.value, "condition": error.condition.value, "text": error.text}
        said |= {"by": error.by and str(error.by), "address": error.address}
        said["app"] = None if error.application is None else name_of(error.application)
        found["error"] = {key: value for key, value in said.items() if value is not None}
    found = {key: value for key, value in found.items() if value is not None}
    return found | {"payloads": [name_of(payload) for payload in stanza.payloads]}


def expected(vector: dict[str, Any]) -> dict[str, Any]:
    """Without the typed payloads; of several conditions of applications an error has the first."""
    said = {key: value for key, value in vector["expect"].items() if key not in ("ext", "untyped")}
    if "app" in said.get("error", {}):
        first = said["error"]["app"][0]
        said["error"] = said["error"] | {"app": [first["ns"], first["name"]]}
    return said


def read_and_read_again(vector: dict[str, Any]) -> None:
    stanza, again = read(vector["xml"]), read(declared(read(vector["xml"]).serialise()))
    assert values(stanza) == values(again) == expected(vector)
    for one, other in zip(stanza.payloads, again.payloads, strict=True):
        assert xml.equal(one, other)
    if stanza.error is not None and stanza.error.application is not None:
        assert again.error is not None
        assert xml.equal(stanza.error.application, again.error.application)


def test_stanzas() -> None:
    """Each is read, and read again from what we write."""
    check_each([(vector["id"], vector) for vector in VECTORS["stanzas"]], read_and_read_again)


def offered(offer: SASL2Offer | None) -> dict[str, Any] | None:
    """The offer of SASL2 in the examples, without the parts that are missing there."""
    if offer is None:
        return None
    bind, fast = offer.inline.bind, offer.inline.fast
    inline = {ns.BIND2: bind is not None, ns.SM: offer.resumes, ns.FAST: fast is not None}
    found: dict[str, Any] = {"mechanisms": list(offer.mechanisms)}
    found["inline"] = [namespace for namespace, is_there in inline.items() if is_there]
    found["bind2_inline"] = sorted(bind.features) if bind is not None else []
    found["sm_resume"] = offer.resumes
    found["upgrades"] = [upgrade.task for upgrade in offer.upgrades]
    if fast is not None:
        found["fast"] = {"mechanisms": list(fast.mechanisms), "tls_0rtt": fast.tls_0rtt}
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize("vector", NONZAS["features"])
def test_features(vector: dict[str, Any]) -> None:
    element, said = xml.fromstring(vector["xml"]), vector["expect"]
    features = parse_features(element)
    assert features.starttls == ("starttls" in said)
    assert features.starttls_required == said.get("starttls", {}).get("required", False)
    assert list(features.mechanisms) == said.get("sasl1", {}).get("mechanisms", [])
    assert features.bind == said.get("bind", False)
    assert features.sm == said.get("sm", False)
    assert offered(features.sasl2) == said.get("sasl2")
    assert not features.session_required  # where it is offered at all, it is optional
    assert features.has(f"{{{ns.SESSION}}}session") == ("session" in said)
    assert features.has("{urn:xmpp:csi:0}csi") == said.get("csi", False)
    assert features.has("{urn:xmpp:features:rosterver}ver") == said.get("roster_versioning", False)
    assert features.has("{urn:xmpp:features:pre-approval}sub") == said.get("pre_approval", False)
    assert features.has("{http://jabber.org/features/iq-register}register") == said.get("register", False)
    assert (features.tags == set()) == said.get("empty", False)


@pytest.mark.parametrize("vector", NONZAS["sm_enabled"])
def test_sm_enabled(vector: dict[str, Any]) -> None:
    granted, said = sm.parse_enabled(xml.fromstring(vector["xml"])), vector["expect"]
    assert (granted.id, granted.resumable, granted.max) == (said["id"], said["resume"], said["max"])
    location = None if granted.location is None else "[{}]:{}".format(*granted.location)
    assert location == said["location"]


def text_of(data: bytes | None) -> str | None:
    return None if data is None else data.decode()


def succeeded(element: xml.Element) -> dict[str, Any]:
    said = xml.parse(sasl2.Success, element)
    found: dict[str, Any] = {"authorization_identifier": (said.identifier or "").strip()}
    if said.tokens or said.bounds or said.others:
        assert said.data is None
    else:
        found["data"] = None if said.data is None else text_of(said.data)
    for token in said.tokens:
        assert token.expiry is not None
        found["token"] = {"token": token.token, "expiry": f"{token.expiry:%Y-%m-%dT%H:%M:%SZ}"}
    if said.resumption is not None:
        found["resumed"] = dict(zip(("previd", "h"), sm.parse_resumed(said.resumption), strict=True))
    return found


def continued(element: xml.Element) -> dict[str, Any]:
    said = xml.parse(sasl2.Continue, element)
    return {"data": text_of(said.data or b""), "tasks": list(said.tasks), "text": said.text}


def task_data(element: xml.Element) -> dict[str, Any]:
    said = xml.parse(sasl2.TaskData, element)
    assert said.salt is not None
    salt = base64.b64encode(said.salt.salt).decode()
    return {"scram_upgrade": {"salt_b64": salt, "iterations": said.salt.iterations}}


READERS: dict[str, Callable[[xml.Element], dict[str, Any]]] = {
    "sm_resumed": lambda element: dict(zip(("previd", "h"), sm.parse_resumed(element), strict=True)),
    "sm_failed": lambda element: {"h": sm.parse_failed(element).h, "condition": sm.parse_failed(element).condition},
    "sm_a": lambda element: {"h": sm.parse_ack(element)},
    "sm_r": lambda element: {} if xml.equal(element, xml.fromstring(sm.REQUEST)) else {"": "another element"},
    "tls_proceed": lambda element: {} if element.tag == starttls.PROCEED else {"": "another element"},
    "tls_failure": lambda element: {} if element.tag == starttls.FAILURE else {"": "another element"},
    "sasl_challenge": lambda element: {"data": text_of(xml.parse(Challenge, element).data)},
    "sasl_success": lambda element: {"data": text_of(xml.parse(Success, element).data)},
    "sasl2_success": succeeded,
    "sasl2_continue": continued,
    "sasl2_task_data": task_data,
    "stream_error": lambda element: {"condition": parse_stream_error(element).condition.value},
}


@pytest.mark.parametrize("vector", [vector for kind in READERS for vector in NONZAS[kind]])
def test_other_nonzas(vector: dict[str, Any]) -> None:
    said = dict(vector["expect"])
    said.pop("bound", None)  # what is in there is read where there is an archive
    found = READERS[said.pop("kind")](xml.fromstring(vector["xml"]))
    if said.get("condition", "") is None:
        said["condition"] = "undefined-condition"
    assert found == said


@pytest.mark.parametrize(
    ("build", "written"),
    [
        ("starttls", starttls.REQUEST),
        ("bind()", IQ(type=IQType.SET, id="*", payload=Bind()).serialise()),
        ("bind(resource=balcony)", IQ(type=IQType.SET, id="*", payload=Bind(resource="balcony")).serialise()),
        ("sasl1 PLAIN juliet r0m30myr0m30", xml.serialise(Auth(mechanism="PLAIN", data=b"\0juliet\0r0m30myr0m30"))),
        ("sasl1 empty initial response", xml.serialise(Auth(mechanism="EXTERNAL", data=b""))),
        ("sasl2 empty initial response", xml.serialise(sasl2.Authenticate(mechanism="EXTERNAL", data=b""))),
        ("fast authenticate count=123 invalidate", xml.serialise(Fast(count=123, invalidate=True))),
    ],
)
def test_the_elements_that_we_must_write(build: str, written: str) -> None:
    assert xml.equal(xml.fromstring(declared(written)), xml.fromstring(WRITTEN[build]))


def test_no_example_is_missing() -> None:
    """Vectors of features that are not supported yet are counted. Support for one moves its vectors."""
    later = {"ws_open", "ws_close", "component_handshake"}
    assert len(VECTORS["stanzas"]) == 819
    assert set(NONZAS) - set(READERS) - {"features", "sm_enabled"} == later
