using Huzhu.Contracts;
using Huzhu.ServiceDefaults;

namespace Huzhu.Audit.Replaying;

/// <summary>
/// What people do in a replay, taken from what they did. Where the same responder was asked for the same need, it answers as
/// it did; otherwise as it, or failing that one of its kind, answered another time, and which time hangs on nothing but the
/// ids, so that a replay comes out the same each time. Help takes as long as it took in all.
/// </summary>
public sealed class Behaviour
{
    private static readonly Answer AtOnce = new(AnswerKind.Accepts, TimeSpan.Zero, null, null);
    private readonly ILookup<(NeedId, ResponderId), Answer> _ofPair;
    private readonly Dictionary<ResponderId, List<Answer>> _ofResponder;
    private readonly Dictionary<ResponderKind, List<Answer>> _ofKind;
    private readonly Dictionary<NeedId, (bool Done, TimeSpan Work)> _worked;
    private readonly Dictionary<string, TimeSpan> _typicalOfKind;
    private readonly TimeSpan _typical;

    /// <param name="answers">In the order of asking.</param>
    /// <param name="work">How long each need was in somebody's hands, and whether it was done then.</param>
    public Behaviour(IReadOnlyCollection<(NeedId Need, ResponderId Responder, ResponderKind Kind, Answer Answer)> answers,
        IReadOnlyCollection<(NeedId Need, string Kind, bool Done, TimeSpan Work)> work)
    {
        _ofPair = answers.ToLookup(one => (one.Need, one.Responder), one => one.Answer);
        _ofResponder = answers.GroupBy(one => one.Responder).ToDictionary(group => group.Key, group => group.Select(one => one.Answer).ToList());
        _ofKind = answers.GroupBy(one => one.Kind).ToDictionary(group => group.Key, group => group.Select(one => one.Answer).ToList());
        _worked = work.ToDictionary(one => one.Need, one => (one.Done, one.Work));
        var done = work.Where(one => one.Done).ToList();
        _typical = Median(done.Select(one => one.Work));
        _typicalOfKind = done.GroupBy(one => one.Kind).ToDictionary(group => group.Key, group => Median(group.Select(one => one.Work)));
    }

    public static Behaviour Of(History history, IReadOnlyList<NeedOutcome> happened) => new(
        [.. history.Answers],
        [.. happened.Where(need => need.Holdings.Count > 0).Select(need =>
            (need.Asked.Id, need.Asked.Kind, need.IsFulfilled, TimeSpan.FromTicks(need.Holdings.Sum(holding => (holding.To - holding.From).Ticks))))]);

    /// <param name="time">How often the responder has been asked for the need, this time included.</param>
    public Answer AnswerOf(NeedId need, ResponderId responder, ResponderKind kind, int time)
    {
        if (_ofPair[(need, responder)].ElementAtOrDefault(time - 1) is { } same)
            return same;
        if (!_ofResponder.TryGetValue(responder, out var others) && !_ofKind.TryGetValue(kind, out others))
            return AtOnce;
        var number = DeterministicId.Of(need.Value, $"answer {time} of {responder}").ToByteArray(bigEndian: true);
        return others[(int)(System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(number) % (uint)others.Count)];
    }

    /// <summary>How long the help takes in all: as long as it took; where it was never finished, as is usual for the service kind, and no less than was spent.</summary>
    public TimeSpan WorkOf(NeedId need, string kind)
    {
        var typical = _typicalOfKind.GetValueOrDefault(kind, _typical);
        return !_worked.TryGetValue(need, out var known) ? typical : known.Done || known.Work > typical ? known.Work : typical;
    }

    private static TimeSpan Median(IEnumerable<TimeSpan> spans)
    {
        var sorted = spans.Order().ToList();
        return sorted.Count == 0 ? TimeSpan.Zero : sorted[sorted.Count / 2];
    }
}
