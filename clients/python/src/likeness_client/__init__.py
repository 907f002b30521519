"""The Python client of Likeness, a self-hosted Face API.

from likeness_client import Client

with Client("https://face.example.com", CLIENT_ID, CLIENT_SECRET) as likeness:
print(likeness.match("id.jpg", "selfie.jpg").match)
"""

from likeness_client.async_client import AsyncClient
from likeness_client.client import Client
from likeness_client.errors import (
    ApiError,
    Busy,
    FaceRefused,
    LikenessError,
    NoAnswer,
    NotFound,
    NotVerified,
    Unauthorized,
)
from likeness_client.photos import Photo, PhotoSource
from likeness_client.replies import Candidate, Entry, Face, Match, Portrait, Result, Search, Session
from likeness_client.webhook import verify_webhook

__all__ = [
    "ApiError",
    "AsyncClient",
    "Busy",
    "Candidate",
    "Client",
    "Entry",
    "Face",
    "FaceRefused",
    "LikenessError",
    "Match",
    "NoAnswer",
    "NotFound",
    "NotVerified",
    "Photo",
    "PhotoSource",
    "Portrait",
    "Result",
    "Search",
    "Session",
    "Unauthorized",
    "verify_webhook",
]
