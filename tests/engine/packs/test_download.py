import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx import Request, Response

from likeness.engine.packs.download import download
from likeness.errors import SetupError

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "https://models.example/face.onnx"


class Host:
    """A host that serves CONTENT. It can break off, ignore ranges, serve other bytes, or refuse."""

    def __init__(
        self,
        *,
        breaks_after: int | None = None,
        ranges: bool = True,
        content: bytes = CONTENT,
        status: int | None = None,
    ) -> None:
        self.breaks_after, self.ranges, self.content, self.status = breaks_after, ranges, content, status
        self.asked: list[Any] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request.headers.get("Range"))
        if self.status:
            return httpx.Response(self.status)
        start = (
            int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if "Range" in request.headers and self.ranges
            else 0
        )
        if start >= len(self.content) and start:
            return httpx.Response(416)
        body = self.content[start:]
        return httpx.Response(206 if start else 200, stream=Body(body, self.breaks_after))


class Body(httpx.SyncByteStream):
    def __init__(self, content: bytes, breaks_after: int | None) -> None:
        self._content, self._breaks_after = content, breaks_after

    def __iter__(self) -> Iterator[bytes]:
        for position in range(0, len(self._content), 100_000):
            if self._breaks_after is not None and position >= self._breaks_after:
                raise httpx.ReadError("the line broke")
            yield self._content[position : position + 100_000]


def fetch(host: Host, target: Path, **changes: Any) -> None:
    wanted: dict[str, Any] = {"sha256": SHA256, "size": len(CONTENT), "transport": httpx.MockTransport(host)} | changes
    download(URL, target, **wanted)


def test_a_whole_download(tmp_path: Path) -> None:
    steps = []
    fetch(Host(), tmp_path / "a" / "face.onnx", progress=lambda *step: steps.append(step))
    assert (tmp_path / "a" / "face.onnx").read_bytes() == CONTENT
    assert steps[-1] == ("face.onnx", len(CONTENT), len(CONTENT))
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["face.onnx"]


@pytest.mark.parametrize("ranges", [True, False])
def test_what_broke_off_is_taken_up_again(tmp_path: Path, ranges: bool) -> None:
    target = tmp_path / "face.onnx"
    with pytest.raises(SetupError, match="the line broke"):
        fetch(Host(breaks_after=300_000), target)
    assert not target.exists()
    host = Host(ranges=ranges)
    fetch(host, target)
    assert target.read_bytes() == CONTENT
    assert host.asked == ["bytes=262144-"]


def test_a_download_that_was_whole_but_not_in_place(tmp_path: Path) -> None:
    (tmp_path / "face.onnx.part").write_bytes(CONTENT)
    host = Host()
    fetch(host, tmp_path / "face.onnx")
    assert (tmp_path / "face.onnx").read_bytes() == CONTENT
    assert host.asked == []


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"!", CONTENT[:-9], CONTENT + b"more", b""])
def test_what_is_not_the_pinned_file_is_thrown_away(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SetupError, match="pinned"):
        fetch(Host(content=content), tmp_path / "face.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_spoilt_beginning_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "face.onnx.part").write_bytes(b"!" * 1000)
    with pytest.raises(SetupError, match="pinned"):
        fetch(Host(), tmp_path / "face.onnx")
    fetch(Host(), tmp_path / "face.onnx")
    (tmp_path / "face.onnx").unlink()
    (tmp_path / "face.onnx.part").write_bytes(CONTENT + b"too much")
    fetch(Host(), tmp_path / "face.onnx")


def test_a_host_with_less_than_there_is_already(tmp_path: Path) -> None:
    (tmp_path / "face.onnx.part").write_bytes(CONTENT[:1000])
    with pytest.raises(SetupError, match="shorter"):
        fetch(Host(content=CONTENT[:500]), tmp_path / "face.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_refusals(tmp_path: Path, status: int) -> None:
    with pytest.raises(SetupError, match=str(status)):
        fetch(Host(status=status), tmp_path / "face.onnx")
