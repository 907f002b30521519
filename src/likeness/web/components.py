"""The endpoints' access to the components that the application builds once.

``likeness.app`` keeps all components in one frozen dataclass, ``Components``, as ``app.state.components``. Each package
declares the fields that its own endpoints read, in a small dataclass that ``Components`` inherits. So a package needs
no type of a higher layer. The type checker sees that a field exists and that the application fills it.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fastapi import Request

from likeness.web.route import OfRequest

C = TypeVar("C")
T = TypeVar("T")


def components_of(app: Any, kind: type[C]) -> C:
    """Give an application's components as ``kind``, a dataclass with the fields that a package needs."""
    components = app.state.components
    assert isinstance(components, kind)
    return components


class Component(OfRequest, Generic[C, T]):
    """A dependency that gives an endpoint one component.

    For example ``Depends(Component(MatchComponents, lambda components: components.matcher))``.
    """

    def __init__(self, kind: type[C], read: Callable[[C], T]) -> None:
        self._kind = kind
        self._read = read

    async def __call__(self, request: Request) -> T:  # FastAPI would run a plain function on a thread
        return self._read(components_of(request.app, self._kind))
