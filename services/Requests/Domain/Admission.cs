using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Deciding;

namespace Huzhu.Requests.Domain;

/// <summary>Something that happened to the intake as a whole. One stream.</summary>
public abstract record AdmissionEvent(DateTimeOffset At);

/// <summary>More came in than could be worked off: from here on only calls of people in danger of life are taken in.</summary>
public sealed record SheddingBegan(AdmissionSigns Seen, AdmissionSigns Limits, DateTimeOffset At) : AdmissionEvent(At);

/// <summary>There is room again: every call is taken in.</summary>
public sealed record SheddingEnded(AdmissionSigns Seen, AdmissionSigns Limits, DateTimeOffset At) : AdmissionEvent(At);

/// <summary>Whether calls are taken in.</summary>
[JsonConverter(typeof(KebabEnumConverter<AdmissionMode>))]
public enum AdmissionMode { Open, Shedding }

/// <summary>What overload shows in; as limits, from where on it is one.</summary>
/// <param name="Unasked">Requests of the last hour for which nobody has been asked, because so much is on its way before them.</param>
/// <param name="SubmissionSeconds">How long even the quickest of the latest submissions took to be in the log, or has been waiting for it, or for a thread; 0 when there were none.</param>
public sealed record AdmissionSigns(int Unasked, double SubmissionSeconds)
{
    public bool IsOver(AdmissionSigns limits) => Unasked > limits.Unasked || SubmissionSeconds > limits.SubmissionSeconds;

    /// <summary>Well below the limits, so that not every moment changes the mode.</summary>
    public bool IsCalm(AdmissionSigns limits) => Unasked <= limits.Unasked / 2 && SubmissionSeconds <= limits.SubmissionSeconds / 2;
}

public sealed record AdmissionState(AdmissionMode Mode, DateTimeOffset? Since)
{
    public static AdmissionState Initial { get; } = new(AdmissionMode.Open, null);
}

/// <summary>Whether needs are taken in or shed. Whoever is in danger of life is never shed.</summary>
public static class Admission
{
    /// <summary>The one stream of all replicas.</summary>
    public static readonly Guid StreamId = new("4c1d7b9e-2a63-5f0c-9b7e-61646d697373");

    /// <summary>So long everything must have been calm before all are let in again.</summary>
    public static readonly TimeSpan CalmFor = TimeSpan.FromSeconds(10);

    public static bool Sheds(AdmissionMode mode, Urgency urgency) => mode is AdmissionMode.Shedding && urgency is not Urgency.LifeThreatening;

    public static AdmissionState Evolve(AdmissionState state, AdmissionEvent happened) => happened switch
    {
        SheddingBegan e => new(AdmissionMode.Shedding, e.At),
        SheddingEnded e => new(AdmissionMode.Open, e.At),
        _ => throw new InvalidOperationException($"The admission does not know the event {happened.GetType().Name}."),
    };

    /// <param name="calmSince">Since when whoever decides has seen nothing but calm; null when that is not so now.</param>
    public static Decision<AdmissionEvent> Decide(AdmissionState state, AdmissionSigns seen, AdmissionSigns limits, DateTimeOffset? calmSince, DateTimeOffset now) => state.Mode switch
    {
        AdmissionMode.Open => seen.IsOver(limits) ? new SheddingBegan(seen, limits, now) : Decision<AdmissionEvent>.Nothing,
        AdmissionMode.Shedding => calmSince is { } since && now - (since > state.Since ? since : state.Since) >= CalmFor ? new SheddingEnded(seen, limits, now) : Decision<AdmissionEvent>.Nothing,
    };
}
