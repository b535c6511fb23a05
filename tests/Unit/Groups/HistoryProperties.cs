using CsCheck;
using Huzhu.Contracts;
using Huzhu.Groups;
using Huzhu.Groups.Domain;
using JasperFx.Events;
using Xunit;
using static Huzhu.Tests.Unit.Groups.Entries;

namespace Huzhu.Tests.Unit.Groups;

/// <summary>Random histories of closures, reopenings and measures, against a model that knows nothing of how it is done.</summary>
public class HistoryProperties
{
    private abstract record Step(int AfterMinutes);
    private sealed record Say(int AfterMinutes, bool Closes, int FromInMinutes, int? ForMinutes, int SaidMinutesAgo, int? EventId) : Step(AfterMinutes);
    private sealed record Impose(int AfterMinutes, int Measure) : Step(AfterMinutes);
    private sealed record Lift(int AfterMinutes, int Measure) : Step(AfterMinutes);
    private sealed record Move(int AfterMinutes, int Sites) : Step(AfterMinutes);
    private sealed record Pause(int AfterMinutes, bool Resume) : Step(AfterMinutes);
    private sealed record Wait(int AfterMinutes) : Step(AfterMinutes);

    private static readonly MeasureInForce[] Measures = [Lockdown, Quarantine, Elsewhere];
    private static readonly GeoPoint[][] Places = [[Inside], [Outside], [Inside, AlsoInside], [Inside, Outside]];

    private static readonly Gen<int> After = Gen.Int[0, 20];
    private static readonly Gen<Step[]> History = Gen.Frequency<Step>(
        (6, Gen.Select(After, Gen.Bool, Gen.Int[-10, 30], Gen.Int[1, 40].Nullable(), Gen.Int[0, 15], Gen.Int[1, 6].Nullable())
            .Select((after, closes, from, length, said, id) => (Step)new Say(after, closes, from, length, said, id))),
        (2, Gen.Select(After, Gen.Int[0, 2]).Select((after, measure) => (Step)new Impose(after, measure))),
        (2, Gen.Select(After, Gen.Int[0, 2]).Select((after, measure) => (Step)new Lift(after, measure))),
        (1, Gen.Select(After, Gen.Int[0, 3]).Select((after, sites) => (Step)new Move(after, sites))),
        (1, Gen.Select(After, Gen.Bool).Select((after, resume) => (Step)new Pause(after, resume))),
        (3, After.Select(after => (Step)new Wait(after)))).Array[0, 30];

    [Fact]
    public void a_provider_is_open_if_and_only_if_no_reason_is_in_force() => History.Sample(history =>
    {
        var run = new Run();
        foreach (var step in history)
        {
            run.Take(step);
            Assert.Equal(run.ShouldBe(), run.Provider.Opening);
            Assert.Equal(run.ShutSites(), run.Provider.Sites.Where(site => !site.Open).Select(site => site.Place));
            Assert.Empty(Provider.DecideReview(run.Provider, run.InForce, run.Now).Events);
        }
    }, iter: 1500);

    [Fact]
    public void what_others_are_told_has_growing_versions_and_ends_in_the_truth() => History.Sample(history =>
    {
        var run = new Run();
        foreach (var step in history)
            run.Take(step);
        var told = run.Log.Select((happened, index) => (happened, version: index + 1L))
            .Where(one => one.happened is not (ClosurePublished or ReopeningPublished))
            .Select(one => Publishing.Told(ProviderAfter(run.Log.Take((int)one.version)), new Event<ProviderEvent>(one.happened) { Version = one.version, StreamId = Guid.AllBitsSet }, one.happened.At))
            .ToList();
        Assert.All(told.Zip(told.Skip(1)), pair => Assert.True(pair.First.Version < pair.Second.Version));
        Assert.Equal(run.Provider.Opening, told[^1].Opening);
        Assert.Equal(run.Provider.Sites, told[^1].Sites);
        Assert.Equal(run.Provider.ClosedBecause, told[^1].ClosedBecause);
        Assert.Equal(run.Provider.ClosedByMeasureId, told[^1].ClosedByMeasureId);
    }, iter: 500);

