using Huzhu.Requests.Storage;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Huzhu.Tests.Unit.Requests;

public class SubmissionPaceTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly FakeTimeProvider _time = new();
    private readonly SubmissionPace _pace;

    public SubmissionPaceTests() => _pace = new SubmissionPace(_time);

    [Fact]
    public void nobody_calling_is_no_load() => Assert.Equal([0, 0, 0, 0], Looks(4));

    [Fact]
    public void the_quickest_of_a_second_counts_and_only_when_each_of_the_latest_was_slow()
    {
        for (var second = 1; second <= SubmissionPace.SlowSeconds; second++)
        {
            Commit(TimeSpan.FromSeconds(5));
            Commit(TimeSpan.FromSeconds(2));
            Assert.Equal(second < SubmissionPace.SlowSeconds ? 0 : 2, _pace.Look(TimeSpan.Zero));
        }
        Commit(TimeSpan.FromSeconds(0.1));
        Assert.Equal(0.1, _pace.Look(TimeSpan.Zero));
        Assert.Equal(0, _pace.Look(TimeSpan.Zero));
    }

    [Fact]
    public void a_commit_that_does_not_come_back_gets_slower_until_it_is_given_up()
    {
        var came = _time.GetTimestamp();
        _pace.Begin(came);
        // The first of the latest three looks was one second after it came.
        Assert.Equal([0, 0, 1, 2, 3], Looks(5));
        _pace.Abandon();
        Assert.Equal([0], Looks(1));

        _pace.Begin(came);
        _pace.End(came);
        Assert.Equal([0, 0, 0], Looks(3));
    }

    [Fact]
    public void waiting_for_a_thread_is_a_load_though_no_call_has_been_heard_of()
    {
        Assert.Equal([0, 0, 4], Enumerable.Range(0, 3).Select(_ => _pace.Look(4 * Second)));
        Assert.Equal(0, _pace.Look(TimeSpan.Zero));
    }

    private void Commit(TimeSpan took)
    {
        var came = _time.GetTimestamp();
        _pace.Begin(came);
        _time.Advance(took);
        _pace.End(came);
    }

    private List<double> Looks(int count)
    {
        var looks = new List<double>();
        for (; count > 0; count--)
        {
            _time.Advance(Second);
            looks.Add(_pace.Look(TimeSpan.Zero));
        }
        return looks;
    }
}
