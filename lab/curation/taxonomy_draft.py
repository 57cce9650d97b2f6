"""A change of the taxonomy as a screen or a command asks for it: data, from which the change is made anew on the labels of the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lab.curation import taxonomy_change
from lab.curation.state import State
from lab.curation.taxonomy_change import TaxonomyChange
from lab.errors import InputError
from lab.taxonomy import Backends, Domain, Taxonomy

KINDS = ("add", "rename", "merge", "split")


@dataclass(frozen=True)
class Draft:
    """``names``: the domains it is about (none for add). ``domains``: what they become: the new one, the renamed one, the merged one, the parts.

    ``prompts``: ids that get a new domain. ``assigned``, ``heir``, ``rest``: as lab.curation.taxonomy_change.split_domain.
    ``backend``: the model that answers a new or merged domain. ``version``: of the taxonomy that the person has looked at.
    """

    kind: str
    version: int
    names: tuple[str, ...] = ()
    domains: tuple[Domain, ...] = ()
    prompts: tuple[str, ...] = ()
    backend: str | None = None
    assigned: Mapping[str, str] = field(default_factory=dict)
    heir: str = ""
    rest: str | None = None

    def change(self, taxonomy: Taxonomy, backends: Backends, labels: Mapping[str, State]) -> TaxonomyChange:
        """InputError for what cannot be, or if the taxonomy has gone on since."""
        if taxonomy.version != self.version:
            raise InputError(f"The taxonomy is at version {taxonomy.version} now, you have looked at version {self.version}.", "Look at the preview again.")
        if self.kind not in KINDS:
            raise InputError(f"There is no change “{self.kind[:40]}”.", f"Use one of: {', '.join(KINDS)}.")
        if not self.domains or (self.kind in ("rename", "split") and not self.names):
            raise InputError("The change is not complete.", "Name the domain it is about, and what it becomes.")
        return getattr(self, f"_{self.kind}")(taxonomy, labels, backends)

    def _add(self, taxonomy: Taxonomy, labels: Mapping[str, State], backends: Backends) -> TaxonomyChange:
        return taxonomy_change.add_domain(taxonomy, labels, backends, self.domains[0], self.prompts, self.backend)

    def _rename(self, taxonomy: Taxonomy, labels: Mapping[str, State], backends: Backends) -> TaxonomyChange:
        new = self.domains[0]
        return taxonomy_change.rename_domain(taxonomy, labels, backends, self.names[0], new.name, new.definition, new.border)

    def _merge(self, taxonomy: Taxonomy, labels: Mapping[str, State], backends: Backends) -> TaxonomyChange:
        new = self.domains[0]
        same = taxonomy.by_name.get(new.name)
        into: Domain | str = new.name if same and new.name in self.names and not (new.definition or new.border) else new
        if isinstance(into, Domain) and same and new.name in self.names:
            into = replace(same, definition=new.definition or same.definition, border=new.border or same.border)
        return taxonomy_change.merge_domains(taxonomy, labels, backends, self.names, into, self.backend)

    def _split(self, taxonomy: Taxonomy, labels: Mapping[str, State], backends: Backends) -> TaxonomyChange:
        return taxonomy_change.split_domain(taxonomy, labels, backends, self.names[0], self.domains, self.assigned, self.heir, self.rest)
