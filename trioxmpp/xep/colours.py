"""XEP-0392: Consistent Colour Generation: all clients show a name in the same colour.

The hue comes from the SHA-1 of the name; HSLuv turns it into a colour that is as light as any other one.
"""

from __future__ import annotations

import hashlib
import math

__all__ = ["colour", "hue"]

_TO_RGB = (
    (3.240969941904521, -1.537383177570093, -0.498610760293),
    (-0.96924363628087, 1.87596750150772, 0.041555057407175),
    (0.055630079696993, -0.20397695888897, 1.056971514242878),
)
_KAPPA, _EPSILON = 903.2962962962963, 0.0088564516790356
_U, _V = 0.19783000664283681, 0.46831999493879100


def hue(text: str) -> float:
    """Return the hue of a text in degrees (§5.1). A JID is to be given in its normal form."""
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:2], "little") / 65536 * 360


def colour(text: str, *, saturation: float = 100.0, lightness: float = 50.0) -> tuple[float, float, float]:
    """Return the colour of a text: red, green and blue from 0 to 1 (§5.4). A dark background wants more lightness."""
    if not (0 <= saturation <= 100 and 0 < lightness < 100):
        raise ValueError("saturation is from 0 to 100, and lightness between them")
    angle = math.radians(hue(text))
    chroma = _max_chroma(lightness, angle) * saturation / 100
    u = math.cos(angle) * chroma / (13 * lightness) + _U
    v = math.sin(angle) * chroma / (13 * lightness) + _V
    y = ((lightness + 16) / 116) ** 3 if lightness > 8 else lightness / _KAPPA
    x = 9 * y * u / (4 * v)
    z = (9 * y - 15 * v * y - v * x) / (3 * v)
    red, green, blue = (_gamma(row[0] * x + row[1] * y + row[2] * z) for row in _TO_RGB)
    return red, green, blue


def _max_chroma(lightness: float, angle: float) -> float:
    """Return the greatest chroma that a screen can show, of this lightness and hue."""
    cubed = (lightness + 16) ** 3 / 1560896
    base = cubed if cubed > _EPSILON else lightness / _KAPPA
    lengths = []
    for one, two, three in _TO_RGB:
        for bound in (0, 1):
            top = (284517 * one - 94839 * three) * base
            height = (838422 * three + 769860 * two + 731718 * one) * lightness * base - 769860 * bound * lightness
            bottom = (632260 * three - 126452 * two) * base + 126452 * bound
            length = height / bottom / (math.sin(angle) - top / bottom * math.cos(angle))
            if length >= 0:
                lengths.append(length)
    return min(lengths)


def _gamma(value: float) -> float:
    shown = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return min(max(shown, 0.0), 1.0)
