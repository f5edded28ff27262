"""A group of commands of which one needs no name: `bench PATH` beside `bench queue`."""

from typing import Any

from typer.core import TyperGroup

__all__ = ["DEFAULT", "DefaultGroup"]

DEFAULT = "(default)"
"""Under this name the command that needs none is registered; nobody has to type it, and no listing shows it."""


class DefaultGroup(TyperGroup):
    """What does not begin with the name of a command belongs to the default one, `--help` too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.list_commands(ctx):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return ("" if name == DEFAULT else name), command, rest

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in super().list_commands(ctx) if name != DEFAULT]
