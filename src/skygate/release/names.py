"""What a column's name tells when the file tells nothing: one table of rules, read from top to bottom.

Rules match the regular (lower-case) name. They give a UCD, a description and, for few names that leave no
doubt, a unit; what a rule gave is recorded beside the column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern for a whole regular name, and what it tells. `{0}`, `{1}` stand for groups of the pattern."""

    pattern: str
    ucd: str
    description: str
    unit: str | None = None


BANDS = {
    "u": "em.opt.U", "b": "em.opt.B", "v": "em.opt.V", "g": "em.opt.B", "r": "em.opt.R", "i": "em.opt.I",
    "z": "em.opt.I", "y": "em.IR.J", "j": "em.IR.J", "h": "em.IR.H", "k": "em.IR.K", "ks": "em.IR.K",
    "w1": "em.IR.3-4um", "w2": "em.IR.4-8um", "w3": "em.IR.8-15um", "w4": "em.IR.15-30um",
    "hp": "em.opt.V", "bp": "em.opt.B", "rp": "em.opt.R", "fuv": "em.UV.100-200nm", "nuv": "em.UV.200-300nm",
}  # fmt: skip
_BAND = "(" + "|".join(sorted(BANDS, key=len, reverse=True)) + ")"
_ERROR = r"(?:e|err|error|sig|sigma|eps|d|stat_error|rmse)"
_MAG = r"(?:mag|magnitude|mag_auto|mag_psf|psfmag|modelmag|petromag|cmodelmag|kronmag)"

