using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Tests.Unit.Requests;

/// <summary>One request with one need, and how it gets into each of its states.</summary>
internal static class Given
{
    public static readonly DateTimeOffset Now = new(2022, 4, 1, 0, 30, 0, TimeSpan.Zero);
    public static readonly RequestId Request = new(new Guid("11111111-0000-0000-0000-000000000001"));
    public static readonly NeedId Need = new(new Guid("22222222-0000-0000-0000-000000000001"));
    public static readonly NeedLink Older = new(new(new Guid("11111111-0000-0000-0000-000000000009")), new(new Guid("22222222-0000-0000-0000-000000000009")));
    public static readonly NeedLink Repeat = new(new(new Guid("11111111-0000-0000-0000-000000000008")), new(new Guid("22222222-0000-0000-0000-000000000008")));
    public static readonly PersonId Person = new(new Guid("33333333-0000-0000-0000-000000000001"));
    public static readonly PersonId Proxy = new(new Guid("33333333-0000-0000-0000-000000000002"));
    public static readonly ResponderId Helper = new(new Guid("44444444-0000-0000-0000-000000000001"));
    public static readonly ResponderId Stranger = new(new Guid("44444444-0000-0000-0000-000000000002"));
    public static readonly Protected Words = new("Y2lwaGVydGV4dA==");
    public static readonly Said Said = new("local-intake", "other", Words, Now.AddHours(2));

    public static IntakeContent Content(GeoPoint? place = null, NeedLink? duplicateOf = null, Urgency urgency = Urgency.Hardship, bool partial = false,
        params AskedNeed[] needs) => new(
            partial ? null : place ?? new GeoPoint(31.2201, 121.44011), "J",
            needs.Length > 0 ? needs : [new AskedNeed(Need, ServiceKinds.Medicine, DeliveryMode.Offline, 2, duplicateOf)],
            urgency, [CommunicationNeed.TextOnly], null, new Consent("explicit", Now), true, [], Words, Words);

    public static RequestSubmitted Submitted(IntakeContent? content = null) =>
        new(Request, Person, Proxy, "hotline-12345", "call-42", "phone", Now, "op-7", content ?? Content(), "ZmluZ2VycHJpbnQ=", "local-intake", Now);

    public static NeedStateRecorded Told(long version, NeedState state, ResponderId? responder = null, DateTimeOffset? at = null) =>
        new(Need, version, state, responder, null, state == NeedState.Fulfilled ? 0 : 2, at ?? Now.AddHours(1));

    public static readonly NeedCancelled Cancelled = new(Need, true, "mistake", null, "local-intake", Now.AddHours(1));
    public static readonly NeedReopened Reopened = new(Need, [], "needed-again", null, "local-intake", Now.AddHours(1));
    public static readonly ConcernRaised Concern = new(Need, Helper, "unsafe", null, "local-intake", Now.AddHours(1));

    /// <summary>The ways to be.</summary>
    public static RequestState State(string name) => Huzhu.Requests.Domain.Request.Fold(name switch
    {
        "missing" => [],
        "partial" => [Submitted(Content(partial: true))],
        "abandoned" => [Submitted(Content(partial: true)), new IntakeAbandoned("mistake", null, "local-intake", Now)],
        "open" => [Submitted()],
        "waiting" => [Submitted(), Told(1, NeedState.Waiting)],
        "offered" => [Submitted(), Told(2, NeedState.Offered)],
        "accepted" => [Submitted(), Told(3, NeedState.Accepted, Helper)],
        "fulfilled" => [Submitted(), Told(5, NeedState.Fulfilled, Helper)],
        "fulfilled-long-ago" => [Submitted(), Told(5, NeedState.Fulfilled, Helper, Now.AddDays(-15))],
        "closed" => [Submitted(), Told(5, NeedState.Fulfilled, Helper), new NeedConfirmed(Need, "local-intake", Now.AddHours(1))],
        "cancelled" => [Submitted(), Cancelled],
        "reopened" => [Submitted(), Cancelled, Reopened],
        "on-hold" => [Submitted(), Told(3, NeedState.Accepted, Helper), Concern],
        "repeat" => (RequestEvent[])[Submitted(Content(duplicateOf: Older))],
        "cancelled-repeat" => [Submitted(Content(duplicateOf: Older)), Cancelled with { WithMatching = false }],
        _ => throw new ArgumentException($"Nobody is {name}.", nameof(name)),
    });
}
