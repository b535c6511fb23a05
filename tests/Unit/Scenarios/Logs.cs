using System.Text.Json;
using Huzhu.Local.Scenarios;

namespace Huzhu.Tests.Unit.Scenarios;

/// <summary>Event logs written by hand, as the databases would have them.</summary>
sealed class Logs
{
    public static readonly DateTimeOffset Start = new(2022, 4, 1, 0, 0, 0, TimeSpan.Zero);

    public static readonly Guid
        Provider = new("10000000-0000-4000-8000-000000000001"), Group = new("20000000-0000-4000-8000-000000000001"),
        Request = new("30000000-0000-4000-8000-000000000001"), Need = new("40000000-0000-4000-8000-000000000001"),
        Offer = new("50000000-0000-4000-8000-000000000001"), SecondOffer = new("50000000-0000-4000-8000-000000000002"),
        Policy = new("60000000-0000-4000-8000-000000000001"), Zones = new("70000000-0000-4000-8000-000000000001"),
        Measure = new("80000000-0000-4000-8000-000000000001");

    public static readonly object Here = new { lat = 31.2205, lon = 121.4405 }, Near = new { lat = 31.2214, lon = 121.4405 }, Far = new { lat = 31.30, lon = 121.60 };

    public List<LogRow> Rows { get; } = [];
    public List<AcceptedCall> Accepted { get; } = [];
    double _second;

    /// <summary>Events from here on are stored this much later.</summary>
    public Logs Wait(double seconds)
    {
        _second += seconds;
        return this;
    }

    public LogRow Add(string service, Guid stream, string type, object data)
    {
        var version = Rows.Count(row => row.Service == service && row.Stream == stream) + 1;
        var row = new LogRow(service, Rows.Count + 1, Guid.NewGuid(), stream, version, type, JsonSerializer.SerializeToElement(data), Start.AddSeconds(_second));
        Rows.Add(row);
        return row;
    }

    public void Replace(LogRow row, object data) => Rows[Rows.FindIndex(one => one.EventId == row.EventId)] = row with { Data = JsonSerializer.SerializeToElement(data) };

    public IReadOnlyDictionary<string, Invariant> Check()
    {
        var checker = new Checker();
        foreach (var row in Rows)
            checker.Read(row);
        return checker.Finish(Accepted).ToDictionary(invariant => invariant.Name);
    }

    public Logs WithPolicy()
    {
        Add("matching", Policy, "policy_changed", new { policy = new { }, by = "huzhu" });
        return this;
    }

    public Logs Listed(Guid responder, string kind, int capacity = 1, object? place = null, string[]? kinds = null, string[]? modes = null, string[]? abilities = null,
        double? radius = null, string[]? subDistricts = null, bool permit = false, bool siteOpen = true, string opening = "open")
    {
        Add("matching", responder, "responder_listed", new
        {
            profile = Profile(kind, capacity, place, kinds, modes, abilities, radius, subDistricts, permit, siteOpen),
            opening,
            directoryVersion = 1,
        });
        return this;
    }

    public static object Profile(string kind, int capacity, object? place = null, string[]? kinds = null, string[]? modes = null, string[]? abilities = null,
        double? radius = null, string[]? subDistricts = null, bool permit = false, bool siteOpen = true) => new
        {
            kind,
            sites = new[] { new { place = place ?? Near, subDistrict = "J", open = siteOpen } },
            radiusMetres = radius,
            subDistricts = subDistricts ?? [],
            serviceKinds = kinds ?? ["specialised"],
            modes = modes ?? ["offline", "online"],
            communicationAbilities = abilities ?? ["text-only"],
            capacity,
            zonePermit = permit,
            leaderHasDisability = true,
            managedBy = Array.Empty<string>(),
        };

    public static object NeedFacts(Guid? id = null, string kind = "specialised.medicine", string mode = "offline", object? place = null, string[]? communication = null,
        Guid[]? excluded = null, string? subDistrict = "J") => new
        {
            needId = id ?? Need,
            requestId = Request,
            kind,
            mode,
            quantity = 1,
            place = place ?? Here,
            subDistrict,
            urgency = "health",
            communication = communication ?? ["text-only"],
            excludedResponders = excluded ?? [],
        };

