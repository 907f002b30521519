"""The capture URL as a QR code."""

import io

import segno


def draw_qr(url: str) -> str:
    """Give an SVG of the URL (ISO/IEC 18004), dark on a transparent ground with its quiet zone; it scales with its container."""
    drawn = io.BytesIO()
    segno.make(url, error="l", micro=False).save(
        drawn, kind="svg", border=4, omitsize=True, xmldecl=False, svgns=True, light=None
    )
    return drawn.getvalue().decode()
