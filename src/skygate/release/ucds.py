"""UCDs: checked against the grammar and the word list of UCD1+, and which column is the main one."""

from __future__ import annotations

from functools import lru_cache

RA, DEC, ID = "pos.eq.ra;meta.main", "pos.eq.dec;meta.main", "meta.id;meta.main"
_OLD = {
    "pos_eq_ra_main": RA, "pos_eq_dec_main": DEC, "id_main": ID, "pos_eq_ra": "pos.eq.ra",
    "pos_eq_dec": "pos.eq.dec", "id_number": "meta.id", "id_alternative": "meta.id", "error": "stat.error",
    "pos_gal_lon": "pos.galactic.lon", "pos_gal_lat": "pos.galactic.lat",
    "pos_parlx_trig": "pos.parallax.trig",
    "pos_eq_pmra": "pos.pm;pos.eq.ra", "pos_eq_pmdec": "pos.pm;pos.eq.dec", "redshift_hc": "src.redshift",
}  # fmt: skip
"""UCD1 words (2002) that old files carry, in UCD1+."""


def normal_ucd(text: str | None) -> tuple[str | None, str | None]:
    """(the UCD, what is wrong with it). A wrong UCD is returned as it is, with the reason."""
    plain = (text or "").strip()
    if not plain:
        return None, None
    plain = _OLD.get(plain.lower(), plain)
    return plain, ucd_problem(plain)


@lru_cache(maxsize=4096)
def ucd_problem(ucd: str | None) -> str | None:
    """What is wrong with a UCD by the UCD1+ grammar and word list (EN-UCDlist); None when nothing is."""
    if not ucd:
        return None
    from astropy.io.votable import ucd as words  # slow to load, and a publish of nothing new needs none of it

    try:
        words.parse_ucd(ucd, check_controlled_vocabulary=True, has_colon=":" in ucd)
    except ValueError as error:
        return f"{ucd!r}: {str(error).rstrip('.')}"
    return None


def without_main(ucd: str | None) -> str | None:
    """The UCD without `meta.main`."""
    if ucd is None:
        return None
    return ";".join(w for w in ucd.split(";") if w.strip().lower() != "meta.main") or None


def has_words(ucd: str | None, *wanted: str) -> bool:
    """Whether the UCD holds each of these words."""
    if ucd is None:
        return False
    found = {w.strip().lower() for w in ucd.split(";")}
    return all(w in found for w in wanted)
