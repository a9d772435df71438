"""What a session asks, and why its answer may or may not come from the cache (PURE)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from longshore.pool.cache.model import Reason
from longshore.pool.cache.question import Question
from longshore.pool.cache.text import CLOCK_WORD, Options, ReadText, read_text
from longshore.sql.classify import classify
from longshore.sql.facts import UNKNOWN_TEXT, Kind

if TYPE_CHECKING:
    from longshore.pool.cache.batch import Batch
    from longshore.pool.cache.pool_cache import Account, PoolCache
    from longshore.pool.catalogue.catalogue import Catalogue
    from longshore.pool.session.core import SessionCore
    from longshore.pool.session.prepared import Prepared
    from longshore.sql.facts import Statement, TextFacts

__all__ = ["SETTING", "Asking", "switch"]

SETTING: Final = "longshore.cache"
_MEANINGLESS: Final = frozenset(
    {"application_name", SETTING, "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}
)
"""Settings that do not change the answer."""
_SET_CONFIG: Final = re.compile(r"SELECT pg_catalog\.set_config\('[^']*', '([^']*)', false\)")
_NOTHING_SAID: Final = Options()
_SWITCHES: Final = {
    "off": False,
    "false": False,
    "0": False,
    "no": False,
    "on": True,
    "true": True,
    "1": True,
    "yes": True,
}


@lru_cache(maxsize=64)
def switch(sql: str) -> bool | None:
    """Return what a statement sets ``longshore.cache`` to; None: nothing that means anything."""
    found = _SET_CONFIG.fullmatch(sql)
    value = found[1] if found is not None else None
    if value is None and (single := classify(sql).single) is not None and single.kind is Kind.SET:
        value = single.value
    return _SWITCHES.get(value.lower()) if value is not None else None


class Asking:
    """Makes questions for one session.

    Args:
        session: whose.
        cache: of its pool.
    """

    def __init__(self, session: SessionCore, cache: PoolCache) -> None:
        self._session = session
        self._cache = cache
        self._settings: dict[str, str] | None = None  # those of which the next two were made
        self._account: Account | None = None
        self._identity: tuple[object, ...] = ()
        self._switch: bool | None = None
        self._path: tuple[str, ...] | None = None
        self._path_of: tuple[Catalogue, object] | None = None
        self.text = ""
        """Of the last question, without comments."""
        self.ignored = ""

    def identity(self) -> tuple[object, ...]:
        """Return who asks: whoever is the same gets the same answers."""
        settings, account = self._session.belongings.settings, self._cache.account
        if settings != self._settings or account is not self._account:
            self._settings, self._account = dict(settings), account
            kept = tuple(sorted(item for item in settings.items() if item[0] not in _MEANINGLESS))
            self._identity = (self._session.tenant, self._cache.name, account, kept)
            self._switch = switch(settings[SETTING]) if SETTING in settings else None
        return self._identity

    @property
    def wish(self) -> bool | None:
        """Whether the session wants the cache; None: it has not said so. Holds for the last ``identity``."""
        return self._switch

    def path(self, catalogue: Catalogue) -> tuple[str, ...] | None:
        """Return where the session looks for names; None when that is not known."""
        identity = self.identity()
        if self._path_of is None or self._path_of[0] is not catalogue or self._path_of[1] is not identity:
            self._path = catalogue.search_path(self._session.belongings.settings)
            self._path_of = (catalogue, identity)
        return self._path

    def question(self, batch: Batch, body: bytes, prepared: Prepared | None) -> Question | Reason | None:
        """Return what is asked; why it is not for the cache; or None: it is no read.

        Args:
            batch: at the head of the session's messages.
            body: text, NUL and parameter types.
            prepared: the statement that it is about.
        """
        self.text = self.ignored = ""
        read = self._read(body)
        if isinstance(read, Reason):
            return read
        self.text, self.ignored = read.text, read.options.ignored
        facts = classify(read.text)
        statement = facts.single
        if facts is UNKNOWN_TEXT:
            return Reason.UNREADABLE
        if statement is None:
            is_several = any(each.kind is Kind.READ for each in facts.statements)
            return Reason.MULTIPLE_STATEMENTS if is_several else None
        if statement.kind is not Kind.READ:
            return Reason.LOCKS_ROWS if statement.kind is Kind.WRITE and not statement.writes else None
        return self._question(batch, body, prepared, read, facts)

    def refusal(self, facts: TextFacts, statement: Statement, text: str) -> Reason | None:
        """Return why a read without comments is not for the cache, whatever its values; None: it may be."""
        if (refusal := self._refusal(_NOTHING_SAID)) is not None:
            return refusal
        try:
            if read_text(text).has_clock_word:
                return Reason.VOLATILE
        except ValueError:
            return Reason.UNREADABLE
        relations = self._relations(facts, statement)
        return relations if isinstance(relations, Reason) else None

    def _read(self, body: bytes) -> ReadText | Reason:
        raw = body[: body.index(0)]
        if len(raw) > self._cache.max_query_bytes:
            return Reason.OVERSIZED_QUERY
        parameters = self._session.parameters
        is_known = raw.isascii() or parameters.get(b"client_encoding") == b"UTF8"
        if not is_known or parameters.get(b"standard_conforming_strings", b"on") != b"on":
            return Reason.UNREADABLE  # the parser would read another text than the server
        try:
            return read_text(raw.decode())
        except ValueError:
            return Reason.UNREADABLE

    def _question(
        self, batch: Batch, body: bytes, prepared: Prepared | None, read: ReadText, facts: TextFacts
    ) -> Question | Reason:
        identity, cache = self.identity(), self._cache
        if (refusal := self._refusal(read.options)) is not None:
            return refusal
        statement = facts.single
        assert statement is not None
        if read.has_clock_word or CLOCK_WORD.search(batch.values) is not None:
            return Reason.VOLATILE
        relations = self._relations(facts, statement)
        if isinstance(relations, Reason):
            return relations
        is_described = batch.describes_statement or batch.describes_portal
        told = None if prepared is None or is_described else prepared.shape.rows
        types = body[body.index(0) :] if batch.query is None else None
        form = (types, batch.values, batch.describes_statement, batch.describes_portal, batch.limit, told)
        rules, options = cache.rules, read.options
        return Question(
            key=(*identity, read.text, *form),
            text=read.text,
            relations=relations,
            max_age_s=rules.max_age_s if options.ttl_s is None else options.ttl_s,
            swr_s=rules.stale_while_revalidate_s if options.swr_s is None else options.swr_s,
            max_bytes=rules.max_result_bytes,
            batch=batch,
            tenant=self._session.tenant,
            body=body if batch.query is None else b"",
            prepared=prepared,
            settings=self._session.belongings.settings,
            parameters=self._session.parameters,
            ignored=read.options.ignored,
        )

    def _refusal(self, options: Options) -> Reason | None:
        """Return why nothing is kept here, whatever it is: the comment is nearest, then the session, then the rules."""
        if self._cache.cache.is_suspended:
            return Reason.SUSPENDED
        if options.is_on is not None:
            return None if options.is_on and options.ttl_s != 0 else Reason.OFF_BY_COMMENT
        if options.ttl_s == 0:
            return Reason.OFF_BY_COMMENT
        if self._switch is not None:
            return None if self._switch else Reason.OFF_BY_SETTING
        rules = self._cache.rules
        return None if rules.is_enabled and not rules.is_on_request else Reason.DISABLED

    def _relations(self, facts: TextFacts, statement: Statement) -> frozenset[int] | Reason:
        catalogue = self._session.shared.known_catalogue()
        if catalogue is None:
            return Reason.CATALOGUE_UNKNOWN
        path = self.path(catalogue)
        if path is None:
            return Reason.UNKNOWN_NAME
        plan = self._cache.plan(catalogue, facts, statement, path)
        if isinstance(plan, Reason):
            return plan
        return plan.relations or Reason.NO_TABLE
