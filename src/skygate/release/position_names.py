"""Names that columns of sky positions have, in regular form."""

from __future__ import annotations

PAIRS: tuple[tuple[str, str], ...] = (
    ("ra", "dec"), ("ra", "de"), ("ra_icrs", "dec_icrs"), ("ra_icrs", "de_icrs"), ("radeg", "dedeg"),
    ("radeg", "decdeg"), ("ra_deg", "dec_deg"), ("raj2000", "dej2000"), ("raj2000", "decj2000"),
    ("ra_j2000", "dec_j2000"), ("ra2000", "dec2000"), ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"), ("alphapsf_j2000", "deltapsf_j2000"), ("s_ra", "s_dec"),
    ("right_ascension", "declination"), ("rightascension", "declination"), ("ra_mean", "dec_mean"),
    ("ramean", "decmean"), ("coord_ra", "coord_dec"), ("raobj", "decobj"), ("ra_cent", "dec_cent"),
    ("rarad", "derad"), ("ra_rad", "dec_rad"), ("ra_1950", "dec_1950"), ("rab1950", "deb1950"),
    ("rab1950", "decb1950"), ("ra1950", "dec1950"), ("alpha", "delta"),
)  # fmt: skip
OTHER_FRAMES: tuple[tuple[str, str, str], ...] = (
    ("glon", "glat", "GALACTIC"), ("gal_lon", "gal_lat", "GALACTIC"), ("gal_l", "gal_b", "GALACTIC"),
    ("gall", "galb", "GALACTIC"), ("galactic_longitude", "galactic_latitude", "GALACTIC"),
    ("l_ii", "b_ii", "GALACTIC"), ("lii", "bii", "GALACTIC"), ("l", "b", "GALACTIC"),
    ("elon", "elat", "ECLIPTIC"), ("ecl_lon", "ecl_lat", "ECLIPTIC"), ("ecl_lon", "ecl_lat", "ECLIPTIC"),
    ("ecliptic_longitude", "ecliptic_latitude", "ECLIPTIC"), ("lambda", "beta", "ECLIPTIC"),
)  # fmt: skip
ANGLES = frozenset(name for pair in (*PAIRS, *((a, b) for a, b, _ in OTHER_FRAMES)) for name in pair) - {
    "l", "b", "lambda", "beta", "alpha", "delta"
}  # fmt: skip
"""Names that mean one angle of a position also without their partner."""