    public LogRow Submitted(Guid? request = null, Guid? need = null, string key = "call-1", bool partial = false, object? duplicateOf = null)
    {
        var row = Add("requests", request ?? Request, "request_submitted", new
        {
            requestId = request ?? Request,
            externalId = key,
            content = Content(need, partial, duplicateOf),
        });
        Accepted.Add(new AcceptedCall(Call.Submit, request ?? Request, [need ?? Need], key, Start));
        return row;
    }

    public static object Content(Guid? need = null, bool partial = false, object? duplicateOf = null) => new
    {
        place = partial ? null : Here,
        subDistrict = "J",
        needs = new[] { new { needId = need ?? Need, kind = "specialised.medicine", mode = "offline", quantity = 1, duplicateOf } },
        urgency = "health",
        communication = new[] { "text-only" },
        consent = new { basis = "explicit" },
    };

    public LogRow Received(object? facts = null) => Add("matching", Need, "need_received", new { need = facts ?? NeedFacts() });

    /// <summary>An offer and its place, held at the ledger's next version.</summary>
    public LogRow Offered(Guid? offer = null, Guid? responder = null, Guid? need = null, long? ledgerVersion = null, double? distance = null, long zonesVersion = 0,
        string kind = "provider", bool holds = true, object? explanation = null, long policyVersion = 1)
    {
        var (id, who) = (offer ?? Offer, responder ?? Provider);
        var version = ledgerVersion ?? Rows.Count(row => row.Service == "matching" && row.Stream == who);
        var row = Add("matching", need ?? Need, "offer_made", new
        {
            offerId = id,
            requestId = Request,
            responderId = who,
            responderKind = kind,
            explanation = explanation ?? new
            {
                policyVersion,
                zonesVersion,
                rank = 1,
                distanceMetres = distance ?? 100.08,
                held = 0,
                ledgerVersion = version,
                firstBecause = "only-one",
                leftOut = Array.Empty<object>(),
            },
        });
        if (holds)
            Add("matching", who, "place_held", new { offerId = id, needId = need ?? Need });
        return row;
    }

    public LogRow OfferEvent(string type, Guid? offer = null, Guid? responder = null, int remaining = 0, string? reason = null, Guid? need = null) =>
        Add("matching", need ?? Need, type, new { offerId = offer ?? Offer, requestId = Request, responderId = responder ?? Provider, remaining, quantity = 1, reason });

    public LogRow Released(Guid? offer = null, Guid? responder = null, Guid? need = null) =>
        Add("matching", responder ?? Provider, "place_released", new { offerId = offer ?? Offer, needId = need ?? Need, reason = "done" });

    public LogRow Recorded(string state, string? reason = null, Guid? need = null, Guid? request = null) =>
        Add("requests", request ?? Request, "need_state_recorded", new { needId = need ?? Need, matchVersion = 1, state, reason });

    public LogRow Notified(Guid cause, string audience = "responder", Guid? stream = null) =>
        Add("notifications", stream ?? Guid.NewGuid(), "notification_requested", new { causeId = cause, audience });

    /// <summary>A need that a provider serves from offer to completion, with everything that belongs to it.</summary>
    public static Logs OfAFulfilledNeed()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider", capacity: 2).Listed(Group, "group");
        logs.Add("groups", Provider, "provider_registered", new { });
        logs.Accepted.Add(new AcceptedCall(Call.RegisterProvider, Provider, [], "P", Start));
        logs.Submitted();
        logs.Received();
        var made = logs.Wait(0.1).Offered();
        logs.OfferEvent("offer_sent");
        logs.Notified(made.EventId);
        var accepted = logs.Wait(1).OfferEvent("offer_accepted", remaining: 1);
        logs.Accepted.Add(new AcceptedCall(Call.Accept, Offer, [], "", Start));
        logs.Notified(accepted.EventId);
        logs.Notified(accepted.EventId, "requester");
        logs.OfferEvent("help_started", remaining: 1);
        logs.Wait(5).OfferEvent("help_completed");
        logs.Released();
        logs.Recorded("fulfilled");
        return logs;
    }
}
