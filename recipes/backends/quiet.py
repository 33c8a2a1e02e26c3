"""Keep the frameworks' chatter off the console, without losing it.

Importing and starting NeMo, Megatron and Lightning prints hundreds of lines that no user can act on (missing optional
packages, every default of a config, group lists, deprecations inside the frameworks). One rule decides: a log record
below ERROR, or a Python warning, that was issued by installed code goes to the log file; everything else (errors, and
whatever this project itself says) reaches the console as always.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any, TextIO

__all__ = ["quiet_frameworks"]

# Read by the C++ side of torch and by tokenizers when they are loaded. A value that the user set wins.
ENVIRONMENT = {
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}
INSTALLED_CODE = tuple(str(Path(sysconfig.get_path(key))) + os.sep for key in ("stdlib", "purelib", "platlib"))
FORMAT = "%(asctime)s rank {rank} %(levelname)s %(name)s: %(message)s"
# NeMo turns Python warnings into log records; this is how `warnings.formatwarning` starts.
FORMATTED_WARNING = re.compile(r"(?P<file>\S[^\n]*?\.py):\d+: \w*Warning: ")
# NeMo asks Lightning for an attribute that 2.4 lacks, and then takes every run of several nodes for one without Slurm.
FALSE_ALARMS = ("You are running multi-node training without SLURM handling the processes.",)

_filter: _NoiseFilter | None = None


def quiet_frameworks(log_file: Path | None) -> None:
    """Send the frameworks' log lines below ERROR and their warnings to a file instead of the console.

    Call it first in an entry point, before torch or a framework is imported; it imports none of them. Calling it again
    changes the file.

    Args:
        log_file: where the lines go, appended, parent directories made; several ranks may share it. None discards them.

    Raises:
        OSError: the file cannot be opened.
    """
    global _filter
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    if _filter is None:
        _filter = _NoiseFilter()
        _watch_loggers(_filter)
        _watch_warnings(_filter)
    _filter.write_to(log_file)


class _NoiseFilter(logging.Filter):
    """Logger filter: noise goes to the file and to the logger's own file handlers, and is then dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.file_handler: logging.Handler = logging.NullHandler()

    def write_to(self, log_file: Path | None) -> None:
        handler: logging.Handler = logging.NullHandler()
        if log_file is not None:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(log_file, encoding="utf-8")
            handler.setFormatter(
                logging.Formatter(FORMAT.format(rank=os.environ.get("RANK") or os.environ.get("SLURM_PROCID", "0")))
            )
        self.file_handler.close()
        self.file_handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        alarm = record.levelno >= logging.ERROR and not str(record.msg).startswith(FALSE_ALARMS)
        if alarm or not _is_from_installed_code(record):
            return True
        self.file_handler.handle(record)
        for handler in _file_handlers(logging.getLogger(record.name)):
            if record.levelno >= handler.level:
                handler.handle(record)
        return False


class _WatchedLogger(logging.Logger):
    """The class of every logger made from now on: it carries the noise filter from birth."""

    def __init__(self, name: str, level: int = logging.NOTSET) -> None:
        super().__init__(name, level)
        if _filter is not None:
            self.addFilter(_filter)


def _watch_loggers(noise: _NoiseFilter) -> None:
    logging.setLoggerClass(_WatchedLogger)
    loggers = [logging.root, *(x for x in logging.root.manager.loggerDict.values() if isinstance(x, logging.Logger))]
    for logger in loggers:
        logger.addFilter(noise)


def _watch_warnings(noise: _NoiseFilter) -> None:
    to_console = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is not None or not filename.startswith(INSTALLED_CODE):
            to_console(message, category, filename, lineno, file, line)
            return
        text = warnings.formatwarning(message, category, filename, lineno, line).rstrip()
        noise.file_handler.handle(logging.LogRecord("py.warnings", logging.WARNING, filename, lineno, text, None, None))

    warnings.showwarning = show


def _is_from_installed_code(record: logging.LogRecord) -> bool:
    if not record.pathname.startswith(INSTALLED_CODE):
        return False
    if warning := FORMATTED_WARNING.match(record.getMessage()):
        return warning["file"].startswith(INSTALLED_CODE)
    return True


def _file_handlers(logger: logging.Logger) -> list[logging.Handler]:
    """The handlers that would see the logger's records, without those that write to the console."""
    found: list[logging.Handler] = []
    node: logging.Logger | None = logger
    while node is not None:
        found += [handler for handler in node.handlers if not _is_console(handler)]
        node = node.parent if node.propagate else None
    return found


def _is_console(handler: Any) -> bool:
    stream = getattr(handler, "stream", None)
    return stream is not None and stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
