"""Versions of routers: which there are, which one serves, promote and roll back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.corpus.provenance import stated_sources
from lab.curation.intake import SHIPPED
from lab.curation.state import Actor
from lab.database.connect import now
from lab.errors import ArtefactError, InputError, SettingsError
from lab.release import gateway, jobs, promotions
from lab.release.gate import Verdict, may_promote, override
from lab.release.promotions import Promotion
from lab.release.snapshot import take_snapshot
from lab.release.versions import Broken, Problem, Version, find_version, list_versions, publish, read_version, verify
from lab.text.adapted import NAME, keep, kept, name_of
from lab.use_cases.collecting import Collecting

RETRAIN, GATE = "retrain", "gate"
"""Kinds of jobs."""


@dataclass(frozen=True)
class VersionInfo:
    """One line of the registry. ``verdict``: of the gate, None if it was not held against it. ``problems``: empty for a sound version."""

    version: Version | Broken
    name: str
    champion: bool
    verdict: Verdict | None
    problems: tuple[Problem, ...] = ()

    @property
    def id(self) -> str:
        return self.version.id


class Registry(Collecting):
    """A part of :class:`lab.workbench.Workbench`."""

    @cached_property
    def _registry(self) -> Path:
        """The folder of versions, with the shipped routers in it and the default one serving."""
        root = self.home.versions
        with self._lock:
            there = {one.name for one in self._known_versions().values() if one.shipped}
            for name in self.shipped_names():
                if name not in there:
                    publish(root, self.home.routers / name, about={"origin": "shipped", "name": name}, extra=self._shipped_snapshot(name))
            self._serve_shipped()
            self.mirror()
        return root

    def _serve_shipped(self) -> None:
        """The default router serves until somebody promotes another; after an upgrade of the project it is the new one."""
        shipped = {named.name: one for one, named in self._known_versions().items() if named.shipped}
        with self.database.read() as connection:
            last = next(iter(promotions.history(connection)), None)
        if last is not None and ((last.who, last.verified) != (SHIPPED.name, SHIPPED.verified) or last.version in shipped.values()):
            return
        if self.settings.default_router not in shipped:
            raise SettingsError(f"The default router '{self.settings.default_router}' is not shipped.", f"Set ROUTER_LAB_ROUTER to one of: {', '.join(shipped)}.")
        with contextlib.suppress(InputError):  # another process has started the registry at the same time
            promotions.add(self.database, SHIPPED, shipped[self.settings.default_router], last.version if last else "", "promote", {}, "shipped with Router Lab")

    def _shipped_snapshot(self, name: str) -> dict[str, bytes]:
        """Of the shipped corpus, if the router was trained on just that."""
        from lab.evaluation.behaviour import reserved_ids
        from lab.router.dataset import build_dataset

        router = self.router(name)
        own_names = None if set(router.domains) <= set(self.taxonomy.by_name) else self.taxonomy.v5_labels()
        dataset = build_dataset(self.corpus.rows, self.taxonomy, self.frozen_split, own_names, reserved_ids(self.home))
        same = router.ours.get("corpus_sha256") == dataset.corpus_sha256 and router.ours.get("split_sha256") == dataset.split_sha256
        return take_snapshot(dataset, "shipped", self._stated_sources).files() if same else {}

    @cached_property
    def _stated_sources(self) -> dict[str, tuple[str, str]]:
        return stated_sources(self.home.corpus, self.corpus.rows)

    def _sound(self) -> list[Version]:
        return [one for one in list_versions(self.home.versions) if isinstance(one, Version)]

    def version_list(self) -> list[VersionInfo]:
        """Newest first. A damaged folder is in the list with what is wrong with it."""
        root = self._registry
        with self.database.read() as connection:
            serving = promotions.champion(connection)
        verdicts = self._verdicts()
        out, listed, names = [], list_versions(root), self._known_versions()
        for one in listed:
            broken = isinstance(one, Broken)
            name = names[one.id].name if one.id in names else one.id[:12]
            out.append(VersionInfo(one, name, one.id == serving, verdicts.get(one.id), tuple(one.problems) if broken else ()))
        return sorted(out, key=lambda info: "" if isinstance(info.version, Broken) else str(info.version.about.get("made_at_utc", "")), reverse=True)

    def _verdicts(self) -> dict[str, Verdict]:
        """Version → the newest verdict on it."""
        found: dict[str, Verdict] = {}
        for job in jobs.recent(self.database, limit=500):
            raw = job.result.get("verdict")
            if job.status == "done" and raw and job.result["version"] not in found:
                found[job.result["version"]] = Verdict.from_json(raw)
        return found

    def version(self, given: str) -> Version:
        """By name, id or the beginning of an id; "champion" is the one that serves. InputError if there is none."""
        if given == "champion":
            return self.champion()
        root = self._registry
        named = next((one.path for one in self._known_versions().values() if one.name == given), None)
        if named is not None:
            return read_version(named)
        alike = [one.name for one in self._known_versions().values() if one.name.startswith(f"{given} ")]
        if given and len(alike) > 1:
            raise InputError(f"{len(alike)} versions are called '{given}'.", f"Name one of: {', '.join(alike)}.")
        return find_version(root, given)

    def _sound_now(self) -> list[Version]:
        _ = self._registry
        return self._sound()

    def champion(self) -> Version:
        """The version that serves."""
        _ = self._registry
        return self._champion()

    def _champion(self) -> Version:
        with self.database.read() as connection:
            serving = promotions.champion(connection)
        return find_version(self.home.versions, serving or "")

    def promotion_history(self) -> list[Promotion]:
        """Newest first."""
        _ = self._registry
        with self.database.read() as connection:
            return promotions.history(connection)

    def mirror(self) -> Version:
        """Make the serving folder show the champion. A damaged champion changes nothing: what served keeps serving."""
        return gateway.mirror(self.home.serving, self._champion, self._encoder_of)

    def _encoder_of(self, version: Version) -> Path | None:
        """The folder of the adapted encoder that it reads, None where it reads a public one. EncoderError if it is not here."""
        return kept(version.router.encoder_name, self.home.adapted)

    def promote(self, actor: Actor, given: str, replaced: str, reason: str = "") -> Promotion:
        """``given`` serves from now on, for every session. ``replaced``: the champion's id that the screen showed.

        Needs a maintainer, a sound folder, and a verdict that passed; a refused one may be overridden with a written reason, which is
        recorded. A version that has served before is promoted again without a verdict: a rollback. InputError if somebody was quicker.
        """
        self.require(actor, "maintainer")
        version = gateway.reread(self._registry, self.version(given))
        self._encoder_of(version)  # one that could not answer is not promoted
        before = {one.version for one in self.promotion_history()}
        action, record = ("rollback", {}) if version.id in before else ("promote", self._permission(actor, version, replaced, reason))
        done = promotions.add(self.database, actor, version.id, replaced, action, record, reason.strip())
        self.mirror()
        return done

    def _permission(self, actor: Actor, version: Version, replaced: str, reason: str) -> Mapping[str, Any]:
        verdict = self._verdicts().get(version.id)
        if verdict is not None and verdict.champion != replaced:
            raise InputError(f"The gate held {version.short} against {str(verdict.champion)[:12]}, which serves no more.", "Run the gate on it again.")
        given = override(verdict, actor.name, actor.verified, reason, now()) if verdict is not None and not verdict.passed and reason.strip() else None
        may_promote(verdict, given)
        return {"verdict": verdict.to_json() if verdict else None, "override": given.to_json() if given else None}

    def verify_version(self, given: str) -> list[Problem]:
        """Every hash computed again."""
        version = self.version(given)
        return verify(version.path, version.id)

    def import_version(self, actor: Actor, folder: Path, name: str = "") -> Version:
        """A router folder from elsewhere; what it does not say is listed in its ``about``."""
        self.require(actor, "maintainer")
        about = {"name": name or folder.resolve().name, "made_at_utc": now(), "who": actor.name, "verified": actor.verified}
        for one in folder.iterdir():
            if NAME.fullmatch(one.name) and one.is_dir():
                if name_of(one) != one.name:
                    raise ArtefactError(f"{one} does not hold the weights that its name states.", "Export the router again.")
                keep(one, self.home.adapted)
        return gateway.import_folder(self._registry, folder, about=about)

    def export_version(self, given: str, folder: Path) -> Path:
        """The three files that a gateway loads."""
        version = self.version(given)
        return gateway.export(version, folder, self._encoder_of(version))

    def plain_loss(self, given: str) -> str:
        """What a gateway that knows no n-grams loses of a version; "" for nothing."""
        return gateway.plain_loss(self.version(given))

    # jobs

    @cached_property
    def _watch(self) -> jobs.Watch:
        return jobs.Watch(self.database)

    @cached_property
    def _processes(self) -> list[Any]:
        return []

    @cached_property
    def _job_lock(self) -> threading.Lock:
        return threading.Lock()

    def open_jobs(self) -> list[jobs.Job]:
        """Jobs that wait or run, after those whose worker is dead were declared lost."""
        with self._job_lock:
            for process in self._processes[:]:
                if process.poll() is not None:
                    self._processes.remove(process)
        return self._watch.look()

    def job(self, job_id: str) -> jobs.Job:
        return jobs.get(self.database, job_id)

    def recent_jobs(self, kind: str = RETRAIN, limit: int = 20) -> list[jobs.Job]:
        return jobs.recent(self.database, kind, limit)

    def job_log(self, job_id: str, kind: str = "") -> list[tuple[str, str, Any]]:
        return jobs.read_log(self.database, job_id, kind)

    def cancel_job(self, actor: Actor, job_id: str) -> jobs.Job:
        self.require(actor, "maintainer")
        return jobs.cancel(self.database, job_id)
