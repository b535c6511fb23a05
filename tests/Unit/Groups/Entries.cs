using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Tests.Unit.Groups;

/// <summary>What the tests of the directory start from.</summary>
internal static class Entries
{
    public static readonly DateTimeOffset Noon = new(2022, 4, 1, 12, 0, 0, TimeSpan.Zero);

    public static readonly GeoPoint Inside = new(31.22, 121.44);
    public static readonly GeoPoint AlsoInside = new(31.225, 121.445);
    public static readonly GeoPoint Outside = new(31.30, 121.60);

    public static readonly MeasureInForce Lockdown = InForce("Lockdown of W", new Guid("00000000-0000-0000-0000-0000000000a1"), 31.20, 31.25, 121.40, 121.50);
    public static readonly MeasureInForce Quarantine = InForce("Quarantine", new Guid("00000000-0000-0000-0000-0000000000a2"), 31.21, 31.26, 121.41, 121.51);
    /// <summary>Covers <see cref="Outside"/> and nothing else that is used here.</summary>
    public static readonly MeasureInForce Elsewhere = InForce("Elsewhere", new Guid("00000000-0000-0000-0000-0000000000a3"), 31.29, 31.31, 121.59, 121.61);

    public static DirectoryEntry Entry(string name = "Deaf mothers of J", params GeoPoint[] sites) => new(
        name, [.. (sites.Length == 0 ? [Inside] : sites).Select(place => new Location(place, "J"))], 3000, ["J"],
        [ServiceKinds.Meals], [DeliveryMode.Offline], [CommunicationNeed.SignLanguage], 8, false, true, ["local-coordinator"], new Protected("c2VhbGVk"));

    public static MeasureInForce InForce(string name, Guid id, double south, double north, double west, double east, bool closes = true) =>
        new(new MeasureId(id), name, Area.Of(Box(south, north, west, east)).Area!, closes);

    public static IReadOnlyList<GeoPoint> Box(double south, double north, double west, double east) =>
        [new(south, west), new(south, east), new(north, east), new(north, west)];

    public static TState Fold<TState, TEvent>(params IEnumerable<TEvent> events) where TState : IStreamState<TState, TEvent> where TEvent : notnull =>
        events.Aggregate(TState.Initial, TState.Evolve);

    public static Provider ProviderAfter(params IEnumerable<ProviderEvent> events) => Fold<Provider, ProviderEvent>(events);

    /// <summary>A decision in one line: the names of its events, or the kind and code of its refusal, or "nothing".</summary>
    public static string Summary<TEvent>(Huzhu.Deciding.Decision<TEvent> decision) where TEvent : notnull => decision switch
    {
        { Refusal: { } refusal } => $"{refusal.Kind}: {refusal.Code}",
        { Events.Count: 0 } => "nothing",
        _ => string.Join(" + ", decision.Events.Select(happened => happened.GetType().Name)),
    };
}
