"""Engineering units and ranges of tags, as OPC UA tells them (Part 8, 5.6)."""

from __future__ import annotations

from asyncua import ua

from cellrt.tags import Field

CEFACT = "http://www.opcfoundation.org/UA/units/un/cefact"

UNITS = {
    "ns": ("C47", "ns", "nanosecond"),
    "us": ("B98", "µs", "microsecond"),
    "ms": ("C26", "ms", "millisecond"),
    "s": ("SEC", "s", "second [unit of time]"),
    "min": ("MIN", "min", "minute [unit of time]"),
    "h": ("HUR", "h", "hour"),
    "um": ("4H", "µm", "micrometre (micron)"),
    "mm": ("MMT", "mm", "millimetre"),
    "m": ("MTR", "m", "metre"),
    "mm/s": ("C16", "mm/s", "millimetre per second"),
    "m/s": ("MTS", "m/s", "metre per second"),
    "deg": ("DD", "°", "degree [unit of angle]"),
    "g": ("GRM", "g", "gram"),
    "N": ("NEW", "N", "newton"),
    "kPa": ("KPA", "kPa", "kilopascal"),
    "degC": ("CEL", "°C", "degree Celsius"),
    "degC/s": ("H14", "°C/s", "degree Celsius per second"),
    "K": ("KEL", "K", "kelvin"),
    "Hz": ("HTZ", "Hz", "hertz"),
    "V": ("VLT", "V", "volt"),
    "A": ("AMP", "A", "ampere"),
    "W": ("WTT", "W", "watt"),
    "%": ("P1", "%", "percent"),
    "ppm": ("59", "ppm", "part per million"),
}
"""By a tag's unit: UNECE Recommendation 20's common code, symbol and name."""


def engineering_units(unit: str) -> ua.EUInformation:
    """A tag's unit. One without a UNECE code has unit id -1 and only its name, as Part 8 says."""
    if unit not in UNITS:
        return ua.EUInformation(None, -1, ua.LocalizedText(unit), ua.LocalizedText(unit))
    code, symbol, name = UNITS[unit]
    return ua.EUInformation(CEFACT, unit_id(code), ua.LocalizedText(symbol), ua.LocalizedText(name))


def unit_id(code: str) -> int:
    """A common code's characters as one number, the first the most significant (Part 8, 5.6.4.3).

    >>> unit_id("MMT")
    5066068
    """
    return int.from_bytes(code.encode("ascii"), "big")


def eu_range(field: Field) -> ua.Range | None:
    """A tag's range, where both ends are declared."""
    if field.low is None or field.high is None:
        return None
    return ua.Range(float(field.low), float(field.high))