    [Fact]
    public void the_same_cloud_event_delivered_again_later_changes_nothing() => History.Sample(history =>
    {
        var run = new Run();
        foreach (var step in history)
            run.Take(step);
        Assert.All(run.Delivered, one => Assert.Empty(Provider.DecideWord(run.Provider, one.Word, "//clinic", one.Origin, run.Now).Events));
    }, iter: 500);

    [Fact]
    public void the_view_of_the_lists_tells_the_same_as_the_stream() => History.Sample(history =>
    {
        var run = new Run();
        foreach (var step in history)
            run.Take(step);
        var view = run.Log.Select((happened, index) => (happened, version: index + 1L))
            .Aggregate((ResponderView?)null, (before, one) => ResponderView.After(before, Guid.AllBitsSet, one.version, one.happened))!;
        Assert.Equal(run.Log.Count, view.Version);
        Assert.Equal(run.Provider.Opening, view.Responder.Opening);
        Assert.Equal(run.Provider.Sites, view.Responder.Sites);
        Assert.Null(view.Responder.Listing.Entry!.Contact);
    }, iter: 500);

    [Fact]
    public void the_timeline_says_what_a_minute_by_minute_calendar_says() =>
        Gen.Select(Gen.Bool, Gen.Int[-20, 50], Gen.Int[1, 30].Nullable(), Gen.Int[0, 50], Gen.Int[0, 3]).Array[1, 25].Sample(said =>
    {
        var timeline = OpeningTimeline.Empty;
        var calendar = new Calendar();
        var now = 0;
        foreach (var (closes, from, length, saidAt, later) in said)
        {
            now += later;
            var word = Word(closes, from, length, saidAt);
            timeline = timeline.With(word, Minute(now));
            calendar.Enter(word, now);
            for (var minute = now; minute < 140; minute++)
                Assert.Equal(calendar.At(minute), timeline.At(Minute(minute)) is { Closes: true } span ? span.Reason : null);
            Assert.All(timeline.Spans.Zip(timeline.Spans.Skip(1)), pair => Assert.True(pair.First.Until <= pair.Second.From));
            Assert.True(timeline.MeansTheSameAs(timeline.With(word, Minute(now)), Minute(now), openIsNews: true));
        }
    }, iter: 1500);

    private static OpeningWord Word(bool closes, int from, int? length, int saidAt) =>
        new(closes, closes ? $"shut {from} {length}" : "open", Minute(from), length is { } minutes ? Minute(from + minutes) : null, Minute(saidAt));

    /// <summary>The model: one cell a minute, each with what was said of it last. It knows nothing of spans.</summary>
    private sealed class Calendar
    {
        private const int First = -100, Last = 1000;
        private readonly (string? Shut, int SaidAt, int Entry)[] _cells = [.. Enumerable.Repeat(((string?)null, int.MinValue, 0), Last - First + 1)];
        private int _entries;

        public string? At(int minute) => _cells[minute - First].Shut;

        public void Enter(OpeningWord word, int now)
        {
            var (from, end, saidAt) = (Of(word.From), word.Until is { } until ? Of(until) : Last + 1, Of(word.SaidAt));
            var begins = Math.Max(from, now);
            if (word.Closes && word.Until is not null && begins < end && _cells[begins - First] is { Shut: not null } probe && probe.SaidAt <= saidAt)
            {
                // The run of cells that one entry fills, from where the new closure falls into it; what lies beyond its end opens.
                var rest = ++_entries;
                for (var minute = begins; minute <= Last && _cells[minute - First].Entry == probe.Entry; minute++)
                {
                    if (minute >= end)
                        _cells[minute - First] = (null, saidAt, rest);
                }
            }
            var entry = ++_entries;
            for (var minute = from; minute < end; minute++)
            {
                if (_cells[minute - First].SaidAt <= saidAt)
                    _cells[minute - First] = (word.Closes ? word.Reason : null, saidAt, entry);
            }
        }