RULES: tuple[Rule, ...] = (
    Rule(r"ra|raj2000|ra_?j2000|_?ra_?icrs|ra_?deg|alpha_?j2000|alphawin_j2000|right_?ascension|ra_?rad|ra_?mean",
         "pos.eq.ra", "Right ascension"),
    Rule(r"de|dec|dej2000|de[c]?_?j2000|_?dec?_?icrs|dec?_?deg|delta_?j2000|deltawin_j2000|declination|dec?_?rad"
         r"|dec_?mean", "pos.eq.dec", "Declination"),
    Rule(r"glon|l|gal_?l(?:on)?|l_?ii|galactic_?longitude", "pos.galactic.lon", "Galactic longitude"),
    Rule(r"glat|b|gal_?b|gal_?lat|b_?ii|galactic_?latitude", "pos.galactic.lat", "Galactic latitude"),
    Rule(r"elon|ecl_?lon|lambda|ecliptic_?longitude", "pos.ecliptic.lon", "Ecliptic longitude"),
    Rule(r"elat|ecl_?lat|beta|ecliptic_?latitude", "pos.ecliptic.lat", "Ecliptic latitude"),
    Rule(r"e_?ra(?:deg|rad)?|ra_?err(?:or)?|sigma_?ra", "stat.error;pos.eq.ra", "Standard error in RA"),
    Rule(r"e_?dec?(?:deg|rad)?|dec?_?err(?:or)?|sigma_?dec?", "stat.error;pos.eq.dec",
         "Standard error in declination"),
    Rule(r"pm_?ra|pm_?ra_?cosdec|mu_?alpha(?:star)?|pmra_?star", "pos.pm;pos.eq.ra",
         "Proper motion in right ascension, times cos(dec)"),
    Rule(r"pm_?dec?|mu_?delta", "pos.pm;pos.eq.dec", "Proper motion in declination"),
    Rule(r"pm", "pos.pm", "Total proper motion"),
    Rule(rf"{_ERROR}_?pm_?ra|pm_?ra_?err(?:or)?", "stat.error;pos.pm;pos.eq.ra",
         "Standard error of the proper motion in right ascension"),
    Rule(rf"{_ERROR}_?pm_?dec?|pm_?dec?_?err(?:or)?", "stat.error;pos.pm;pos.eq.dec",
         "Standard error of the proper motion in declination"),
    Rule(r"parallax|plx|pax", "pos.parallax.trig", "Parallax"),
    Rule(rf"parallax_?err(?:or)?|{_ERROR}_?(?:parallax|plx)", "stat.error;pos.parallax.trig",
         "Standard error of the parallax"),
    Rule(r"(?:rad_?vel|radial_?velocity|rv|hrv|v_?rad)", "spect.dopplerVeloc.opt", "Radial velocity"),
    Rule(rf"(?:{_ERROR}_?(?:rv|hrv|radial_velocity)|rv_?err(?:or)?|radial_velocity_error)",
         "stat.error;spect.dopplerVeloc.opt", "Standard error of the radial velocity"),
    Rule(r"z_?sp|zs|z_?spec|redshift|red_?shift|z_?hel(?:io)?|spec_?z", "src.redshift", "Redshift"),
    Rule(r"z_?ph(?:ot)?|photo_?z|zphot_.*", "src.redshift.phot", "Photometric redshift"),
    Rule(r"maj_?ax(?:is)?|major_?axis|diam(?:eter)?_?maj(?:or)?", "phys.angSize.smajAxis", "Major axis"),
    Rule(r"min_?ax(?:is)?|minor_?axis|diam(?:eter)?_?min(?:or)?", "phys.angSize.sminAxis", "Minor axis"),
    Rule(r"pos_?ang|position_?angle|pa", "pos.posAng", "Position angle, north through east"),
    Rule(r"surf_?br(?:n|ightness)?|surface_?brightness|sbrightn", "phot.mag.sb", "Surface brightness"),
    Rule(rf"{_BAND}_?{_MAG}|{_MAG}_?{_BAND}|phot_{_BAND}_mean_mag", "phot.mag;{band}",
         "Magnitude in {0}", "mag"),
    Rule(rf"{_ERROR}_?{_BAND}_?mag|{_BAND}_?mag_?err(?:or)?|mag_?err_?{_BAND}|mag(?:_\w+)?_err_{_BAND}",
         "stat.error;phot.mag;{band}", "Standard error of the magnitude in band {0}", "mag"),
    Rule(rf"{_BAND}_?{_MAG}_\w+|{_MAG}_\w+_{_BAND}", "phot.mag;{band}", "Magnitude in {0}", "mag"),
    Rule(r"(?:bp_rp|b_v|u_b|v_i|v_r|r_i|g_r|g_i|r_z|i_z|u_g|u_r|j_h|h_k|j_k)", "phot.color", "Colour {name}",
         "mag"),
    Rule(rf"{_ERROR}_(?:bp_rp|b_v|v_i|u_b|g_r|r_i)", "stat.error;phot.color", "Standard error of the colour"),
    Rule(rf"flux_?{_BAND}|{_BAND}_?flux|flux(?:_\w+)?_{_BAND}|phot_{_BAND}_mean_flux", "phot.flux;{band}",
         "Flux in band {0}"),
    Rule(rf"flux(?:_\w+)?_?err(?:or)?_?{_BAND}|{_BAND}_?flux_?err(?:or)?", "stat.error;phot.flux;{band}",
         "Standard error of the flux in band {0}"),
    Rule(r"mag(?:nitude)?", "phot.mag", "Magnitude", "mag"),
    Rule(r"flux(?:_\w+)?", "phot.flux", "Flux"),
    Rule(r"(?:source|star|object|obj|obs|galaxy|gal|coadd_object|coadd|cat|catalog|target|cluster)_?id"
         r"|id|objid|hip|hd|hr|tyc|ngc|ic|messier|m|twomass|kic|epic|tic|oid|nr|recno|uid|designation|iau_?name",
         "meta.id", "Identifier"),
    Rule(r"name|(?:source|object|obj|star|tile|field|main|common|galaxy)_?names?|tilename|identifiers",
         "meta.id", "Name"),
    Rule(r"class|(?:obj|object|source)_?type|type|class_star|star_galaxy|spread_model", "src.class",
         "Class of the object"),
    Rule(r"sp_?type|spectral_?type|sptype", "src.spType", "Spectral type"),
    Rule(r"hubble(?:_?type)?|morph(?:ology)?(?:_?type)?", "src.morph.type", "Morphological type"),
    Rule(r"const(?:ellation)?", "pos", "Constellation"),
    Rule(r"ebv|e_b_v|ebmv", "phot.color.excess", "Colour excess E(B-V)", "mag"),
    Rule(r"extinction(?:_\w+)?|a_?v|ag", "phys.absorption", "Extinction"),
    Rule(r"teff|t_eff|teff_\w+", "phys.temperature.effective", "Effective temperature"),
    Rule(r"log_?g|logg_\w+", "phys.gravity", "Surface gravity (logarithm)"),
    Rule(r"fe_?h|feh|metallicity|mh", "phys.abund.Z", "Metallicity"),
    Rule(r"dist(?:ance)?", "pos.distance", "Distance"),
    Rule(r"mjd\w*", "time.epoch", "Modified Julian date", "d"),
    Rule(r"jd|hjd|bjd", "time.epoch", "Julian date", "d"),
    Rule(r"epoch|ref_?epoch", "time.epoch", "Epoch"),
    Rule(r"period", "time.period", "Period"),
    Rule(r"(?:flag|flags)(?:_\w+)?|\w+_flags?|qual(?:ity)?|clean", "meta.code.qual", "Flag"),
    Rule(r"n_?obs\w*|\w+_n_?obs|n_?epochs?|n_?images?", "meta.number;obs", "Number of observations"),
    Rule(r"snr|s_?n|signal_to_noise|snr_\w+|\w+_snr", "stat.snr", "Signal to noise"),
    Rule(r"chi2?|chi_?sq(?:uared)?|\w+_chi2?", "stat.fit.chi2", "Chi squared"),
    Rule(r"notes?|remarks?|comments?|\w+_notes?|\w+_comments?", "meta.note", "Note"),
    Rule(r"(?:ref|bibcode|reference)s?", "meta.bib", "Reference"),
    Rule(r"filter|band", "meta.id;instr.filter", "Filter"),
    Rule(r"fwhm(?:_\w+)?", "instr.det.psf", "Full width at half maximum"),
    Rule(r"ellipticity|ell?ip", "src.ellipticity", "Ellipticity"),
    Rule(r"x(?:_?image)?|x_?pix", "pos.cartesian.x;instr.det", "Pixel coordinate x"),
    Rule(r"y(?:_?image)?|y_?pix", "pos.cartesian.y;instr.det", "Pixel coordinate y"),
    Rule(rf"{_ERROR}_\w+|\w+_err(?:or)?", "stat.error", "Standard error"),
)  # fmt: skip

