"""Asking the Hugging Face hub without its client's noise, and without minutes of retries where there is no network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

HTTPS = 443


@contextmanager
def hub_access() -> Iterator[str | None]:
    """Around a request to the hub: gives why it cannot be reached, or None; in the first case its cache alone is asked.

    The client's own warnings, one for each of its retries, are left out: what it ends with is said by the caller.
    """
    from huggingface_hub import configure_http_backend, constants
    from huggingface_hub.utils import logging

    verbosity = logging.get_verbosity()
    unreachable = None if constants.HF_HUB_OFFLINE else _unresolved(constants.ENDPOINT)
    logging.set_verbosity_error()
    if unreachable is not None:
        configure_http_backend(_no_network)
    try:
        yield unreachable
    finally:
        logging.set_verbosity(verbosity)
        if unreachable is not None:
            configure_http_backend()


def _no_network() -> Any:
    """A session that refuses every request at once, as the client's own offline mode does, without a retry."""
    import requests
    from huggingface_hub.utils._http import OfflineAdapter

    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, OfflineAdapter())
    return session


def _unresolved(address: str) -> str | None:
    """Why the name of an address leads nowhere; None where it leads somewhere, or where a proxy looks it up."""
    host = urlsplit(address).hostname or address
    if "https" in getproxies() and not proxy_bypass(host):
        return None
    try:
        socket.getaddrinfo(host, HTTPS)
    except OSError as error:
        return f"{host} cannot be reached: {error.strerror or error}"
    return None
