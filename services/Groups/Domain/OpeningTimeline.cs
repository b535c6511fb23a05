namespace Huzhu.Groups.Domain;

/// <summary>
/// One thing that a provider said about its own opening: that it is shut, or open, from <paramref name="From"/> until
/// <paramref name="Until"/> (null: until it says otherwise).
/// </summary>
/// <param name="SaidAt">When it was said, which is not when it arrived: a late word must not undo a newer one.</param>
public sealed record OpeningWord(bool Closes, string Reason, DateTimeOffset From, DateTimeOffset? Until, DateTimeOffset SaidAt);

/// <summary>A stretch of time of which the provider has said that it is shut or open.</summary>
/// <param name="Reason">Null where a closure was replaced by a shorter one: open, because nobody says otherwise any more.</param>
public sealed record OpeningSpan(DateTimeOffset From, DateTimeOffset? Until, bool Closes, string? Reason, DateTimeOffset SaidAt)
{
    public bool Covers(DateTimeOffset moment) => From <= moment && !(Until <= moment);

    /// <summary>What is left of this span outside of the given period.</summary>
    public IEnumerable<OpeningSpan> Without(DateTimeOffset from, DateTimeOffset? until)
    {
        if (Until <= from || until <= From)
            return [this];
        OpeningSpan[] before = From < from ? [this with { Until = from }] : [];
        OpeningSpan[] after = until is { } end && !(Until <= end) ? [this with { From = end }] : [];
        return [.. before, .. after];
    }
}

/// <summary>
/// When a provider is shut by its own word: for every moment the word said last counts. A closure with an end that falls
/// into a longer one replaces the rest of it: "shut until Friday", said while shut until further notice, means open from
/// Friday on. The spans do not overlap and stand in order of time; a moment in none of them is open.
/// </summary>
public sealed record OpeningTimeline(IReadOnlyList<OpeningSpan> Spans)
{
    /// <summary>A year of holidays and more; a system that plans more than this at once has gone wrong.</summary>
    public const int MaxSpans = 200;

    public static readonly OpeningTimeline Empty = new([]);

    public OpeningSpan? At(DateTimeOffset moment) => Spans.FirstOrDefault(span => span.Covers(moment));

    /// <summary>The timeline with one word more, without what is over at <paramref name="now"/>.</summary>
    public OpeningTimeline With(OpeningWord word, DateTimeOffset now)
    {
        // What is past no longer counts: a closure falls into what is said of its beginning, or of now when it has begun.
        var begins = word.From > now ? word.From : now;
        var spans = word is { Closes: true, Until: { } end } && begins < end && At(begins) is { Closes: true } longer
                && longer.SaidAt <= word.SaidAt && !(longer.Until <= end)
            ? [.. Spans.Where(span => span != longer), longer with { Until = end }, new OpeningSpan(end, longer.Until, false, null, word.SaidAt)]
            : Spans;
        var newer = spans.Where(span => span.SaidAt > word.SaidAt).ToList();
        var older = spans.Where(span => span.SaidAt <= word.SaidAt).SelectMany(span => span.Without(word.From, word.Until));
        // Where something newer was said, a late word says nothing.
        IEnumerable<OpeningSpan> said = [new OpeningSpan(word.From, word.Until, word.Closes, word.Reason, word.SaidAt)];
        foreach (var span in newer)
            said = said.SelectMany(piece => piece.Without(span.From, span.Until));
        return new([.. newer.Concat(older).Concat(said).Where(span => !(span.Until <= now) && !(span.Until <= span.From)).OrderBy(span => span.From)]);
    }

    /// <summary>
    /// Whether both mean the same from <paramref name="now"/> on. Unless <paramref name="openIsNews"/>, to be called open
    /// is the same as not to be spoken of.
    /// </summary>
    public bool MeansTheSameAs(OpeningTimeline other, DateTimeOffset now, bool openIsNews)
    {
        // The meaning changes only where a span begins or ends.
        var moments = Spans.Concat(other.Spans)
            .SelectMany(span => span.Until is { } until ? new[] { span.From, until } : [span.From])
            .Where(moment => moment > now).Append(now);
        return moments.All(moment => Meaning(At(moment)) == Meaning(other.At(moment)));

        (bool Closes, string? Reason) Meaning(OpeningSpan? span) =>
            span is { } said && (said.Closes || openIsNews) ? (said.Closes, said.Reason) : (false, null);
    }
}
