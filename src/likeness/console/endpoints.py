"""All pages of the console."""

from fastapi import APIRouter

from likeness.console import (
    client_endpoints,
    gallery_endpoints,
    oversight_endpoints,
    session_endpoints,
    sign_in_endpoints,
    try_endpoints,
)

router = APIRouter()
for pages in (
    sign_in_endpoints,
    try_endpoints,
    session_endpoints,
    gallery_endpoints,
    client_endpoints,
    oversight_endpoints,
):
    router.include_router(pages.router)
