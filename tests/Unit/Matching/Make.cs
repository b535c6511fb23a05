using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Deciding;
using Huzhu.Matching.Domain;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>States and commands that the tests of this folder start from.</summary>
internal static class Make
{
    public static readonly DateTimeOffset Now = new(2022, 4, 1, 8, 0, 0, TimeSpan.Zero);
    public static readonly GeoPoint Centre = new(31.22, 121.44);
    public static readonly Explanation Because = new(1, 0, 1, 120.5, 0, 2, 1, OrderReasons.OnlyOne, null, null, [], new Dictionary<string, int>());
    public static readonly ResponderId R1 = Responder(1), R2 = Responder(2), R3 = Responder(3);
    public static readonly OfferId O1 = Offer(1), O2 = Offer(2), O3 = Offer(3);

    public static Guid Id(int number, int space = 0) => new(number, (short)space, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    public static ResponderId Responder(int number) => ResponderId.Of(Id(number, 1));
    public static OfferId Offer(int number) => OfferId.Of(Id(number, 2));

    public static Need Need(Urgency urgency = Urgency.Hardship, int quantity = 1, DeliveryMode mode = DeliveryMode.Offline, string kind = ServiceKinds.Meals,
        GeoPoint? place = null, string? subDistrict = "J", CommunicationNeed[]? communication = null, ResponderId? own = null, ResponderId[]? excluded = null, int id = 1) => new(
        NeedId.Of(Id(id, 3)), RequestId.Of(Id(id, 4)), PersonId.Of(Id(id, 5)), kind, mode, quantity, place ?? Centre, subDistrict, urgency, communication ?? [], own, excluded ?? [], Now);

    public static Profile Profile(ResponderKind kind = ResponderKind.Group, int capacity = 2, GeoPoint? place = null, string subDistrict = "J", double? radius = null,
        string[]? subDistricts = null, string[]? kinds = null, DeliveryMode[]? modes = null, CommunicationNeed[]? abilities = null, bool permit = false, Site[]? sites = null) => new(
        kind, sites ?? [new Site(place ?? Centre, subDistrict)], radius, subDistricts ?? [], kinds ?? [ServiceKinds.Meals],
        modes ?? [DeliveryMode.Online, DeliveryMode.Offline], abilities ?? [], capacity, permit, null, ["boss"]);

    public static MatchState Fold(params MatchEvent[] events) => events.Aggregate(MatchState.Initial, MatchState.Evolve);
    public static ResponderState Fold(params ResponderEvent[] events) => events.Aggregate(ResponderState.Initial, ResponderState.Evolve);
    public static MatchState Then(this MatchState state, Decision<MatchEvent> decision) => decision.Events.Aggregate(state, MatchState.Evolve);

    public static NeedReceived Received(Urgency urgency = Urgency.Hardship, int quantity = 1) => new(Need(urgency, quantity), Now);

    public static OfferMade Made(OfferId id, ResponderId responder, int quantity = 1, Urgency urgency = Urgency.Hardship) => new(
        id, Need().RequestId, responder, ResponderKind.Group, ServiceKinds.Meals, DeliveryMode.Offline, quantity, urgency, [], "J", 1, true, Now.AddHours(1), Because, Now);

    public static OfferAccepted Accepted(OfferId id, ResponderId responder, int remaining = 1) => new(id, Need().RequestId, responder, remaining, Now);

    public static string Names<T>(Decision<T> decision) where T : notnull =>
        decision.Refusal is { } refusal ? $"refused {refusal.Code}" : string.Join(", ", decision.Events.Select(change => change.GetType().Name));
}
