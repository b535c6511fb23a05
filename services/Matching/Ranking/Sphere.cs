using Huzhu.Contracts;

namespace Huzhu.Matching.Ranking;

/// <summary>Great-circle distance on a sphere of the Earth's mean radius, by the haversine formula.</summary>
public static class Sphere
{
    public const double RadiusMetres = 6_371_008.8;

    public static double DistanceMetres(GeoPoint a, GeoPoint b) => DistanceMetres(
        Radians(a.Latitude), Radians(a.Longitude), Math.Cos(Radians(a.Latitude)),
        Radians(b.Latitude), Radians(b.Longitude), Math.Cos(Radians(b.Latitude)));

    /// <summary>The same, in radians and with the cosines of the latitudes at hand.</summary>
    public static double DistanceMetres(double latitudeA, double longitudeA, double cosineA, double latitudeB, double longitudeB, double cosineB)
    {
        var sineLatitude = Math.Sin((latitudeB - latitudeA) / 2);
        var sineLongitude = Math.Sin((longitudeB - longitudeA) / 2);
        var h = sineLatitude * sineLatitude + cosineA * cosineB * sineLongitude * sineLongitude;
        return 2 * RadiusMetres * Math.Asin(Math.Min(1, Math.Sqrt(h)));
    }

    public static (double X, double Y, double Z) UnitVector(GeoPoint place)
    {
        var (latitude, longitude) = (Radians(place.Latitude), Radians(place.Longitude));
        var (sine, cosine) = Math.SinCos(latitude);
        var (y, x) = Math.SinCos(longitude);
        return (cosine * x, cosine * y, sine);
    }

    /// <summary>
    /// The squared straight line, in Earth radii, between places so far apart on the surface; a little more, so that what
    /// was rounded on either side never puts a place beyond its own distance.
    /// </summary>
    public static double SquaredChord(double metres)
    {
        var half = Math.Sin(Math.Min(metres / (2 * RadiusMetres), Math.PI / 2));
        return 4 * half * half * (1 + 1e-9) + 1e-20;
    }

    public static double Radians(double degrees) => degrees * (Math.PI / 180);
}
