"""The forms of the console's pages."""

from urllib.parse import parse_qs

from fastapi import Request

from likeness.errors import BadRequest
from likeness.web.http import read_body, refuse_encoded

LARGEST_BYTES = 16 * 1024
MOST_FIELDS = 50


class PageForm:
    """The fields of a form that a page sent."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str:
        """Give a field's text without the blanks around it. It is empty if the field is missing."""
        return self._fields.get(name, [""])[0].strip()

    def all(self, name: str) -> list[str]:
        """Give all values of a field, such as those of ticked boxes."""
        return self._fields.get(name, [])


async def read_page_form(request: Request) -> PageForm:
    """Read a form. Call it after the visitor is authorised. Raises PayloadTooLarge, BadRequest."""
    refuse_encoded(request)
    body = await read_body(request, limit_bytes=LARGEST_BYTES)
    try:
        return PageForm(parse_qs(body.decode(), max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise BadRequest("The form is not well-formed.") from error
