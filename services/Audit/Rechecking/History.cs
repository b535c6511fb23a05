using Huzhu.Contracts;
using Huzhu.Matching.Domain;

namespace Huzhu.Audit.Rechecking;

/// <summary>One responder's ledger at one version.</summary>
/// <param name="At">The instant of the batch that made it: all of a batch's events have the same.</param>
public sealed record LedgerVersion(ResponderState State, long Sequence, DateTimeOffset At);

/// <summary>The recent versions of every ledger: a decision names those that it looked at, and they are never old.</summary>
public sealed class LedgerHistory
{
    private static readonly TimeSpan Kept = TimeSpan.FromMinutes(2);
    private readonly Dictionary<ResponderId, List<LedgerVersion>> _versions = [];

    /// <param name="asked">No decision before this will be asked about.</param>
    public ResponderState Append(ResponderId id, ResponderEvent change, long sequence, DateTimeOffset asked)
    {
        if (!_versions.TryGetValue(id, out var versions))
            _versions[id] = versions = [];
        var state = ResponderState.Evolve(versions.Count == 0 ? ResponderState.Initial : versions[^1].State, change);
        if (change.At < asked - Kept)
            versions.Clear();
        // In one go now and then: moving the list for each event would cost more than the events.
        else if (versions.Count >= 64 && versions[versions.Count / 2].At < asked - Kept)
            versions.RemoveRange(0, versions.Count / 2);
        versions.Add(new LedgerVersion(state, sequence, change.At));
        return state;
    }

    /// <returns>Null when there is no such version, or it is too old.</returns>
    public ResponderState? At(ResponderId id, long version)
    {
        if (version == 0)
            return ResponderState.Initial;
        if (!_versions.TryGetValue(id, out var versions))
            return null;
        var index = version - versions[0].State.Version;
        return index >= 0 && index < versions.Count ? versions[(int)index].State : null;
    }

    /// <summary>The ledger as it was at an instant, everything of that very instant included.</summary>
    /// <returns>Null when there was none, or it is too long ago.</returns>
    public ResponderState? AsOf(ResponderId id, DateTimeOffset at) =>
        _versions.TryGetValue(id, out var versions) ? versions.FindLast(version => version.At <= at)?.State : null;

    /// <summary>The versions that a decision may have seen of a ledger that it does not name, newest first.</summary>
    /// <param name="sequence">The decision's number: what stands before it was there, or is its own transaction's.</param>
    /// <param name="at">The decision's instant: its own transaction's changes may have come before or after it.</param>
    /// <param name="heardWithin">Another replica's changes may not have been heard of for so long.</param>
    public IEnumerable<ResponderState> Seen(ResponderId id, long sequence, DateTimeOffset at, TimeSpan heardWithin)
    {
        if (!_versions.TryGetValue(id, out var versions))
            yield break;
        for (var index = versions.Count - 1; index >= 0; index--)
        {
            if (versions[index].Sequence < sequence || versions[index].At == at)
                yield return versions[index].State;
            if (versions[index].At < at - heardWithin)
                yield break;
        }
    }
}
