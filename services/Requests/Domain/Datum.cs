using Huzhu.Contracts;

namespace Huzhu.Requests.Domain;

/// <summary>
/// GCJ-02, the datum that Chinese maps and phones must use, shifts positions inside China by 100 to 700 m. The shift has
/// no closed inverse; it is found by iteration, to a millimetre.
/// </summary>
public static class Datum
{
    private const double SemiMajorAxisMetres = 6_378_245.0;
    private const double EccentricitySquared = 0.00669342162296594323;
    private const int MaxIterations = 30;
    private const double PrecisionDegrees = 1e-9;

    /// <summary>The WGS84 position of a GCJ-02 one. Outside China both are the same.</summary>
    public static GeoPoint FromGcj02(GeoPoint gcj)
    {
        if (!IsShifted(gcj))
            return gcj;
        var guess = gcj;
        for (var iteration = 0; iteration < MaxIterations; iteration++)
        {
            var (latitude, longitude) = ShiftAt(guess);
            var better = new GeoPoint(gcj.Latitude - latitude, gcj.Longitude - longitude);
            var done = Math.Abs(better.Latitude - guess.Latitude) < PrecisionDegrees && Math.Abs(better.Longitude - guess.Longitude) < PrecisionDegrees;
            guess = better;
            if (done)
                break;
        }
        return guess;
    }

    /// <summary>The GCJ-02 position of a WGS84 one. Outside China both are the same.</summary>
    public static GeoPoint ToGcj02(GeoPoint wgs)
    {
        if (!IsShifted(wgs))
            return wgs;
        var (latitude, longitude) = ShiftAt(wgs);
        return new GeoPoint(wgs.Latitude + latitude, wgs.Longitude + longitude);
    }

    /// <summary>The rectangle within which the shift is applied, as everybody's implementation has it.</summary>
    private static bool IsShifted(GeoPoint point) => point.Longitude is >= 72.004 and <= 137.8347 && point.Latitude is >= 0.8293 and <= 55.8271;

    private static (double Latitude, double Longitude) ShiftAt(GeoPoint wgs)
    {
        var x = wgs.Longitude - 105;
        var y = wgs.Latitude - 35;
        var radians = wgs.Latitude * Math.PI / 180;
        var sine = Math.Sin(radians);
        var magic = 1 - EccentricitySquared * sine * sine;
        var root = Math.Sqrt(magic);

        var waves = (20 * Math.Sin(6 * x * Math.PI) + 20 * Math.Sin(2 * x * Math.PI)) * 2 / 3;
        var north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * Math.Sqrt(Math.Abs(x)) + waves
            + (20 * Math.Sin(y * Math.PI) + 40 * Math.Sin(y / 3 * Math.PI)) * 2 / 3
            + (160 * Math.Sin(y / 12 * Math.PI) + 320 * Math.Sin(y * Math.PI / 30)) * 2 / 3;
        var east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * Math.Sqrt(Math.Abs(x)) + waves
            + (20 * Math.Sin(x * Math.PI) + 40 * Math.Sin(x / 3 * Math.PI)) * 2 / 3
            + (150 * Math.Sin(x / 12 * Math.PI) + 300 * Math.Sin(x / 30 * Math.PI)) * 2 / 3;

        return (north * 180 / (SemiMajorAxisMetres * (1 - EccentricitySquared) / (magic * root) * Math.PI),
            east * 180 / (SemiMajorAxisMetres / root * Math.Cos(radians) * Math.PI));
    }
}
