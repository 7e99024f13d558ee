"""Registry: how implementations are added to an extension point, and how an argument finds one by name.

An implementation follows the Protocol of its extension point. Arguments accept it as an object; to be usable by name
(in a task file, a settings file or on the command line), it must be registered first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from agentkit.errors import UserError
from agentkit.plugins import Group, plugin, plugins

Made = TypeVar("Made")


class Registry(Generic[Made]):
    """The implementations of one extension point, by name.

    Args:
        what: the extension point's name in error messages, such as "checker".
        built_in: AgentKit's own; a string such as `module:attribute` is imported on first use.
        hint: what else the argument accepts, for the message about an unknown name.
        error: the class of that error.
        group: the entry-point group through which installed packages add more (`agentkit.plugins`); None allows none.
    """

    def __init__(
        self,
        what: str,
        built_in: Mapping[str, Made | str],
        *,
        hint: str = "",
        error: type[UserError] = UserError,
        group: Group | None = None,
    ) -> None:
        self.what, self._hint, self._error = what, hint, error
        self._group = group
        self._made: dict[str, Made | str] = dict(built_in)

    def register(self, name: str) -> Callable[[Made], Made]:
        """A decorator that registers an implementation under a name.

        Raises:
            UserError: the name is taken.
        """

        def enter(made: Made) -> Made:
            if name in self._made:
                raise UserError(f"there is a {self.what} named {name!r} already")
            self._made[name] = made
            return made

        return enter

    def get(self, name: str) -> Made:
        """The implementation with that name.

        Raises:
            UserError: (or the class given) the name is unknown; the message lists those that exist.
        """
        if name not in self._made:
            offered = plugin(self._group, name) if self._group else None
            if offered is None:
                raise self._error(f"unknown {self.what} {name!r}: there are {', '.join(self)}{self._hint}")
            self._made[name] = offered
        found = self._made[name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = self._made[name] = cast("Made", getattr(import_module(module), attribute))
        return found

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._made, *(plugins(self._group) if self._group else ())]))

    def __len__(self) -> int:
        return sum(1 for _ in self)
