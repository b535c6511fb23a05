using System.Text.Json;
using System.Text.Json.Serialization;

namespace Huzhu.Contracts;

/// <summary>How fast a need must be met. The order matters: a higher value is more urgent.</summary>
[JsonConverter(typeof(KebabEnumConverter<Urgency>))]
public enum Urgency { Routine, Hardship, Health, LifeThreatening }

[JsonConverter(typeof(KebabEnumConverter<DeliveryMode>))]
public enum DeliveryMode { Online, Offline }

/// <summary>
/// How the person must be spoken to. The same words say what a responder or a channel can do. Always a hard rule.
/// </summary>
[JsonConverter(typeof(KebabEnumConverter<CommunicationNeed>))]
public enum CommunicationNeed { SignLanguage, TextOnly, VoiceOnly, ScreenReader, EasyRead, Interpreter, Proxy }

[JsonConverter(typeof(KebabEnumConverter<ResponderKind>))]
public enum ResponderKind { Provider, Group }

/// <summary>Whether a responder takes new needs. <c>Closed</c> is a published closure; <c>Withdrawn</c> is final.</summary>
[JsonConverter(typeof(KebabEnumConverter<Opening>))]
public enum Opening { Open, Paused, Closed, Withdrawn }

/// <summary>Where a need stands. <c>Partial</c> is a request that still misses what matching needs.</summary>
[JsonConverter(typeof(KebabEnumConverter<NeedState>))]
public enum NeedState
{
    Partial, Open, Offered, Accepted, Started, Fulfilled, Closed,
    Waiting, Escalated, OnHold, Cancelled, DuplicateOf, Reopened,
}

[JsonConverter(typeof(KebabEnumConverter<DeclineReason>))]
public enum DeclineReason { NoCapacity, OutOfArea, NotCapable, CommunicationMismatch, Unsafe, Closed, Other }

/// <summary>Kebab-case names, and names only: a number is never an answer to a question of words.</summary>
public sealed class KebabEnumConverter<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false)
    where T : struct, Enum;

/// <summary>
/// The code list of service kinds. A code is a root, or a root and a specialisation joined by a dot.
/// A responder that provides a root provides everything below it.
/// </summary>
public static class ServiceKinds
{
    public const string BasicNeeds = "basic-needs";
    public const string Shelter = "basic-needs.shelter";
    public const string Water = "basic-needs.water";
    public const string EpidemicControl = "basic-needs.epidemic-control";
    public const string Specialised = "specialised";
    public const string Medicine = "specialised.medicine";
    public const string Counselling = "specialised.counselling";
    public const string MedicalCare = "specialised.medical-care";
    public const string Rescue = "specialised.rescue";
    public const string Meals = "meals";
    public const string Donations = "donations";
    public const string Goods = "donations.goods";
    public const string Money = "donations.money";

    public static IReadOnlyList<string> All { get; } =
    [
        BasicNeeds, Shelter, Water, EpidemicControl, Specialised, Medicine, Counselling, MedicalCare, Rescue, Meals, Donations, Goods, Money,
    ];

    private static readonly HashSet<string> Known = [.. All];

    public static bool IsKnown(string? code) => code is not null && Known.Contains(code);

    public static string RootOf(string code) => code.IndexOf('.') is var dot and >= 0 ? code[..dot] : code;

    /// <summary>Whether a responder that lists <paramref name="provided"/> can be asked for <paramref name="needed"/>.</summary>
    public static bool Covers(string provided, string needed) => provided == needed || provided == RootOf(needed);
}

/// <summary>A position on WGS84, in degrees.</summary>
public readonly record struct GeoPoint(
    [property: JsonPropertyName("lat")] double Latitude,
    [property: JsonPropertyName("lon")] double Longitude)
{
    [JsonIgnore]
    public bool IsOnEarth => Latitude is >= -90 and <= 90 && Longitude is >= -180 and <= 180;

    /// <summary>
    /// Snapped to a lattice of about 100 m, the coarsest place that still ranks responders.
    /// Only a place treated so may leave Requests.
    /// </summary>
    public GeoPoint Snapped()
    {
        const double latitudeStep = 0.0009;
        var latitude = Math.Clamp(Math.Round(Latitude / latitudeStep) * latitudeStep, -90, 90);
        var longitudeStep = latitudeStep / Math.Max(Math.Cos(latitude * Math.PI / 180), 0.01);
        var longitude = Math.Clamp(Math.Round(Longitude / longitudeStep) * longitudeStep, -180, 180);
        return new GeoPoint(Math.Round(latitude, 5), Math.Round(longitude, 5));
    }
}
