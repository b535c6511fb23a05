using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Deciding;

namespace Huzhu.Matching.Domain;

public abstract record PolicyEvent(DateTimeOffset At);

/// <summary>From here on decisions follow this policy; its version is the version of this event in the stream.</summary>
public sealed record PolicyChanged(Policy Policy, string By, DateTimeOffset At) : PolicyEvent(At);

/// <summary>How one urgency is treated. All times in seconds, so that a rehearsal can run in fast time.</summary>
/// <param name="OfferLifeSeconds">How long a responder may think before the next one is asked.</param>
/// <param name="ParallelOffers">How many responders are asked at once; the first to accept gets the need.</param>
/// <param name="EscalateAfterSeconds">Counted from the need's original clock: then humans are told that nobody could be found.</param>
/// <param name="AskAgainAfterSeconds">A responder that was silent, or could not be reached, is asked again for the same need only after this.</param>
public sealed record UrgencyRules(double OfferLifeSeconds, int ParallelOffers, double EscalateAfterSeconds, double AskAgainAfterSeconds);

/// <summary>
/// What counts beside the way there, for offline help, in metres of detour: somebody who has not what is weighed is taken for so
/// much further away than it is. All 0: nearest first, and nothing else. Bounded, so that nobody goes across a city for it.
/// </summary>
/// <param name="OtherSubDistrictMetres">Works from another sub-district than the person's: who knows the place comes first.</param>
/// <param name="NoPeerMetres">Is not known to be led by somebody with a disability: peers who help peers come first.</param>
/// <param name="FullLoadMetres">All places held but one; half of it at half of the places: of near equals the one with more room.</param>
/// <param name="TurnMetres">Has had <paramref name="OffersInATurn"/> offers within <paramref name="TurnSeconds"/> and has them still: it is somebody else's turn.</param>
/// <param name="NotHelpedBeforeMetres">Has not helped this person before, though others have: those who know the person come first.</param>
public sealed record Weights(double OtherSubDistrictMetres = 0, double NoPeerMetres = 0, double FullLoadMetres = 0, double TurnMetres = 0, int OffersInATurn = 3, double TurnSeconds = 900,
    double NotHelpedBeforeMetres = 0)
{
    public const double MostMetres = 5_000;

    [JsonIgnore]
    public bool WeighNothing => OtherSubDistrictMetres == 0 && NoPeerMetres == 0 && FullLoadMetres == 0 && TurnMetres == 0 && NotHelpedBeforeMetres == 0;
}

/// <summary>
/// What places are worth to those who are still to come, from those who came lately: an offline need then goes a little further
/// where the nearer place is needed more by others. Danger of life has the nearest all the same.
/// </summary>
/// <param name="DemandSeconds">How far back those who came are looked at: about as long as help holds a place, so that as many will want the same places.</param>
/// <param name="MostMetres">The most that a place can be worth, and the furthest way that is minded.</param>
/// <param name="MostLoad">More than this share of all places is not thought to be wanted.</param>
/// <param name="EverySeconds">How often it is worked out anew.</param>
public sealed record Pricing(double DemandSeconds = 24 * 3600, double MostMetres = 3_000, double MostLoad = 0.95, double EverySeconds = 300);

