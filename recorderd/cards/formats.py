"""The pages as SVG, as HTML for a browser's print dialogue, and as PDF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from recorderd.cards.page import HEIGHT, POINTS_PER_MILLIMETRE, WIDTH, Area, Frame, Page, Text

_GREY: Final = 0.6
_LINE_MILLIMETRES: Final = 0.2
_FONTS: Final = ("Helvetica", "Helvetica-Bold")
_STYLE: Final = (
    "@page { size: A4; margin: 0 } body { margin: 0; background: #fff } "
    "svg { display: block; width: 210mm; height: 297mm; break-after: page }"
)


def svg(pages: Sequence[Page]) -> bytes:
    """All pages below each other in one picture of their true size."""
    drawn = "".join(
        f'<g transform="translate(0 {HEIGHT * number:g})">{_svg_shapes(page)}</g>\n'
        for number, page in enumerate(pages)
    )
    return _svg_root(drawn, HEIGHT * len(pages)).encode()


def html(pages: Sequence[Page]) -> bytes:
    """A page to open and print; nothing is fetched from anywhere."""
    drawn = "\n".join(_svg_root(_svg_shapes(page), HEIGHT) for page in pages)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Cards for the packing station</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{drawn}\n</body>\n</html>\n"
    ).encode()


def _svg_root(content: str, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:g}mm" height="{height:g}mm" '
        f'viewBox="0 0 {WIDTH:g} {height:g}" font-family="Helvetica, Arial, sans-serif">\n'
        f'<rect width="{WIDTH:g}" height="{height:g}" fill="#fff"/>\n{content}</svg>'
    )


def _svg_shapes(page: Page) -> str:
    parts, outlines = [], []
    for shape in page:
        match shape:
            case Area(corners):
                # One path for all, so that no hairline shows between two that touch.
                points = " ".join(f"{x:.3f},{y:.3f}" for x, y in corners)
                outlines.append(f"M{points}Z")
            case Frame(left, top, width, height):
                parts.append(
                    f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" '
                    f'fill="none" stroke="#999" stroke-width="{_LINE_MILLIMETRES}"/>\n'
                )
            case Text(left, bottom, size, text, bold):
                weight = ' font-weight="bold"' if bold else ""
                parts.append(
                    f'<text x="{left:g}" y="{bottom:g}" '
                    f'font-size="{size / POINTS_PER_MILLIMETRE:.3f}"{weight}>'
                    f"{escape(_printable(text))}</text>\n"
                )
    path = f'<path shape-rendering="crispEdges" d="{"".join(outlines)}"/>\n' if outlines else ""
    return path + "".join(parts)


def pdf(pages: Sequence[Page]) -> bytes:
    """PDF 1.4 (Adobe's PDF Reference, third edition), with nothing but its built-in fonts.

    Characters that these do not have (those beyond Windows-1252) are printed as `?`.
    """
    first_page = 3 + len(_FONTS)
    kids = " ".join(f"{first_page + 2 * number} 0 R" for number in range(len(pages)))
    fonts = " ".join(f"/F{number} {3 + number} 0 R" for number in range(len(_FONTS)))
    size = f"{WIDTH * POINTS_PER_MILLIMETRE:.3f} {HEIGHT * POINTS_PER_MILLIMETRE:.3f}"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        *(
            f"<< /Type /Font /Subtype /Type1 /BaseFont /{font} "
            f"/Encoding /WinAnsiEncoding >>".encode()
            for font in _FONTS
        ),
    ]
    for number, page in enumerate(pages):
        content = _pdf_content(page)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size}] "
            f"/Resources << /Font << {fonts} >> >> "
            f"/Contents {first_page + 2 * number + 1} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _pdf_file(objects)


def _pdf_file(objects: Sequence[bytes]) -> bytes:
    """The objects with their table of places; object 1 is the catalogue."""
    # Four bytes above 127 tell programs that copy files that this is no text.
    written = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(written)
    written += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        written += b"%010d 00000 n \n" % place
    written += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    return bytes(written + b"startxref\n%d\n%%%%EOF\n" % table)


def _pdf_content(page: Page) -> bytes:
    """A page's drawing operators; PDF counts in points from the lower left corner."""
    areas, rest = [], []
    for shape in page:
        match shape:
            case Area(corners):
                first, *others = (_pdf_point(x, y) for x, y in corners)
                lines = " ".join(f"{point} l" for point in others)
                areas.append(f"{first} m {lines} h")
            case Frame(left, top, width, height):
                extent = (width * POINTS_PER_MILLIMETRE, height * POINTS_PER_MILLIMETRE)
                rest.append(
                    f"{_GREY} G {_LINE_MILLIMETRES * POINTS_PER_MILLIMETRE:.3f} w "
                    f"{_pdf_point(left, top + height)} {extent[0]:.3f} {extent[1]:.3f} re S"
                )
            case Text(left, bottom, size, text, bold):
                rest.append(
                    f"BT /F{int(bold)} {size:g} Tf {_pdf_point(left, bottom)} Td "
                    f"<{_printable(text).encode('cp1252', 'replace').hex()}> Tj ET"
                )
    filled = ["0 g", *areas, "f"] if areas else []
    return "\n".join([*filled, "0 g", *rest]).encode("ascii")


def _pdf_point(x: float, y: float) -> str:
    return f"{x * POINTS_PER_MILLIMETRE:.3f} {(HEIGHT - y) * POINTS_PER_MILLIMETRE:.3f}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
