using System.Globalization;
using System.Text.Json.Serialization;
using Huzhu.Deciding;

namespace Huzhu.ServiceDefaults;

/// <summary>What became of people's data, in the log of each service that holds some. Ids and codes only, never the data.</summary>
public abstract record PersonEvent(DateTimeOffset At);

/// <summary>The person's key was deleted in the same transaction: what was encrypted with it can never be read again.</summary>
/// <param name="By">The subject of whoever asked; <see cref="People.Themselves"/> or <see cref="People.RulesOfRetention"/> where nobody signed in.</param>
/// <param name="Basis">On what ground, as a code.</param>
public sealed record PersonErased(Guid PersonId, string By, string Basis, DateTimeOffset At) : PersonEvent(At);

/// <summary>Personal data was shown. What machines read within a second is one event, on the stream of the day.</summary>
public sealed record PersonalDataRead(IReadOnlyList<Access> Reads, DateTimeOffset At) : PersonEvent(At);

/// <summary>From here on these rules say when people are erased without being asked for; the version is that of this event in its stream.</summary>
/// <param name="Days">By the name of the rule; a rule that is not named never applies.</param>
public sealed record RetentionChanged(IReadOnlyDictionary<string, double> Days, string By, DateTimeOffset At) : PersonEvent(At);

/// <summary>An operator had every person's data key wrapped by this master key; none that this service could open is wrapped by another since.</summary>
/// <param name="MasterKey">The id of the master key, which says nothing of the key.</param>
/// <param name="Rewrapped">How many keys this run wrapped anew; one that was broken off before it may have wrapped more.</param>
/// <param name="By">Who had it run, as they said; null in logs of before this was asked.</param>
public sealed record DataKeysRewrapped(string MasterKey, long Rewrapped, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By = null) : PersonEvent(At);

/// <summary>One reading of personal data.</summary>
/// <param name="People">Whose.</param>
/// <param name="Subject">The request or the responder that it was asked about.</param>
/// <param name="By">The reader's subject.</param>
/// <param name="Purpose">The reader's reason, as a code; null when none was given.</param>
public sealed record Access(IReadOnlyList<Guid> People, Guid Subject, Revealed What, string By, string? Purpose, DateTimeOffset At);

/// <summary>What of a person was shown.</summary>
public enum Revealed
{
    /// <summary>Name and channels, to be told something.</summary>
    Contact,
    /// <summary>Name, phone, exact place and note, to be helped.</summary>
    Visit,
    /// <summary>All that was told at the intake and said since.</summary>
    Everything,
}

/// <summary>Decisions about people's data; what a person is, each service says in its <see cref="IPeople"/>.</summary>
public static class People
{
    /// <summary>Who asked, when it was the person by the link of their own.</summary>
    public const string Themselves = "person";
    /// <summary>Who asked, when nobody did.</summary>
    public const string RulesOfRetention = "huzhu";

    public static readonly Guid RetentionStream = new("5b0c6f0e-2a44-5d1b-9c57-72657461696e");
    public static readonly Guid KeysStream = new("2e9d3c51-84b7-5f0a-a6d2-6d6173746b65");
    private static readonly Guid PersonSpace = new("a3c9a1de-7f0b-5e86-8d21-706572736f6e");
    private static readonly Guid AccessSpace = new("c1d7b2f4-90e3-5a17-b6c8-616363657373");

    /// <summary>The stream of what became of one person's data.</summary>
    public static Guid StreamOf(Guid person) => DeterministicId.Of(PersonSpace, person.ToString());

    /// <summary>The stream of what was read on one day.</summary>
    public static Guid AccessStreamOf(DateTimeOffset at) => DeterministicId.Of(AccessSpace, at.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));

    public static Refusal Unknown { get; } = Refusal.NotFound("person-not-found", "Nothing is held of this person here.");

    /// <summary>A repeat finds nothing left to erase; who has given data again since then can be erased again.</summary>
    /// <param name="last">The newest erasure.</param>
    /// <param name="isKnown">There are requests or entries of the person.</param>
    /// <param name="wait">Why it cannot be now.</param>
    public static Decision<PersonEvent> DecideErasure(PersonErased? last, bool isKnown, bool hasKey, Refusal? wait, PersonErased erasure) => (last, hasKey) switch
    {
        (null, false) when !isKnown => Unknown,
        (not null, false) => Decision<PersonEvent>.Nothing,
        _ => wait is null ? erasure : wait,
    };
}

/// <summary>When people are erased by themselves, and the version of that; version 0 when nobody has said.</summary>
public sealed record Retention(IReadOnlyDictionary<string, double> Days, long Version)
{
    private const double MostDays = 36_500;

    public static Retention Initial { get; } = new(new Dictionary<string, double>(), 0);

    public static Retention Evolve(Retention state, RetentionChanged changed) => new(changed.Days, state.Version + 1);

    /// <summary>What is wrong with new rules, by JSON path.</summary>
    public static Dictionary<string, string[]> Errors(IReadOnlyDictionary<string, double> days, IReadOnlyList<string> rules)
    {
        var errors = new Dictionary<string, string[]>();
        foreach (var (rule, value) in days)
        {
            if (!rules.Contains(rule))
                errors[$"days.{rule}"] = [$"There is no such rule; there are {string.Join(", ", rules)}."];
            else if (value is not (> 0 and <= MostDays))
                errors[$"days.{rule}"] = [$"More than 0 and at most {MostDays} days; leave the rule out for never."];
        }
        return errors;
    }

    /// <param name="expectedVersion">The version that whoever changes the rules has seen.</param>
    public static Decision<PersonEvent> DecideChange(Retention state, IReadOnlyDictionary<string, double> days, long expectedVersion, string by, DateTimeOffset at)
    {
        if (expectedVersion != state.Version)
            return Refusal.Conflict("stale-retention", $"The rules are at version {state.Version} by now: read them again.");
        return days.Count == state.Days.Count && days.All(rule => state.Days.TryGetValue(rule.Key, out var known) && known.Equals(rule.Value))
            ? Decision<PersonEvent>.Nothing
            : new RetentionChanged(days, by, at);
    }
}
