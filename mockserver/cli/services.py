"""The services and the default session of a server, from the options of `mockserver serve`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mockserver.cli.credentials import choose_admin_token
from mockserver.cli.listener import allowed_hosts
from mockserver.cli.shared_state import open_checked_store, require_shareable, shares_store
from mockserver.cli.upstream import build_fallback
from mockserver.errors import ConfigurationError
from mockserver.profiles import load_profile, resolve_profile_name
from mockserver.replies.token_counts import TOKEN_COUNTS, use_token_counts
from mockserver.settings import parse_body_size

if TYPE_CHECKING:
    from mockserver.server.console import ConsoleAccess
    from mockserver.server.http.access_log import AccessLog, LogFormat
    from mockserver.server.http.services import Services
    from mockserver.server.state.sessions import Session
    from mockserver.server.stubs.exchange_folder import ExchangeFolder

__all__ = ["build_services", "choose_log_format"]


def build_services(keys: tuple[str, ...], quiet: bool, **settings: Any) -> Services:
    """Build the services that the options of `serve` describe; MockServerError if an option is unusable."""
    from mockserver.server.access import ApiKeys
    from mockserver.server.http.services import Services
    from mockserver.server.state.store import MemoryStore

    use_token_counts(settings.get("token_counts") or TOKEN_COUNTS[0])
    settings["profile"] = resolve_profile_name(settings["profile"])
    load_profile(settings["profile"])
    token, size = choose_admin_token(settings), settings["store_size"]
    folder = _open_exchange_folder(settings)
    session = _open_default_session(settings, folder)
    services = Services(
        default_session=session,
        store=session.shared_store or (MemoryStore(size) if size else MemoryStore()),
        keys=ApiKeys(keys),
        hosts=allowed_hosts(settings, is_controllable=bool(token or settings.get("console"))),
        access_log=_open_log(settings, quiet=quiet),
        mock_headers=settings["allow_mock_headers"],
        max_body=parse_body_size(settings["max_body"]),
        stream_errors=settings["stream_errors"] or "",
        admin_token=token,
        console=_open_console(settings),
        exchange_folder=folder,
    )
    if (fallback := build_fallback(settings)) is not None:
        fallback.serve(services)
    return services


def _open_exchange_folder(settings: Mapping[str, Any]) -> ExchangeFolder | None:
    if not settings["exchanges"]:
        return None
    from mockserver.server.stubs.document_problems import problem_finder
    from mockserver.server.stubs.exchange_folder import ExchangeFolder

    return ExchangeFolder(settings["exchanges"], problem_finder(settings["profile"], settings["rendering"]))


def _open_default_session(settings: Mapping[str, Any], folder: ExchangeFolder | None) -> Session:
    from mockserver.server.state.journal import DisabledJournal
    from mockserver.server.state.sessions import (
        MAX_COUNTED_REQUESTS,
        AnyModel,
        open_session,
        set_structured_output,
    )

    models, store_size = settings["model"], settings["store_size"] or 0
    session = open_session(
        profile=settings["profile"],
        rendering=settings["rendering"],
        seed=settings["seed"],
        models=AnyModel() if "any" in models else frozenset(models) or None,
        user_exchanges=folder.exchanges if folder else (),
        max_counted_requests=max(MAX_COUNTED_REQUESTS, 2 * store_size),
    )
    set_structured_output(session, settings["structured_output"] or "")
    if settings.get("load"):
        _require_no_journal_options(settings)
        session.journal = DisabledJournal()
    session.strict = session.strict_from_start = bool(settings.get("strict"))
    session.whole_arguments = settings["function_arguments"] == "whole"
    _configure_delivery_and_limits(session, settings)
    _share_store(session, settings)
    return session


def _require_no_journal_options(settings: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for an option that shows or reports what --load does not keep."""
    for name in ("console", "fallback", "report", "verbose"):
        if settings.get(name):
            raise ConfigurationError(f"--load keeps no requests, which --{name} needs")


def _configure_delivery_and_limits(session: Session, settings: Mapping[str, Any]) -> None:
    from mockserver.server.delivery.faults import parse_fault
    from mockserver.server.delivery.options import Delivery
    from mockserver.server.output_lengths import parse_output_tokens

    if settings.get("limit"):
        from mockserver.server.state.rate_limits import RateLimiter, parse_limits

        limits = parse_limits(settings["limit"])
        session.limiter = RateLimiter(limits) if limits else None
    session.faults = tuple(parse_fault(each) for each in settings.get("fault", ()))
    session.delivery = Delivery(pace=settings.get("pace"), chunking=_choose_chunking(settings))
    session.output_length = parse_output_tokens(settings.get("output_tokens") or "usual")


def _choose_chunking(settings: Mapping[str, Any]) -> str:
    if settings.get("chunking"):
        return str(settings["chunking"])
    # With a pace, a client measures when each event arrives.
    return "coalesced" if settings.get("load") and settings.get("pace") == "none" else "event"


def _share_store(session: Session, settings: Mapping[str, Any]) -> None:
    """Open the store that other processes use too, if there is one."""
    if shares_store(settings):
        require_shareable(settings)
        store = open_checked_store(settings["store"], settings["store_size"])
        session.share_store(store, shares_seed=settings["seed"] is not None)


def _open_console(settings: Mapping[str, Any]) -> ConsoleAccess | None:
    """Access to the console, with a new link; None: there is no console."""
    if not settings.get("console"):
        return None
    from mockserver.server.console import ConsoleAccess

    return ConsoleAccess()


def _open_log(settings: Mapping[str, Any], *, quiet: bool) -> AccessLog:
    from mockserver.server.http.access_log import AccessLog, open_access_log

    if quiet or settings.get("load"):
        return AccessLog()
    return open_access_log(sys.stderr, choose_log_format(settings))


def choose_log_format(settings: Mapping[str, Any], worker: int | None = None) -> LogFormat | None:
    """The format of the log, with the number of the worker that writes it; None: the usual line."""
    from mockserver.server.http.access_log import number_lines

    if settings.get("log_format") != "json" and not settings.get("verbose"):
        return None if worker is None else number_lines(None, worker)
    from mockserver.server.http.log_formats import format_json, format_verbose

    if settings.get("log_format") == "json" and settings.get("verbose"):
        raise ConfigurationError("--verbose and --log-format json exclude each other")
    if settings.get("verbose"):
        return format_verbose if worker is None else number_lines(format_verbose, worker)
    return format_json if worker is None else partial(format_json, worker=worker)
