"""The keys and pastes that were typed, one by one: each waits for what the one before it does.

Over SSH several keys arrive in one packet. Textual passes each key on at once to the widget with
the focus, and runs its action once the key has bubbled up to the app: of `/bica`, `b` would be lost
before `/` has opened the line. Here a key waits for the action of the one before it, digits
that a motion follows at once are its count, and the keys of a sequence (`g g`) become one.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from textual._callback import invoke
from textual.events import Key, Paste
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widget import Widget

from bioretrieval_tui.actions import DIGITS, in_force, in_scope, shown_key
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine

if TYPE_CHECKING:
    from bioretrieval_tui.tui.app import BioRetrievalApp

COUNT_WITHIN = 0.4
"""Most seconds between a digit and the digit or motion after it that make it a count."""
_MOTION = re.compile(r"(move|half|match|scroll_lines|scroll_half|point|front)\(")
"""Actions that take a count."""
_EDGE = re.compile(r"(scroll_)?edge\(")
"""Actions that a count leads to that row, with the keys of vim."""
LONGEST = 0.5
"""Longest time in seconds that a key waits; the answer of a closed widget never comes."""
AWAITED = frozenset(("arrive", "compare", "document"))
"""Groups of workers that lead to another pane or page: keys that are typed meanwhile are for it."""
PATIENCE = 2.0
"""Longest time in seconds that they wait for it, or for the list of a pane."""


def _times(motion: str, number: int) -> str:
    """A motion such as `move(-1)` a number of times."""
    return re.sub(r"\d+", lambda found: str(int(found[0]) * number), motion)


class KeyHandled(Message):
    """Follows a key through the same queues, so it arrives after the key's action; sent once more,
    it follows the messages that the action has posted."""

    def __init__(self, target: MessagePump, more: int) -> None:
        super().__init__()
        self.target = target
        self.more = more


class _Count(msgspec.Struct, frozen=True):
    """Digits that may become a count, and where the app was before the first of them (pane: "" in a
    dialog). time: of the last one."""

    pane: str
    focused: Widget | None
    history: tuple[tuple[str, str | None], ...]
    digits: str = ""
    time: float = 0.0


def _key_of(event: Key | Paste) -> str:
    """The key; "" for a paste."""
    return event.key if isinstance(event, Key) else ""


class KeyQueue:
    """The keys and pastes of an app that wait. dispatch: gives one to the widget with the focus."""

    def __init__(
        self, app: BioRetrievalApp, dispatch: Callable[[Key | Paste], Awaitable[None]]
    ) -> None:
        self._app = app
        self._dispatch = dispatch
        self._keys: deque[Key | Paste] = deque()
        self._under_way = 0.0
        """When the current key was passed on, 0 if its action is done."""
        self._looking = False
        """A timer runs until it is looked again whether a key is early."""
        self._last = 0.0
        self._count: _Count | None = None
        self._begun: Key | None = None
        """The keys of a sequence that were typed."""
        keys = (key.split(" ") for action in in_force() for key in action.keys)
        self._beginnings = frozenset(first for first, *others in keys if others)
        self._asking: Callable[[str], object] | None = None
        """What the next character is for."""

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def idle(self) -> float:
        """Seconds since the last key."""
        return time.monotonic() - self._last

    async def add(self, event: Key | Paste) -> None:
        app = self._app
        unseen = app.screen.has_class("-tiny") and not isinstance(app.focused, QueryLine)
        if unseen and _key_of(event) != "ctrl+c":
            return  # nothing is seen that it could be for
        self._keys.append(event)
        self._last = time.monotonic()
        await self._next()

    async def _next(self) -> None:
        if not self._keys:
            return
        if self._under_way and time.monotonic() - self._under_way < LONGEST:
            self._app.set_timer(LONGEST, self._next)
            return
        if self._is_early(self._keys[0]):
            if not self._looking:
                self._looking = True
                self._app.set_timer(0.02, self._look_again)
            return
        self._under_way = time.monotonic()
        target, event = self._app.focused or self._app.screen, self._keys.popleft()
        try:
            picker = self._app.selection
            entered = isinstance(event, Key) and event.key == "enter"
            if picker is not None and entered and picker.takes(self._app, target):
                picker.choose(self._app.pane.chosen_rows(), self._app.catalogue)
                self._app.exit()
            elif self._asking is not None:
                await self._answer(event)
            elif (joined := self._joined(event)) and not await self._counted(joined):
                await self._dispatch(joined)
        finally:
            self.handled(KeyHandled(target, 2))

    async def _look_again(self) -> None:
        self._looking = False
        await self._next()

    def ask(self, question: str, act: Callable[[str], object]) -> None:
        """Do something with the next character; another key does nothing."""
        self._asking = act
        self._app.say(question)

    async def _answer(self, event: Key | Paste) -> None:
        act, self._asking = self._asking, None
        self._app.status.hints(self._app.hint_actions())
        if act is not None and isinstance(event, Key) and event.is_printable:
            await invoke(act, event.character)

    def _joined(self, event: Key | Paste) -> Key | Paste | None:
        """The key, or the whole of a sequence that it ends; None while one is typed."""
        begun, self._begun = self._begun, None
        if isinstance(event, Paste):
            return event
        text = isinstance(self._app.focused, QueryLine) and event.is_printable
        if begun is None and (text or event.key not in self._beginnings or self._app.pane.letters):
            return event
        keys = Key(f"{begun.key} {event.key}" if begun else event.key, None)
        keys.time = begun.time if begun else event.time
        chain = self._app.screen._modal_binding_chain
        known = {key for _, bindings in chain for key in bindings.key_to_bindings}
        if keys.key in known:
            return keys if begun else event
        if any(key.startswith(f"{keys.key} ") for key in known):
            self._begun = keys
            return None
        if begun and event.key != "escape":
            self._app.say(f"{shown_key(keys.key)} is no key here", "warn")
        return None if begun else event

    def handled(self, message: KeyHandled) -> None:
        """Pass the message on, or go on with the next key."""
        again = KeyHandled(message.target, message.more - 1)
        if message.more and message.target.post_message(again):
            return
        self._under_way = 0.0
        if self._keys:
            # After what the action has requested, such as another focus.
            self._app.call_later(self._next)

    def _is_early(self, event: Key | Paste) -> bool:
        """Whether a key is for what is not there yet: a page, another pane, or its list."""
        app = self._app
        if time.monotonic() - event.time > PATIENCE or _key_of(event) == "ctrl+c":
            return False
        if any(one.group in AWAITED and not one.is_finished for one in app.workers):
            return True
        shown = [one for one in app.panes() if one.pane_name == app.current]
        reading = shown[0].reading if shown and len(app.screen_stack) == 1 else None
        elsewhere = _key_of(event) in app._bindings.key_to_bindings
        return reading is not None and not reading.is_finished and not elsewhere

    async def _counted(self, event: Key | Paste) -> bool:
        """Whether a key is a motion whose count was typed just before it. The digits have led to
        their panes; the app returns from there, and no trace remains in the history."""
        app = self._app
        before, self._count = self._count, None
        dialog = len(app.screen_stack) > 1
        if isinstance(event, Paste):
            return False
        if before is not None:
            late = event.time - before.time > COUNT_WITHIN
            before = None if late or dialog is bool(before.pane) else before
        vim = app.configuration.config.keys.get("preset") == "vim"
        if dialog:
            return await self._counted_in_dialog(event, before, vim=vim)
        in_line = app.line is not None
        if in_line and not (vim and before is not None and before.pane != app.current):
            return False  # letters and digits are text there
        if event.key in DIGITS.values():
            first = before or _Count(app.current, app.focused, tuple(app.history))
            self._count = replace(first, digits=(first.digits + event.key)[:4], time=event.time)
            return in_line
        number = int(before.digits) if before else 0
        if before is None or not number:
            return False
        pane = next(one for one in app.panes() if one.pane_name == before.pane)
        page = before.focused if isinstance(before.focused, Detail) else None
        known = (a for s in (("detail",) if page else pane.SCOPES) for a in in_scope(s))
        motion = next((action.name for action in known if event.key in action.keys), "")
        to_row = vim and _EDGE.match(motion)
        if event.key == "space" or not (to_row or _MOTION.match(motion)):
            return False
        if before.pane != app.current:
            await app.show_pane(before.pane)
            app.screen._refresh_layout()  # what is shown again has a size after that
        app.history = list(before.history)
        motion = f"to_row({number})" if to_row else _times(motion, number)
        await app.run_action(motion, page or pane)
        return True

    async def _counted_in_dialog(self, event: Key, before: _Count | None, *, vim: bool) -> bool:
        """Whether a key is a motion of a dialog whose count was typed just before it. Digits lead
        nowhere there."""
        app = self._app
        if isinstance(app.focused, QueryLine):
            return False
        if event.key in DIGITS.values():
            first = before or _Count("", None, ())
            self._count = replace(first, digits=(first.digits + event.key)[:4], time=event.time)
            return False
        number = int(before.digits) if before else 0
        bound = (
            (node, binding.action)
            for node, bindings in app.screen._modal_binding_chain
            for binding in bindings.key_to_bindings.get(event.key, ())
        )
        node, motion = next(bound, (None, ""))
        if not number or node is None:
            return False
        if vim and _EDGE.match(motion) and hasattr(node, "action_to_row"):
            await app.run_action(f"to_row({number})", node)
        elif _MOTION.match(motion):
            await app.run_action(_times(motion, number), node)
        else:
            return False
        return True