SUFFIXES: tuple[tuple[str, str], ...] = (
    ("_mas_yr", "mas/yr"), ("_masyr", "mas/yr"), ("_km_s", "km/s"), ("_kms", "km/s"), ("_deg", "deg"),
    ("_rad", "rad"), ("_arcsec", "arcsec"), ("_arcmin", "arcmin"), ("_mas", "mas"), ("_jy", "Jy"),
    ("_mjy", "mJy"), ("_ujy", "uJy"), ("_mag", "mag"), ("_pc", "pc"), ("_kpc", "kpc"), ("_mpc", "Mpc"),
    ("_days", "d"), ("_yr", "yr"), ("_kelvin", "K"), ("_angstrom", "Angstrom"), ("_nm", "nm"), ("_um", "um"),
)  # fmt: skip
"""Units that an ending of the name tells (numbers only)."""

_UNITLESS_LETTERS = {"l", "b"}


@dataclass(frozen=True, slots=True)
class Told:
    """What the name tells, and by which rule."""

    ucd: str
    description: str
    unit: str | None
    rule: str


@lru_cache(maxsize=4096)
def told_by_name(name: str) -> Told | None:
    """What a regular name tells, or None (`l` and `b` alone tell nothing)."""
    if name in _UNITLESS_LETTERS:
        return None
    for rule in RULES:
        match = re.fullmatch(rule.pattern, name)
        if match is None:
            continue
        band = next((g for g in match.groups() if g), "")
        ucd = rule.ucd.replace("{band}", BANDS.get(band, "em"))
        description = rule.description.replace("{0}", band).replace("{name}", name.replace("_", "-"))
        return Told(ucd, description, rule.unit, f"name rule: {description}")
    return None


def unit_by_suffix(name: str) -> tuple[str, str] | None:
    """(unit, ending) that the end of a regular name tells, or None."""
    return next(((unit, ending) for ending, unit in SUFFIXES if name.endswith(ending)), None)
