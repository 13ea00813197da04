"""Keys: Textual bindings made from the registry of actions, and keys handled in their order."""

from __future__ import annotations

import time
from collections import deque

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.events import Event, Key
from textual.message import Message
from textual.message_pump import MessagePump

from bioretrieval_tui.actions import in_scope

LONGEST = 0.5
"""Seconds that a key waits at most: a widget that was closed may have taken an answer with it."""


def bindings(*scopes: str) -> list[BindingType]:
    """The bindings of these scopes. Footer and help are drawn from the registry, not from here."""
    return [
        Binding(key, action.name, action.label, show=False, id=f"{action.id}.{key}")
        for scope in scopes
        for action in in_scope(scope)
        for key in action.keys
    ]


class OrderedKeys(App[None], inherit_bindings=False):
    """An app whose keys wait for each other.

    Over SSH keys arrive in bunches. Textual hands each key at once to whatever has the focus, and
    runs its action when the key has bubbled up to the app; of `/bica` in one packet, `b` would be
    gone before `/` opened the line that it was meant for. Here a key waits until the one before it
    is done.
    """

    class Handled(Message):
        """Follows a key through the same queues, so it arrives when the key's action is done.

        A second time, it follows the messages that the action has posted.
        """

        def __init__(self, target: MessagePump, *, again: bool) -> None:
            super().__init__()
            self.target = target
            self.again = again

    def __init__(self, driver_class: type[Driver] | None, ansi_color: bool | None) -> None:
        super().__init__(driver_class=driver_class, ansi_color=ansi_color)
        self._keys: deque[Key] = deque()
        self._under_way = 0.0
        """When the key was handed out whose action is not done, 0 if there is none."""

    async def on_event(self, event: Event) -> None:
        """Take a key that was pressed; everything else is as ever."""
        if isinstance(event, Key) and not event.is_forwarded:
            self._keys.append(event)
            await self._next_key()
        else:
            await super().on_event(event)

    async def _next_key(self) -> None:
        if not self._keys:
            return
        if self._under_way and time.monotonic() - self._under_way < LONGEST:
            self.set_timer(LONGEST, self._next_key)
            return
        self._under_way = time.monotonic()
        target = self.focused or self.screen
        await super().on_event(self._keys.popleft())
        self._follow(target, again=True)

    def _follow(self, target: MessagePump, *, again: bool) -> None:
        if not target.post_message(self.Handled(target, again=again)):
            self._key_done()

    @on(Handled)
    def _key_handled(self, message: Handled) -> None:
        if message.again:
            self._follow(message.target, again=False)
        else:
            self._key_done()

    def _key_done(self) -> None:
        self._under_way = 0.0
        if self._keys:
            # Behind what the action has asked for, such as another focus.
            self.call_later(self._next_key)
