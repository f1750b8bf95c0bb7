"""No file of the library touches a private name of a class that another file defines."""

from __future__ import annotations

import ast
import textwrap

from tests.private_names import reaches
from tests.sources import MODULES, tree_of

# Friends within one folder: (module, class, its private names), each with its reason.
FRIENDS: dict[tuple[str, str], set[str]] = {
    # The three stanzas share the lazy element of their base, a class that no other file subclasses.
    ("trioxmpp.protocol.stanza.message", "Stanza"): {"_element"},
    ("trioxmpp.protocol.stanza.presence", "Stanza"): {"_element"},
    ("trioxmpp.protocol.stanza.parse", "?"): {"_from_element"},
    ("trioxmpp.protocol.stanza.iq", "Stanza"): {"_payloads"},
    # The canonical text is written for each stanza; the property in between costs more than the string.
    ("trioxmpp.protocol.stanza.base", "JID"): {"_text"},
    # The two real servers fill in the steps of their base class, a template method.
    ("trioxmpp.testing.servers.ejabberd", "RealServer"): {"_fill", "_write"},
    ("trioxmpp.testing.servers.prosody", "RealServer"): {"_fill", "_write"},
}

# Reaches that still break the rule. This list only shrinks: remove an entry with the reach, or the test fails.
NOT_YET: dict[tuple[str, str], set[str]] = {}


def test_no_private_name_of_another_file_is_touched() -> None:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for reach in reaches({module: tree_of(path) for module, path in MODULES.items()}):
        where = f"{MODULES[reach.module]}:{reach.line}: {reach.expression} is a private name of {reach.owner}"
        found.setdefault((reach.module, reach.owner), {}).setdefault(reach.name, where)
    allowed = FRIENDS | NOT_YET
    assert not FRIENDS.keys() & NOT_YET.keys()
    new = [
        where for key, names in found.items() for name, where in names.items() if name not in allowed.get(key, set())
    ]
    assert not new, "\n".join(new)
    gone = [f"{key}: {name}" for key, names in allowed.items() for name in names if name not in found.get(key, {})]
    assert not gone, "no longer touched, so no longer allowed:\n" + "\n".join(sorted(gone))


def found_in(**sources: str) -> list[str]:
    """The reaches in a library of these files, as "file: expression of class"."""
    trees = {f"library.{name}": ast.parse(textwrap.dedent(text)) for name, text in sources.items()}
    return [f"{reach.module.partition('.')[2]}: {reach.expression} of {reach.owner}" for reach in reaches(trees)]


ACCOUNT = """
class Account:
    def __init__(self) -> None:
        self._balance = 0

    def _pay(self) -> None:
        self._balance -= 1
"""


def test_a_class_and_its_friends_in_the_file_may_touch_it() -> None:
    assert not found_in(account=ACCOUNT + "\ndef audit(account: Account) -> int:\n    return account._balance\n")


def test_a_private_attribute_of_a_parameter_is_foreign() -> None:
    teller = "from .account import Account\ndef rob(account: Account) -> None:\n    account._balance = 0\n"
    assert found_in(account=ACCOUNT, teller=teller) == ["teller: account._balance of Account"]


def test_a_name_that_the_file_happens_to_use_itself_does_not_hide_it() -> None:
    teller = """
    from .account import Account
    class Teller:
        def __init__(self, account: Account) -> None:
            self._account = account
            self._balance = self._account._balance
    """
    assert found_in(account=ACCOUNT, teller=teller) == ["teller: self._account._balance of Account"]


def test_an_object_made_on_the_spot_is_seen_through() -> None:
    teller = "from .account import Account\ndef rob() -> None:\n    account = Account()\n    account._pay()\n"
    assert found_in(account=ACCOUNT, teller=teller) == ["teller: account._pay of Account"]


def test_a_subclass_in_another_file_may_not_touch_its_base() -> None:
    savings = """
    from .account import Account
    class Savings(Account):
        def grow(self) -> None:
            self._balance += 1
            self._rate = 2
    """
    assert found_in(account=ACCOUNT, savings=savings) == ["savings: self._balance of Account"]


def test_an_object_of_unknown_class_is_foreign_unless_the_file_has_the_name() -> None:
    teller = "def rob(account):\n    account._balance = 0\n"
    assert found_in(account=ACCOUNT, teller=teller) == ["teller: account._balance of ?"]


def test_an_attribute_of_an_attribute_is_followed() -> None:
    bank = """
    from .account import Account
    class Bank:
        account: Account
    """
    teller = "from .bank import Bank\ndef rob(bank: Bank | None) -> None:\n    bank.account._pay()\n"
    assert found_in(account=ACCOUNT, bank=bank, teller=teller) == ["teller: bank.account._pay of Account"]


def test_underscored_names_that_are_documented_for_users_are_no_reach() -> None:
    assert not found_in(account="def other(place, kind):\n    return place._replace(x=1), kind._value_\n")
