"""The port at which the ranks of one machine meet."""

from __future__ import annotations

import random
import socket

_PORTS = range(30_000, 32_768)
"""Below Linux's range for outgoing connections (``net.ipv4.ip_local_port_range``, 32768 and above by default); not the
ports of ``launcher/job.bash`` (15000 to 24999), nor torch's 29500."""


def free_master_port() -> int:
    """One that nothing on this machine uses, for ``MASTER_PORT``.

    The first rank listens there only when it has imported the frameworks. A port that the kernel would choose (bind to
    0) may meanwhile become the local end of any connection; one below its range is taken only by who asks for it.

    Raises:
        OSError: all are in use.
    """
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1} for the ranks to meet at")
