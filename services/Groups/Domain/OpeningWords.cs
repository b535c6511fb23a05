namespace Huzhu.Groups.Domain;

/// <summary>
/// One thing that a provider said about its own opening: that it is shut, or open, from <paramref name="From"/> until
/// <paramref name="Until"/> (null: until it says otherwise).
/// </summary>
/// <param name="SaidAt">When it was said, which is not when it arrived: a late word must not undo a newer one.</param>
public sealed record OpeningWord(bool Closes, string Reason, DateTimeOffset From, DateTimeOffset? Until, DateTimeOffset SaidAt)
{
    public bool Covers(DateTimeOffset moment) => From <= moment && !(Until <= moment);

    public bool CoversAllOf(OpeningWord other, DateTimeOffset now) =>
        (From <= other.From || From <= now) && (Until is null || other.Until <= Until);
}

/// <summary>
/// Everything a provider has said about its opening that can still matter, oldest word first. For every moment the word
/// said last counts; a moment that nobody spoke of is open.
/// </summary>
public sealed record OpeningWords(IReadOnlyList<OpeningWord> Said)
{
    /// <summary>A year of holidays and more; a system that says more than this at once has gone wrong.</summary>
    public const int Limit = 200;

    public static readonly OpeningWords None = new([]);

    public OpeningWord? At(DateTimeOffset moment) => Said.LastOrDefault(word => word.Covers(moment));

    /// <summary>The words with one more, without those that cannot matter any longer at <paramref name="now"/>.</summary>
    public OpeningWords With(OpeningWord word, DateTimeOffset now)
    {
        var position = Said.TakeWhile(earlier => earlier.SaidAt <= word.SaidAt).Count();
        List<OpeningWord> all = [.. Said.Take(position), word, .. Said.Skip(position)];
        return new([.. all.Where((candidate, index) =>
            !(candidate.Until <= now) && !all.Skip(index + 1).Any(later => later.CoversAllOf(candidate, now)))]);
    }

    /// <summary>
    /// Whether both say the same of every moment from <paramref name="now"/> on. Unless <paramref name="openIsNews"/>,
    /// to be called open is the same as not to be spoken of.
    /// </summary>
    public bool SaysTheSameAs(OpeningWords other, DateTimeOffset now, bool openIsNews)
    {
        // What is said changes only where a word begins or ends.
        var moments = Said.Concat(other.Said)
            .SelectMany(word => word.Until is { } until ? new[] { word.From, until } : [word.From])
            .Where(moment => moment > now).Append(now);
        return moments.All(moment => Meaning(At(moment)) == Meaning(other.At(moment)));

        (bool Closes, string? Reason) Meaning(OpeningWord? word) =>
            word is { } said && (said.Closes || openIsNews) ? (said.Closes, said.Reason) : (false, null);
    }
}
