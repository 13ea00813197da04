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
"""Longest time in seconds that a key waits; the answer of a closed widget never comes."""


def bindings(*scopes: str) -> list[BindingType]:
    """The bindings of these scopes. Footer and help use the registry of actions directly."""
    return [
        Binding(key, action.name, action.label, show=False, id=f"{action.id}.{key}")
        for scope in scopes
        for action in in_scope(scope)
        for key in action.keys
    ]


class OrderedKeys(App[None], inherit_bindings=False):
    """An app that handles each key only when the action of the key before it is done.

    Over SSH several keys arrive in one packet. Textual passes each key on at once to the widget
    with the focus, and runs its action once the key has bubbled up to the app: of `/bica`, `b`
    would be lost before `/` has opened the line.
    """

    class Handled(Message):
        """Follows a key through the same queues, so it arrives after the key's action; sent once
        more, it follows the messages that the action has posted."""

        def __init__(self, target: MessagePump, more: int) -> None:
            super().__init__()
            self.target = target
            self.more = more

    def __init__(self, driver_class: type[Driver] | None, ansi_color: bool | None) -> None:
        super().__init__(driver_class=driver_class, ansi_color=ansi_color)
        self._keys: deque[Key] = deque()
        self._under_way = 0.0
        """When the current key was passed on, 0 if its action is done."""

    async def on_event(self, event: Event) -> None:
        """Queue a key that was pressed; pass all other events on."""
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
        self._key_handled(self.Handled(target, 2))

    @on(Handled)
    def _key_handled(self, message: Handled) -> None:
        again = self.Handled(message.target, message.more - 1)
        if message.more and message.target.post_message(again):
            return
        self._under_way = 0.0
        if self._keys:
            # After what the action has requested, such as another focus.
            self.call_later(self._next_key)
