"""Independent arithmetic on 3-vectors to judge the sky room by, and random regions to try it on."""

import numpy as np

from skygate.domain.sky import Circle, Polygon, Position


def unit(ra, dec):
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d) + 0 * a], axis=-1)


def degrees_of(v):
    return np.degrees(np.arctan2(v[..., 1], v[..., 0])) % 360, np.degrees(
        np.arctan2(v[..., 2], np.hypot(v[..., 0], v[..., 1]))
    )


def angle(v, w):
    """Degrees between vectors by cross and dot product."""
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(v, w), axis=-1), np.sum(v * w, axis=-1)))


def around(center, rho_deg, theta):
    """Vectors at distances `rho_deg` and position angles `theta` from a vector."""
    pole = np.array([0.0, 0, 1]) if abs(center[2]) < 0.9 else np.array([1.0, 0, 0])
    east = np.cross(pole, center)
    east /= np.linalg.norm(east)
    north = np.cross(center, east)
    rho = np.radians(np.asarray(rho_deg, dtype=float))[..., None]
    theta = np.asarray(theta)[..., None]
    return np.cos(rho) * center + np.sin(rho) * (np.cos(theta) * east + np.sin(theta) * north)


def winding(polygon, v):
    """Which vectors the polygon winds around, by the angles that edges span as seen from the vectors."""
    corners = unit(*np.array([(c.ra_deg, c.dec_deg) for c in polygon.corners]).T)
    total = np.zeros(len(v))
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        pa, pb = np.cross(v, a), np.cross(v, b)
        total += np.arctan2(np.sum(v * np.cross(pa, pb), axis=1), np.sum(pa * pb, axis=1))
    return (np.abs(total) > np.pi) & (v @ corners.mean(axis=0) > 0)


def edge_margin(polygon, v):
    """Degrees from vectors to the nearest edge (sampled by the plane and the end points)."""
    corners = unit(*np.array([(c.ra_deg, c.dec_deg) for c in polygon.corners]).T)
    least = np.full(len(v), np.inf)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        n = np.cross(a, b - a)
        n /= np.linalg.norm(n)
        foot = v - ((v - a) @ n)[:, None] * n
        on = (np.cross(a, foot) @ n >= 0) & (np.cross(foot, b) @ n >= 0)
        plane = np.abs(np.degrees(np.arcsin(np.clip((v - a) @ n, -1, 1))))
        ends = np.minimum(angle(v, a), angle(v, b))
        least = np.minimum(least, np.where(on, plane, ends))
    return least


def random_position(rng):
    kind = rng.integers(6)
    ra = float(rng.choice([0.0, 1e-9, 359.9999999, 180.0, rng.uniform(0, 360), rng.uniform(0, 360)]))
    dec = float(np.degrees(np.arcsin(rng.uniform(-1, 1))))
    dec = {0: 90.0, 1: -90.0, 2: 90 - 10 ** rng.uniform(-6, 1), 3: 41.8103148957786}.get(int(kind), dec)
    return Position(ra, float(dec))


def random_size(rng, low=0.1 / 3600, high=60.0):
    return float(10 ** rng.uniform(np.log10(low), np.log10(high)))


def random_circle(rng, high=60.0):
    return Circle(random_position(rng), random_size(rng, high=high))


def random_polygon(rng, high=60.0):
    """A star-shaped, usually concave polygon of 3 to 12 corners of either winding."""
    center, size = random_position(rng), random_size(rng, high=high)
    n = int(rng.integers(3, 13))
    theta = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) * 2 * np.pi / n
    if rng.random() < 0.5:
        theta = theta[::-1]
    rho = size * rng.uniform(0.25, 1.0, n)
    ra, dec = degrees_of(around(unit(center.ra_deg, center.dec_deg), rho, theta))
    return Polygon(tuple(Position(float(a), float(d)) for a, d in zip(ra, dec, strict=True)))


def points_near(region, rng, n):
    """Vectors crowded in, on and about a region, with some of all the sky."""
    if isinstance(region, Circle):
        center, size = unit(region.center.ra_deg, region.center.dec_deg), region.radius_deg
        edge = size * (1 + rng.choice([-1, 1], n) * 10 ** rng.uniform(-10, -1, n))
        rho = np.where(rng.random(n) < 0.5, edge, size * 2 * np.sqrt(rng.random(n)))
        v = around(center, rho, rng.uniform(0, 2 * np.pi, n))
        v = np.concatenate([v, center[None]])
    else:
        corners = unit(*np.array([(c.ra_deg, c.dec_deg) for c in region.corners]).T)
        i = rng.integers(len(corners), size=n)
        t = rng.random(n)[:, None]
        v = corners[i] * t + np.roll(corners, -1, axis=0)[i] * (1 - t)
        size = angle(corners, corners.mean(axis=0)).max()
        v += rng.normal(size=(n, 3)) * np.radians(size) * (10 ** rng.uniform(-10, 0.3, n))[:, None]
        v = np.concatenate([v, corners.mean(axis=0)[None]])
    far = rng.normal(size=(n // 10, 3))
    v = np.concatenate([v, far])
    return v / np.linalg.norm(v, axis=1, keepdims=True)
