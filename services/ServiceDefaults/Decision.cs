namespace Huzhu.Deciding;

/// <summary>Why a command was refused. It becomes an RFC 9457 problem at the edge and is never stored.</summary>
/// <param name="Code">A stable kebab-case word that clients can switch on.</param>
/// <param name="Reason">One sentence for a person.</param>
public sealed record Refusal(RefusalKind Kind, string Code, string Reason)
{
    public static Refusal Invalid(string code, string reason) => new(RefusalKind.Invalid, code, reason);
    public static Refusal NotFound(string code, string reason) => new(RefusalKind.NotFound, code, reason);
    public static Refusal Forbidden(string code, string reason) => new(RefusalKind.Forbidden, code, reason);
    public static Refusal Conflict(string code, string reason) => new(RefusalKind.Conflict, code, reason);
}

public enum RefusalKind { Invalid, NotFound, Forbidden, Conflict }

/// <summary>
/// What a <c>Decide</c> answers: the events that follow, which may be none when the command repeats what has happened,
/// or a refusal. A refusal is an ordinary answer, not an exception.
/// </summary>
public readonly record struct Decision<TEvent>(IReadOnlyList<TEvent> Events, Refusal? Refusal) where TEvent : notnull
{
    public static Decision<TEvent> Nothing => new([], null);

    public static implicit operator Decision<TEvent>(TEvent[] events) => new(events, null);
    public static implicit operator Decision<TEvent>(List<TEvent> events) => new(events, null);
    public static implicit operator Decision<TEvent>(TEvent single) => new([single], null);
    public static implicit operator Decision<TEvent>(Refusal refusal) => new([], refusal);
}
