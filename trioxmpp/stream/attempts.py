"""The attempts to resume a session that led to nothing, by what they say about the server.

Some servers answer a request to resume by ending the stream, or not at all. They would keep a client out for as long as
it has the session. A request may go along with the login (XEP-0388): then a network that cuts logins looks the same. So
after a few logins in vain it is made after the login, where it is the only thing that the server has to answer.
"""

from __future__ import annotations

import enum

__all__ = ["MAX_VAIN_LOGINS", "ResumptionAttempts"]

#: Logins in a row that led to nothing, after which the request to resume is not made along with a login any more.
MAX_VAIN_LOGINS = 2


class _Asked(enum.Enum):
    """When the server was asked to resume the session, in one attempt to get a link."""

    NOT = enum.auto()
    IN_LOGIN = enum.auto()
    AFTER_LOGIN = enum.auto()


class ResumptionAttempts:
    """Counts the attempts of one session. It begins with those of other processes."""

    def __init__(self, vain_logins: int = 0, unanswered: int = 0) -> None:
        self.vain_logins: int = vain_logins
        """The logins in a row that led to nothing, and along with which the server was asked."""
        self.unanswered: int = unanswered
        """The attempts in a row in which the server was asked after the login, and did not answer."""
        self.fruitless: int = 0
        """The links in a row on which the session was resumed, and the server took nothing of what we sent in it."""
        self._asked = _Asked.NOT

    def begin(self) -> None:
        """There is going to be a link, on which the server may be asked."""
        self._asked = _Asked.NOT

    @property
    def may_ask_in_login(self) -> bool:
        """Whether the request may go along with a login."""
        return self.vain_logins < MAX_VAIN_LOGINS

    def ask(self, *, in_login: bool) -> None:
        """The server is about to be asked. A second request in the same attempt counts once."""
        asked = _Asked.IN_LOGIN if in_login else _Asked.AFTER_LOGIN
        if self._asked is not asked:
            self._asked = asked
            self.vain_logins += in_login
            self.unanswered += not in_login

    def answered(self) -> None:
        """The server goes on with the session."""
        self._asked, self.vain_logins, self.unanswered = _Asked.NOT, 0, 0

    def ended(self, *, refused: bool) -> bool:
        """An attempt, or a link, has ended. Return whether the server was asked, and has not answered.

        If the login was `refused`, the server has said nothing about the session.
        """
        if self._asked is _Asked.NOT:
            self.vain_logins = self.unanswered = 0  # there are other obstacles, which may have been there before
        elif refused:
            self.vain_logins -= self._asked is _Asked.IN_LOGIN
        return self._asked is not _Asked.NOT and not refused

    def link_ended(self, *, is_fruitless: bool) -> None:
        """A link has ended on which the session was resumed."""
        self.fruitless = self.fruitless + 1 if is_fruitless else 0
