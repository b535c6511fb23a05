using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Huzhu.Contracts;

namespace Huzhu.Local.Scenarios;

/// <summary>The three stretches of every scenario: providers work, providers are closed, providers are back.</summary>
public enum Phase { Open, Lockdown, Recovery }

/// <summary>
/// A whole story, worked out from a seed or from files before anything runs. What the running services make of it is
/// theirs; what people do in it (who calls when, who declines, how long help takes) stands here.
/// </summary>
/// <param name="Requests">In the order of their arrival.</param>
/// <param name="MeasureArea">The ring of the measure that closes the providers; null: each provider publishes its own closure.</param>
/// <param name="Calibration">The figures that the scenario was made to have, and where each comes from.</param>
/// <param name="Notes">What a reader of the report must know, such as rows of a file that were left out.</param>
public sealed record Scenario(
    string Name,
    string Title,
    int Seed,
    Calendar Calendar,
    Behaviour Behaviour,
    IReadOnlyList<Area> Areas,
    IReadOnlyList<ScenarioResponder> Responders,
    IReadOnlyList<ScenarioRequest> Requests,
    IReadOnlyList<GeoPoint>? MeasureArea,
    IReadOnlyList<Figure> Calibration,
    IReadOnlyList<string> Notes)
{
    public int NeedCount => Requests.Sum(request => request.Needs.Count);
    public IEnumerable<ScenarioResponder> Providers => Responders.Where(responder => responder.IsProvider);
}

/// <summary>
/// The story's days and what they are on the clock. The services run on the real clock; only the story is compressed.
/// </summary>
/// <param name="PatienceDays">A need whose person waited longer than this without a responder, all waits added, was not met.</param>
/// <param name="FollowUpDays">After the last phase nothing new arrives and work in hand is finished, at <paramref name="FollowUpSecondsPerDay"/>.</param>
public sealed record Calendar(
    DateTimeOffset StartsAt,
    double OpenDays,
    double LockdownDays,
    double RecoveryDays,
    double FollowUpDays,
    double SecondsPerDay,
    double FollowUpSecondsPerDay,
    double PatienceDays)
{
    public double ClosureDay => OpenDays;
    public double ReopeningDay => OpenDays + LockdownDays;
    public double PhasesEndDay => OpenDays + LockdownDays + RecoveryDays;
    public double EndDay => PhasesEndDay + FollowUpDays;

    /// <summary>On the clock. It stays the same to the end, although follow-up days may be shorter.</summary>
    public double PatienceSeconds => Math.Round(PatienceDays * SecondsPerDay, 2);

    public Phase PhaseOf(double day) => day < ClosureDay ? Phase.Open : day < ReopeningDay ? Phase.Lockdown : Phase.Recovery;

    /// <summary>The same story, its phases told more slowly.</summary>
    public Calendar SlowedBy(double factor) => this with { SecondsPerDay = SecondsPerDay * factor };

    /// <summary>Seconds from the run's start to the day.</summary>
    public double SecondsAt(double day) =>
        Math.Min(day, PhasesEndDay) * SecondsPerDay + Math.Max(0, day - PhasesEndDay) * FollowUpSecondsPerDay;

    /// <summary>The story's day, so many seconds after the run's start.</summary>
    public double DayAt(double seconds)
    {
        var end = PhasesEndDay * SecondsPerDay;
        return seconds <= end ? seconds / SecondsPerDay : PhasesEndDay + (seconds - end) / FollowUpSecondsPerDay;
    }
}

/// <summary>A sub-district on the map; <paramref name="Ring"/> is empty where there is no map.</summary>
public sealed record Area(string Name, IReadOnlyList<GeoPoint> Ring);

/// <param name="Channels">How it is told; a webhook of the coordinators that the runner plays.</param>
public sealed record ScenarioResponder(
    Guid Id,
    bool IsProvider,
    string Name,
    string Description,
    string SubDistrict,
    IReadOnlyList<ScenarioSite> Sites,
    double? RadiusMetres,
    IReadOnlyList<string> SubDistricts,
    IReadOnlyList<string> ServiceKinds,
    IReadOnlyList<DeliveryMode> Modes,
    IReadOnlyList<CommunicationNeed> Abilities,
    int Capacity,
    bool ZonePermit,
    bool? LeaderHasDisability);

public sealed record ScenarioSite(GeoPoint Place, string SubDistrict);

/// <summary>One call for help, and what its caller does later.</summary>
/// <param name="Key">The call's id at its source: unique, and the root of every seeded choice about it.</param>
/// <param name="ArrivalDay">When it is submitted, in days of the story.</param>
/// <param name="Missing">What the first submission leaves out; a PATCH completes it half a day later.</param>
/// <param name="RepeatsKey">The earlier call that this one repeats: the same person, the same kind of need.</param>
/// <param name="CancelAfterDays">The caller no longer wants it after so many days, if it has not been met.</param>
public sealed record ScenarioRequest(
    string Key,
    double ArrivalDay,
    string PersonRef,
    bool ByProxy,
    GeoPoint Place,
    string? SubDistrict,
    Urgency Urgency,
    IReadOnlyList<CommunicationNeed> Communication,
    IReadOnlyList<ScenarioNeed> Needs,
    Guid? OwnGroupId = null,
    MissingPart Missing = MissingPart.Nothing,
    string? RepeatsKey = null,
    double? CancelAfterDays = null,
    AfterHelp AfterHelp = AfterHelp.Silent);

