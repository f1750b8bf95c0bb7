"""XEP-0004: forms, as elements and as classes with typed fields."""

from __future__ import annotations

import enum
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trioxmpp import JID, xml
from trioxmpp.protocol.elements.forms import DataForm, Field, FieldType, FormType
from trioxmpp.xep import forms
from trioxmpp.xep.forms import Form, FormError

VECTORS = json.loads((Path(__file__).parents[1] / "protocol" / "vectors" / "dataform.json").read_text())


def parse(text: str) -> DataForm:
    return xml.parse(DataForm, xml.fromstring(text))


def structure(field: Field) -> dict[str, Any]:
    options = [{"label": option.label, "value": option.value} for option in field.options]
    plain = [{key: value for key, value in option.items() if value is not None} for option in options]
    found: dict[str, Any] = {"var": field.var, "type": field.type and str(field.type), "label": field.label}
    found |= {"desc": field.desc, "required": field.required, "values": [*field.values], "options": plain}
    return {key: value for key, value in found.items() if value not in (None, [], False)}


def whole(form: DataForm) -> dict[str, Any]:
    found: dict[str, Any] = {"type": str(form.type), "title": form.title, "instructions": [*form.instructions]}
    found |= {"fields": [structure(field) for field in form.fields], "form_type": form.form_type}
    found["reported"] = form.reported and [structure(field) for field in form.reported.fields]
    found["items"] = [[structure(field) for field in item.fields] for item in form.items]
    return {key: value for key, value in found.items() if value not in (None, [])}


def typed(form: Form, var: str) -> Any:
    value = form[var]
    if isinstance(value, tuple):
        return [str(each) for each in value]
    return str(value) if isinstance(value, JID) else value


@pytest.mark.item("D3.11")
def test_every_example_of_a_form_is_read() -> None:
    wrong = []
    for vector in VECTORS["parse"]:
        data = parse(vector["xml"])
        again = parse(xml.serialise(data))
        if not (whole(data) == whole(again) == vector["expect"]) or again != data:
            wrong.append(f"{vector['id']}: {whole(data)} is not {vector['expect']}")
        if vector["typed"] is not None:
            found = {var: typed(Form.read(data), var) for var in vector["typed"]}
            if found != vector["typed"]:
                wrong.append(f"{vector['id']}: {found} is not {vector['typed']}")
    assert not wrong, "\n".join(wrong)


def test_a_value_of_another_type_is_an_error_when_it_is_used() -> None:
    invalid = [
        vector for vector in VECTORS["parse"] if vector["name"].startswith(("boolean invalid", "jid-single inv"))
    ]
    assert len(invalid) == 5
    for vector in invalid:
        form = Form.read(parse(vector["xml"]))
        for var in form:
            with pytest.raises(FormError) as caught:
                form[var]
            assert caught.value.var == var
            assert str(caught.value).startswith(f"{var}: ")


def submitted(vector: dict[str, Any]) -> DataForm:
    form = Form.read(parse(vector["form_xml"]))
    if vector["answers"] == "cancel":
        return form.cancel()
    for var, value in vector["answers"].items():
        form[var] = value
    return form.submit()


def values(form: DataForm) -> dict[str | None, Any]:
    same = {"true": "1", "false": "0"}
    return {field.var: [same.get(value, value) for value in field.values] for field in form.fields}


@pytest.mark.item("D3.11")
def test_every_example_of_an_answer_is_submitted_or_refused() -> None:
    wrong = []
    for vector in VECTORS["submit"]:
        try:
            found = submitted(vector)
        except FormError as exc:
            if vector["error"] is None:
                wrong.append(f"{vector['id']}: {exc}")
            continue
        expected = parse(vector["submit_xml"]) if vector["error"] is None else None
        if expected is None:
            wrong.append(f"{vector['id']}: not refused: {vector['error']}")
            continue
        if vector["name"] == "defaults kept":  # which may be sent, or left out
            sent = values(found)
            same = sent.items() <= values(expected).items() and "botname" in sent
        else:
            same = values(found) == values(expected)
        if not same or found.type != expected.type or any(field.type for field in found.fields[1:]):
            wrong.append(f"{vector['id']}: {values(found)} is not {values(expected)}")
    assert not wrong, "\n".join(wrong)


