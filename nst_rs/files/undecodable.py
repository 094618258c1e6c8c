"""Messages of C libraries that Python could not decode.

An extension module that is called back with a message that is no UTF-8 cannot raise; Python tells of it by one hook for
all threads, and the module goes on as if nothing had been said.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any


class _Hook:
    """Stands in the interpreter's hook while any thread listens; hands on what is not for that thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._listeners: dict[int, list[tuple[str, list[str]]]] = {}
        self._before: Callable[[Any], object] = sys.unraisablehook

    def add(self, module: str, messages: list[str]) -> None:
        with self._lock:
            if not self._listeners:
                self._before, sys.unraisablehook = sys.unraisablehook, self._hear
            self._listeners.setdefault(get_ident(), []).append((module, messages))

    def remove(self) -> None:
        with self._lock:
            self._listeners[get_ident()].pop()
            if not self._listeners[get_ident()]:
                del self._listeners[get_ident()]
            if not self._listeners:
                sys.unraisablehook = self._before

    def _hear(self, event: Any) -> None:
        for module, messages in reversed(self._listeners.get(get_ident(), [])):
            if module in str(event.object) and isinstance(event.exc_value, UnicodeDecodeError):
                messages.append(event.exc_value.object.decode("utf-8", "backslashreplace"))
                return
        self._before(event)


_HOOK = _Hook()


@contextmanager
def undecodable(module: str) -> Iterator[list[str]]:
    """Give a list that the messages of an extension module, which Python could not decode, are added to."""
    messages: list[str] = []
    _HOOK.add(module, messages)
    try:
        yield messages
    finally:
        _HOOK.remove()
