using Huzhu.Audit.Replaying;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Domain;

namespace Huzhu.Tests.Unit.Audit;

/// <summary>A history written by hand, an hour at a time, in which nobody has been asked yet: whoever is accepts at once.</summary>
sealed class World
{
    public static readonly DateTimeOffset Start = new(2022, 4, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly GeoPoint Here = new(31.22, 121.44);
    private readonly List<(NeedId, string, bool, TimeSpan)> _work = [];
    private readonly Dictionary<ResponderId, Profile> _profiles = [];
    private long _sequence;

    public History History { get; } = new();
    public List<(NeedId Need, ResponderId Responder, ResponderKind Kind, Answer Answer)> Answers { get; } = [];

    public World(Policy? policy = null) => Take(PolicyState.StreamId, 0, new PolicyChanged(policy ?? Patient, "test", Start));

    /// <summary>Nothing runs out within these stories.</summary>
    public static Policy Patient { get; } = Policy.Default with
    {
        LifeThreatening = new(1e6, 1, 1e6, 1e6),
        Health = new(1e6, 1, 1e6, 1e6),
        Hardship = new(1e6, 1, 1e6, 1e6),
        Routine = new(1e6, 1, 1e6, 1e6),
    };

    public static DateTimeOffset Hour(double hour) => Start.AddHours(hour);

    public ResponderId Responder(ResponderKind kind, int capacity = 1, double metresNorth = 0, double hour = 0, bool permit = false, GeoPoint? place = null, string[]? kinds = null,
        CommunicationNeed[]? abilities = null, Guid? id = null, double? radiusMetres = null, string[]? subDistricts = null, DeliveryMode[]? modes = null)
    {
        var responder = ResponderId.Of(id ?? new Guid(_profiles.Count + 1, 0, 0, new byte[8]));
        _profiles[responder] = new Profile(kind, [new Site(place ?? Here with { Latitude = Here.Latitude + metresNorth / 111_195 }, "J")], radiusMetres, subDistricts ?? [],
            kinds ?? [ServiceKinds.Meals], modes ?? [DeliveryMode.Offline], abilities ?? [], capacity, permit, null, []);
        Take(responder.Value, hour, new ResponderListed(_profiles[responder], Opening.Open, 1, Hour(hour)));
        return responder;
    }

    public World Closes(ResponderId id, double hour) => Take(id.Value, hour, new ResponderClosed("", null, 2, Hour(hour)));
    public World Reopens(ResponderId id, double hour) => Take(id.Value, hour, new ResponderReopened(3, Hour(hour)));

    public World Sealed(double metres, double from, double until)
    {
        var (id, half) = (MeasureId.Of(Guid.NewGuid()), metres / 111_195);
        GeoPoint[] ring = [new(Here.Latitude - half, Here.Longitude - half), new(Here.Latitude + half, Here.Longitude - half), new(Here.Latitude + half, Here.Longitude + half), new(Here.Latitude - half, Here.Longitude + half)];
        Take(MeasuresState.StreamId, from, new ZoneSealed(id, "", ring, Hour(from), Hour(from)));
        return Take(MeasuresState.StreamId, until, new ZoneLifted(id, "", Hour(until)));
    }

    /// <param name="work">Hours that its help takes.</param>
    public NeedId Need(double hour, double work = 1, Urgency urgency = Urgency.Routine, ResponderId? own = null, CommunicationNeed[]? communication = null, string? subDistrict = "J",
        GeoPoint? place = null, string kind = ServiceKinds.Meals, DeliveryMode mode = DeliveryMode.Offline, Guid? needId = null)
    {
        var id = NeedId.Of(needId ?? new Guid(1000 + _work.Count, 0, 0, new byte[8]));
        Take(id.Value, hour, new NeedReceived(new Need(id, RequestId.Of(Guid.NewGuid()), PersonId.Of(Guid.NewGuid()), kind, mode, 1, place ?? Here, subDistrict, urgency,
            communication ?? [], own, [], Hour(hour)), Hour(hour)));
        _work.Add((id, kind, true, TimeSpan.FromHours(work)));
        return id;
    }

    public World Cancels(NeedId id, double hour) =>
        Take(id.Value, hour, new Huzhu.Matching.Domain.NeedCancelled(RequestId.Of(Guid.NewGuid()), "no-longer", Hour(hour), Hour(hour)));

    public World Take(Guid stream, double hour, object change)
    {
        History.Take(++_sequence, stream, Hour(hour), change);
        return this;
    }

    /// <summary>The log goes on until then.</summary>
    public World Until(double hour) => Take(MeasuresState.StreamId, hour, new ZoneLifted(MeasureId.Of(Guid.NewGuid()), "", Hour(hour)));

    public Course Run(Variant? variant = null) => Simulation.Run(History, new Behaviour(Answers, _work), variant ?? new Variant());

    public Dictionary<NeedId, NeedOutcome> Outcomes(Variant? variant = null) => History.Outcomes(Run(variant)).ToDictionary(need => need.Asked.Id);
}