class Whois(enum.StrEnum):
    MODERATORS = "moderators"
    ANYONE = "anyone"


class Event(enum.StrEnum):
    JOIN = "join"
    LEAVE = "leave"


class RoomConfig(Form, form_type="urn:x:room"):
    name = forms.text("name")
    topic = forms.text("topic", default="nothing")
    about = forms.multi("about")
    public = forms.boolean("public", default=True)
    moderated = forms.boolean("moderated")
    limit = forms.integer("limit")
    since = forms.moment("since")
    owner = forms.jid("owner")
    admins = forms.jids("admins")
    whois = forms.choice("whois", Whois)
    announces = forms.choices("announces", Event)
    languages = forms.texts("languages")
    secret = forms.private("secret")
    token = forms.hidden("token")


def field(var: str, *values: str, type: str = "text-single", required: bool = False) -> Field:
    return Field(var=var, type=FieldType(type), values=values, required=required)


def config(*fields: Field) -> DataForm:
    return DataForm(type=FormType.FORM, fields=(field("FORM_TYPE", "urn:x:room", type="hidden"), *fields))


FULL = config(
    field("name", "Orchard"),
    field("about", "one", "", "three", type="text-multi"),
    field("public", "0", type="boolean"),
    field("limit", "30"),
    field("since", "2024-01-01T00:00:00Z"),
    field("owner", "Juliet@example.org", type="jid-single"),
    field("admins", "a@b", "A@B", "c@d", type="jid-multi"),
    field("whois", "anyone", type="list-single"),
    field("announces", "leave", "join", type="list-multi"),
    field("languages", "de", "en", type="list-multi"),
    field("secret", "v3r0na", type="text-private"),
    field("token", "t-1", type="hidden"),
    field("unknown", "kept"),
)


@pytest.mark.item("D3.11")
def test_the_fields_of_a_class_are_typed() -> None:
    form = RoomConfig.read(FULL)
    name: str | None = form.name
    public: bool = form.public
    admins: tuple[JID, ...] = form.admins
    whois: Whois | None = form.whois
    assert (name, form.topic, form.about) == ("Orchard", "nothing", ("one", "", "three"))
    assert (public, form.moderated, form.limit) == (False, None, 30)
    assert form.since == datetime(2024, 1, 1, tzinfo=UTC)
    assert (form.owner, admins) == (JID.parse("juliet@example.org"), (JID.parse("a@b"), JID.parse("c@d")))
    assert (whois, form.announces) == (Whois.ANYONE, (Event.LEAVE, Event.JOIN))
    assert (form.languages, form.secret, form.token) == (("de", "en"), "v3r0na", "t-1")
    assert form["unknown"] == "kept"


@pytest.mark.item("D3.11")
def test_only_what_was_changed_or_is_required_or_hidden_is_submitted() -> None:
    form = RoomConfig.read(config(field("name", "Orchard", required=True), *FULL.fields[2:]))
    form.public = True
    form.admins = (JID.parse("e@f"),)
    form["unknown"] = "changed"
    assert form.public is True
    data = form.submit()
    assert data.type is FormType.SUBMIT
    assert {each.var: each.values for each in data.fields} == {
        "FORM_TYPE": ("urn:x:room",),
        "name": ("Orchard",),
        "public": ("1",),
        "admins": ("e@f",),
        "token": ("t-1",),
        "unknown": ("changed",),
    }
    assert [each.var for each in data.fields if each.type is not None] == ["FORM_TYPE"]