public enum MissingPart { Nothing, Location, Consent }

/// <summary>What the person says once the help has come.</summary>
public enum AfterHelp { Silent, Confirms, Disputes, RaisesConcern }

/// <param name="WorkDays">How long the help takes, from acceptance to completion, whoever gives it.</param>
public sealed record ScenarioNeed(string Kind, DeliveryMode Mode, int Quantity, double WorkDays, string Note);

/// <summary>How often simulated coordinators do what. Shares of offers, 0 to 1.</summary>
/// <param name="AnswerSecondsMin">On the real clock: the time from the message to the answer.</param>
public sealed record Behaviour(
    double ProviderDeclines,
    double ProviderSilent,
    double GroupDeclines,
    double GroupSilent,
    double Releases,
    double CompletesInPart,
    double AnswerSecondsMin,
    double AnswerSecondsMax);

/// <summary>A figure that the scenario was calibrated with.</summary>
/// <param name="Origin">Who says so: "study", "data" or "simulation".</param>
public sealed record Figure(string Name, string Aimed, string Generated, string Origin);

/// <summary>
/// Seeded choices. A choice hangs on what it is about, never on the order in which things happen to run, so that two
/// runs of one seed ask the same of the services.
/// </summary>
public static class Seeded
{
    /// <summary>A stream of random numbers for one purpose.</summary>
    public static Random Stream(int seed, string purpose) => new(unchecked((int)Bits(seed, purpose)));

    /// <summary>One number in [0, 1) that belongs to the name.</summary>
    public static double Unit(int seed, string name) => (Bits(seed, name) >> 11) * (1.0 / (1UL << 53));

    /// <summary>The id that belongs to the name, the same in every run of the seed.</summary>
    public static Guid Id(int seed, string name)
    {
        var bytes = Hash(seed, name).AsSpan(0, 16);
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x80);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true);
    }

    public static T Pick<T>(this Random random, IReadOnlyList<T> items) => items[random.Next(items.Count)];

    public static T Pick<T>(this Random random, IReadOnlyList<(T Item, double Weight)> items)
    {
        var left = random.NextDouble() * items.Sum(item => item.Weight);
        foreach (var (item, weight) in items)
        {
            left -= weight;
            if (left < 0)
                return item;
        }
        return items[^1].Item;
    }

    public static bool Happens(this Random random, double share) => random.NextDouble() < share;

    public static double Between(this Random random, double from, double to) => from + random.NextDouble() * (to - from);

    static ulong Bits(int seed, string name) => BinaryPrimitives.ReadUInt64LittleEndian(Hash(seed, name));

    static byte[] Hash(int seed, string name) => SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}\n{name}"));
}

/// <summary>Geometry that the scenario and the checker share with nobody: the services have their own.</summary>
public static class Geometry
{
    const double EarthRadiusMetres = 6_371_008.8;

    /// <summary>Great-circle distance in metres.</summary>
    public static double DistanceMetres(GeoPoint from, GeoPoint to)
    {
        static double Radians(double degrees) => degrees * Math.PI / 180;
        var latitudes = Radians(to.Latitude - from.Latitude);
        var longitudes = Radians(to.Longitude - from.Longitude);
        var chord = Math.Pow(Math.Sin(latitudes / 2), 2)
            + Math.Cos(Radians(from.Latitude)) * Math.Cos(Radians(to.Latitude)) * Math.Pow(Math.Sin(longitudes / 2), 2);
        return 2 * EarthRadiusMetres * Math.Asin(Math.Min(1, Math.Sqrt(chord)));
    }

    /// <summary>Whether the place lies inside the ring; even-odd rule.</summary>
    public static bool Contains(IReadOnlyList<GeoPoint> ring, GeoPoint place)
    {
        var inside = false;
        for (int i = 0, j = ring.Count - 1; i < ring.Count; j = i++)
        {
            var (a, b) = (ring[i], ring[j]);
            if (a.Latitude > place.Latitude != b.Latitude > place.Latitude
                && place.Longitude < (b.Longitude - a.Longitude) * (place.Latitude - a.Latitude) / (b.Latitude - a.Latitude) + a.Longitude)
                inside = !inside;
        }
        return inside;
    }

    /// <summary>The part of the ring that is nearer to <paramref name="mine"/> than to <paramref name="other"/>: one cut of a Voronoi cell.</summary>
    public static List<GeoPoint> CutNearer(IReadOnlyList<GeoPoint> ring, GeoPoint mine, GeoPoint other)
    {
        // Degrees of longitude are shorter than those of latitude; the cut is made in a plane that knows it.
        var shrink = Math.Cos(mine.Latitude * Math.PI / 180);
        double Side(GeoPoint p)
        {
            double Squared(GeoPoint q) => Math.Pow(p.Latitude - q.Latitude, 2) + Math.Pow((p.Longitude - q.Longitude) * shrink, 2);
            return Squared(other) - Squared(mine);
        }
        var kept = new List<GeoPoint>();
        for (var i = 0; i < ring.Count; i++)
        {
            var (from, to) = (ring[i], ring[(i + 1) % ring.Count]);
            var (here, there) = (Side(from), Side(to));
            if (here >= 0)
                kept.Add(from);
            if (here >= 0 == there >= 0)
                continue;
            var t = here / (here - there);
            kept.Add(new GeoPoint(from.Latitude + t * (to.Latitude - from.Latitude), from.Longitude + t * (to.Longitude - from.Longitude)));
        }
        return kept;
    }
}
