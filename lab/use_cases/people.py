"""Who may do what. Every write asks here, whatever the screen has shown."""

from __future__ import annotations

from lab.curation.state import Actor
from lab.errors import AccessError, InputError
from lab.settings import ROLES
from lab.use_cases.opening import Opening

MAX_NAME = 80


class People(Opening):
    """A part of :class:`lab.workbench.Workbench`."""

    def actor(self, name: str, verified: bool = False) -> Actor:
        """The person with the role that the settings give. ``verified``: ``name`` is an e-mail address that OIDC vouches for.

        InputError for a name that cannot stand in a record.
        """
        name = " ".join(name.split())
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InputError("This is no name.", f"Type your name: 1 to {MAX_NAME} characters on one line.")
        return Actor(name, verified, self._role(name, verified))

    def require(self, actor: Actor, role: str) -> None:
        """AccessError if the actor may not do what needs ``role``. What ``actor.role`` says does not count."""
        held = self._role(actor.name, actor.verified)
        if ROLES.index(held) < ROLES.index(role):
            why = "This is a read-only demo." if self.settings.read_only else f"{actor.name} is a {held} here; this needs a {role}."
            raise AccessError(why, "Start Router Lab without ROUTER_LAB_READ_ONLY." if self.settings.read_only else "Ask a maintainer for the role.")

    def _role(self, name: str, verified: bool) -> str:
        if self.settings.read_only:
            return ROLES[0]
        return self.settings.roles.get(name.lower(), ROLES[0]) if verified else self.settings.unverified_role