def test_a_form_can_be_made_without_one_that_arrived() -> None:
    form = RoomConfig()
    form.name, form.limit, form.whois, form.moderated = "Balcony", 5, Whois.MODERATORS, False
    form.since = datetime(2024, 1, 1, tzinfo=UTC)
    form.about = ("a", "b")
    sent = RoomConfig.read(parse(xml.serialise(form.submit())))
    assert (sent.name, sent.limit, sent.whois, sent.moderated) == ("Balcony", 5, Whois.MODERATORS, False)
    assert (sent.since, sent.about, sent.owner, sent.admins) == (form.since, ("a", "b"), None, ())


@pytest.mark.item("D3.11")
def test_a_wrong_value_is_an_error_at_access_and_not_before() -> None:
    form = RoomConfig.read(
        config(field("public", "TRUE"), field("limit", "many"), field("owner", "@"), field("whois", "nobody"))
    )
    for name in ("public", "limit", "owner", "whois"):
        with pytest.raises(FormError) as caught:
            getattr(form, name)
        assert caught.value.var == name
    form.limit = 3
    assert form.limit == 3


def test_a_value_of_the_wrong_class_is_a_type_error_that_names_the_field() -> None:
    form: Any = RoomConfig()
    wrong = {"name": 5, "public": "1", "limit": "5", "owner": "a@b", "admins": JID.parse("a@b"), "whois": "anyone"}
    for name, value in {**wrong, "about": "text", "announces": ("join",), "limit ": True}.items():
        with pytest.raises(TypeError, match=f"^{name.strip()} must be "):
            setattr(form, name.strip(), value)
    assert form.submit().fields[1:] == ()


def test_a_value_that_the_form_does_not_allow_is_refused() -> None:
    options = parse(
        "<x xmlns='jabber:x:data' type='form'><field var='whois' type='list-single'>"
        "<option><value>anyone</value></option></field><field var='name' type='text-single'><required/></field></x>"
    )
    form = RoomConfig.read(options)
    with pytest.raises(FormError, match="not among the options"):
        form.whois = Whois.MODERATORS
    with pytest.raises(FormError, match="line break"):
        form.name = "two\nlines"
    with pytest.raises(FormError, match="name: a value is required"):
        form.submit()
    form.name = "one"
    form.name = None
    with pytest.raises(FormError, match="name: a value is required"):
        form.submit()


def test_a_form_of_another_kind_is_refused() -> None:
    with pytest.raises(FormError, match="expected urn:x:room, got urn:x:other"):
        RoomConfig.read(DataForm(fields=(field("FORM_TYPE", "urn:x:other", type="hidden"),)))


def test_a_password_is_not_shown() -> None:
    form = RoomConfig.read(FULL)
    form.secret = "m4ntua"
    shown = repr(form) + repr(FULL) + repr(Form.read(FULL))
    assert "v3r0na" not in shown
    assert "m4ntua" not in shown
    assert "Orchard" in shown


def test_the_rows_of_a_table_are_typed() -> None:
    data = parse(
        "<x xmlns='jabber:x:data' type='result'>"
        "<reported><field var='jid' type='jid-single'/><field var='n'/></reported>"
        "<item><field var='jid'><value>A@b</value></field><field var='n'><value>1</value></field></item>"
        "<item><field var='jid'><value>c@d</value></field></item></x>"
    )
    rows = Form.rows(data)
    assert [row["jid"] for row in rows] == [JID.parse("a@b"), JID.parse("c@d")]
    assert rows[0]["n"] == "1"
    with pytest.raises(KeyError):
        rows[1]["n"]


def test_a_hostile_form_harms_nothing() -> None:
    fields = "<field/><field type='x'/><field var=''/><field var='a'><option/></field>"
    data = parse(f"<x xmlns='jabber:x:data' type='strange'>{fields}<item/><reported/></x>")
    form = Form.read(data)
    assert (data.type, form["a"], form[""]) == ("strange", None, None)
    assert pickle.loads(pickle.dumps(data)) == data
    many = DataForm(fields=tuple([field(f"f{number}", "1") for number in range(10_000)]))
    assert len([*Form.read(many)]) == 10_000