        private static int Of(DateTimeOffset moment) => (int)(moment - Noon).TotalMinutes;
    }

    private static DateTimeOffset Minute(int minute) => Noon.AddMinutes(minute);

    /// <summary>One provider living through a history, its timers fired at every minute as the service would fire them.</summary>
    private sealed class Run
    {
        private readonly HashSet<int> _inForce = [];
        private readonly Calendar _calendar = new();
        private GeoPoint[] _places = Places[0];
        private bool _paused;
        private int _minute;

        public Run() => Append(Provider.DecideRegistration(Provider.Initial, Entry(sites: _places), [], "c", Now).Events);

        public Provider Provider { get; private set; } = Provider.Initial;
        public List<ProviderEvent> Log { get; } = [];
        public List<(OpeningWord Word, CloudEventOrigin Origin)> Delivered { get; } = [];
        public DateTimeOffset Now => Minute(_minute);
        public IReadOnlyList<MeasureInForce> InForce => [.. _inForce.Order().Select(index => Measures[index])];

        public void Take(Step step)
        {
            for (var left = step.AfterMinutes; left > 0; left--)
            {
                _minute++;
                Review();
            }
            switch (step)
            {
                case Say said:
                    var origin = said.EventId is { } id ? new CloudEventOrigin("//clinic", id.ToString()) : null;
                    var word = new OpeningWord(said.Closes, said.Closes ? "flood" : "dry again", Minute(_minute + said.FromInMinutes),
                        said.ForMinutes is { } length ? Minute(_minute + said.FromInMinutes + length) : null,
                        origin is null ? Now : Now.AddMinutes(-said.SaidMinutesAgo));
                    Append(Provider.DecideWord(Provider, word, "c", origin, Now).Events);
                    if (origin is not null)
                        Delivered.Add((word, origin));
                    break;
                case Impose imposed:
                    _inForce.Add(imposed.Measure);
                    Review();
                    break;
                case Lift lifted:
                    _inForce.Remove(lifted.Measure);
                    Review();
                    break;
                case Move moved:
                    _places = Places[moved.Sites];
                    Append(Provider.DecideChange(Provider, Entry(sites: _places), InForce, "c", Now).Events);
                    break;
                case Pause { Resume: var resume }:
                    Append((resume ? Listing.DecideResumption<ProviderEvent>(Provider.Listing, "r", "c", Now) : Listing.DecidePause<ProviderEvent>(Provider.Listing, "r", "c", Now)).Events);
                    _paused = !resume;
                    break;
                case Wait:
                    break;
            }
        }

        public IEnumerable<GeoPoint> ShutSites() => _places.Where(place => InForce.Any(measure => measure.Area.Contains(place)));

        public Opening ShouldBe()
        {
            var closed = _calendar.At(_minute) is not null || ShutSites().Count() == _places.Length;
            return closed ? Opening.Closed : _paused ? Opening.Paused : Opening.Open;
        }

        private void Review() => Append(Provider.DecideReview(Provider, InForce, Now).Events);

        private void Append(IReadOnlyList<ProviderEvent> events)
        {
            foreach (var happened in events)
            {
                if (happened is ClosurePublished closure)
                    _calendar.Enter(new OpeningWord(true, closure.Reason, closure.From, closure.Until, closure.SaidAt), _minute);
                if (happened is ReopeningPublished reopening)
                    _calendar.Enter(new OpeningWord(false, reopening.Reason, reopening.From, reopening.Until, reopening.SaidAt), _minute);
                Provider = Provider.Evolve(Provider, happened);
                Log.Add(happened);
            }
        }
    }
}