/// <summary>What the order of responders and the timers follow. Data with a version; every offer names the version that made it.</summary>
/// <param name="ProviderBeforeGroup">Formal providers are asked before groups while they are open.</param>
/// <param name="MaxCandidatesExplained">How many of the better placed ones an offer's explanation names one by one.</param>
/// <param name="MaxUnansweredOffersPerNeed">After so many offers that were declined, expired or undeliverable, only humans go on.</param>
/// <param name="Weights">Null: nothing is weighed.</param>
/// <param name="AgeAfterSeconds">Whoever has waited so long comes among those of the next urgency, and so on, but never before those in danger of life. 0: never.</param>
/// <param name="MaxUntoldOffers">While more offers than this are made and not yet told, only needs of people in danger of life get any: the others wait.</param>
/// <param name="Prices">Null: nearest first, whoever else is to come.</param>
/// <param name="AssignTogetherFrom">So many offline needs that move at once are assigned together, for the shortest way to all of them; fewer, one by one. 0: never together.</param>
public sealed record Policy(
    bool ProviderBeforeGroup,
    UrgencyRules LifeThreatening,
    UrgencyRules Health,
    UrgencyRules Hardship,
    UrgencyRules Routine,
    int MaxCandidatesExplained,
    int MaxUnansweredOffersPerNeed,
    int AssignTogetherFrom = 16,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Weights? Weights = null,
    double AgeAfterSeconds = 24 * 3600,
    int MaxUntoldOffers = 1000,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Pricing? Prices = null)
{
    private const double MinSeconds = 0.01;
    private const double MaxSeconds = 90 * 24 * 3600;

    public static Policy Default { get; } = new(
        ProviderBeforeGroup: true,
        LifeThreatening: new(3 * 60, 3, 10 * 60, 9 * 60),
        Health: new(15 * 60, 1, 2 * 3600, 3600),
        Hardship: new(3600, 1, 24 * 3600, 4 * 3600),
        Routine: new(6 * 3600, 1, 72 * 3600, 24 * 3600),
        MaxCandidatesExplained: 50,
        MaxUnansweredOffersPerNeed: 100,
        Prices: new Pricing());

    public UrgencyRules For(Urgency urgency) => urgency switch
    {
        Urgency.LifeThreatening => LifeThreatening,
        Urgency.Health => Health,
        Urgency.Hardship => Hardship,
        Urgency.Routine => Routine,
    };

    /// <summary>Whether offers are made faster than they are told. Once so, it stays so until half of them have been told.</summary>
    public bool TellingIsBehind(int untold, bool wasBehind) => untold > (wasBehind ? MaxUntoldOffers / 2 : MaxUntoldOffers);

    /// <summary>Where a need stands in the backlog's order, before its clock: 0 is first. Waiting ages urgency.</summary>
    public int BacklogRank(Urgency urgency, TimeSpan waited)
    {
        var rank = (int)Urgency.LifeThreatening - (int)urgency;
        return rank <= 1 || AgeAfterSeconds <= 0 ? rank : Math.Max(1, rank - (int)Math.Clamp(Math.Floor(waited.TotalSeconds / AgeAfterSeconds), 0, 3));
    }

    /// <summary>What is out of bounds, by JSON path. Empty when the policy can be followed.</summary>
    public IReadOnlyDictionary<string, string[]> Errors()
    {
        var errors = new Dictionary<string, string[]>();
        foreach (var urgency in Enum.GetValues<Urgency>())
        {
            var (rules, path) = (For(urgency), char.ToLowerInvariant(urgency.ToString()[0]) + urgency.ToString()[1..]);
            Seconds(rules.OfferLifeSeconds, $"{path}.offerLifeSeconds");
            Seconds(rules.EscalateAfterSeconds, $"{path}.escalateAfterSeconds");
            Seconds(rules.AskAgainAfterSeconds, $"{path}.askAgainAfterSeconds");
            Between(rules.ParallelOffers, 1, 5, $"{path}.parallelOffers");
        }
        Between(MaxCandidatesExplained, 0, 200, "maxCandidatesExplained");
        Between(MaxUnansweredOffersPerNeed, 1, 1000, "maxUnansweredOffersPerNeed");
        Between(MaxUntoldOffers, 1, 1_000_000, "maxUntoldOffers");
        Between(AssignTogetherFrom, 0, 1_000_000, "assignTogetherFrom");
        if (AgeAfterSeconds != 0)
            Seconds(AgeAfterSeconds, "ageAfterSeconds");
        if (Prices is { } prices)
        {
            Seconds(prices.DemandSeconds, "prices.demandSeconds");
            Seconds(prices.EverySeconds, "prices.everySeconds");
            Metres(prices.MostMetres, "prices.mostMetres");
            if (prices.MostLoad is not (> 0 and <= 1))
                errors["prices.mostLoad"] = ["Must be above 0 and at most 1."];
        }
        if (Weights is { } weights)
        {
            Metres(weights.OtherSubDistrictMetres, "weights.otherSubDistrictMetres");
            Metres(weights.NoPeerMetres, "weights.noPeerMetres");
            Metres(weights.FullLoadMetres, "weights.fullLoadMetres");
            Metres(weights.TurnMetres, "weights.turnMetres");
            Metres(weights.NotHelpedBeforeMetres, "weights.notHelpedBeforeMetres");
            Between(weights.OffersInATurn, 1, 1000, "weights.offersInATurn");
            Seconds(weights.TurnSeconds, "weights.turnSeconds");
        }
        return errors;

        void Metres(double value, string path)
        {
            if (value is not (>= 0 and <= Weights.MostMetres))
                errors[path] = [$"Must be between 0 and {Weights.MostMetres} metres."];
        }

        void Seconds(double value, string path)
        {
            if (value is not (>= MinSeconds and <= MaxSeconds))
                errors[path] = [$"Must be between {MinSeconds} and {MaxSeconds} seconds."];
        }

        void Between(int value, int min, int max, string path)
        {
            if (value < min || value > max)
                errors[path] = [$"Must be between {min} and {max}."];
        }
    }
}

/// <summary>The policy in force, and its version; version 0 when none has been stored.</summary>
public sealed record PolicyState(Policy Policy, long Version)
{
    /// <summary>The one stream that holds every version.</summary>
    public static readonly Guid StreamId = new("0f4b8a52-9d1e-5c63-8f0a-706f6c696379");

    public static PolicyState Initial { get; } = new(Policy.Default, 0);

    public static PolicyState Evolve(PolicyState state, PolicyEvent change) => change switch
    {
        PolicyChanged changed => new PolicyState(changed.Policy, state.Version + 1),
        _ => throw new InvalidOperationException($"Unknown event {change.GetType().Name} in the policy stream."),
    };

    /// <summary>The first policy is stored like any other, so that version 1 can be read from the log.</summary>
    public static Decision<PolicyEvent> DecideFirst(PolicyState state, DateTimeOffset at) =>
        state.Version > 0 ? Decision<PolicyEvent>.Nothing : new PolicyChanged(Policy.Default, "huzhu", at);

    /// <param name="expectedVersion">The version that whoever changes it has seen.</param>
    public static Decision<PolicyEvent> DecideChange(PolicyState state, Policy policy, long expectedVersion, string by, DateTimeOffset at)
    {
        if (expectedVersion != state.Version)
            return Refusal.Conflict("stale-policy", $"The policy is at version {state.Version} by now: read it again.");
        if (policy.Errors() is { Count: > 0 } errors)
            return Refusal.Invalid("invalid", $"Out of bounds: {string.Join(", ", errors.Keys)}.");
        return policy == state.Policy ? Decision<PolicyEvent>.Nothing : new PolicyChanged(policy, by, at);
    }
}
