"""Asking the Hugging Face hub without its client's noise, and without minutes of retries where there is no network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

HTTPS = 443


@contextmanager
def hub_access() -> Iterator[str | None]:
    """Around a request to the hub: gives why it cannot be reached, or None; in the first case its cache alone is asked.

    The client's own warnings, one for each of its retries, are left out: what it ends with is said by the caller.
    """
    import datasets  # seconds to import
    from huggingface_hub import constants
    from huggingface_hub.utils import logging, reset_sessions

    verbosity, before = logging.get_verbosity(), (constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE)
    unreachable = None if any(before) else _unresolved(constants.ENDPOINT)
    logging.set_verbosity_error()
    try:
        if unreachable is not None:
            constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
            reset_sessions()  # one that was opened before would go on asking
        yield unreachable
    finally:
        logging.set_verbosity(verbosity)
        if unreachable is not None:
            constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
            reset_sessions()


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
