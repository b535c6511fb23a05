using Huzhu.Audit.Reading;
using Huzhu.Audit.Rechecking;
using Huzhu.Audit.Replaying;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Matching.Domain;
using Xunit;

namespace Huzhu.Tests.Integration.Audit;

/// <summary>The log of a real Matching, read in bulk and played again.</summary>
public sealed class ReplayTests(AuditedMatching matching) : IClassFixture<AuditedMatching>
{
    [Fact]
    public async Task rows_read_in_bulk_are_those_that_the_database_gives_one_by_one()
    {
        await using var log = matching.OpenLog();
        var streams = new HashSet<Guid>();
        var (whole, decoded) = (new List<StoredEvent>(), new List<DecodedEvent>());
        await foreach (var stored in log.ReadAsync(cancellation: TestContext.Current.CancellationToken))
        {
            whole.Add(stored);
            streams.Add(stored.Stream);
        }
        await foreach (var next in log.ReadDecodedAsync(TestContext.Current.CancellationToken))
            decoded.Add(next);
        var single = new List<StoredEvent>();
        await foreach (var stored in log.FindAsync("stream_id = any($1)", [.. streams], TestContext.Current.CancellationToken))
            single.Add(stored);
        Assert.Equal(single.Select(Whole), whole.Select(Whole));
        Assert.Equal(
            single.Select(stored => (stored.Sequence, stored.Stream, stored.Version, stored.Type, stored.StoredAt, EventTypes.ToJson(EventTypes.Decode("matching", stored)!))),
            decoded.Select(next => (next.Sequence, next.Stream, next.Version, next.Type, next.StoredAt, EventTypes.ToJson(next.Event!))));

        static string Whole(StoredEvent stored)
        {
            using var buffer = new MemoryStream();
            using (var writer = new System.Text.Json.Utf8JsonWriter(buffer))
                stored.WriteTo(writer);
            return System.Text.Encoding.UTF8.GetString(buffer.ToArray());
        }
    }

    [Fact]
    public async Task a_match_that_was_let_go_is_read_again_when_it_is_spoken_of()
    {
        await using var log = matching.OpenLog();
        var all = await new Recheck(null, null).RunAsync(log, TestContext.Current.CancellationToken);
        var few = await new Recheck(null, null, remembered: 0).RunAsync(log, TestContext.Current.CancellationToken);
        Assert.True(all.Offers > 60);
        Assert.Equal((all.Offers, 0), (few.Offers, few.Different));
    }

    [Fact]
    public async Task a_bad_event_ends_the_reading_with_its_own_sentence()
    {
        var last = await matching.QueryAsync<long>("select max(seq_id) from huzhu.mt_events");
        await matching.ExecuteAsync($"update huzhu.mt_events set type = type || '_of_tomorrow' where seq_id = {last}");
        try
        {
            await using var log = matching.OpenLog();
            var exception = await Assert.ThrowsAsync<AuditException>(() => new Recheck(null, null).RunAsync(log, TestContext.Current.CancellationToken));
            Assert.Contains("_of_tomorrow", exception.Message);
        }
        finally
        {
            await matching.ExecuteAsync($"update huzhu.mt_events set type = replace(type, '_of_tomorrow', '') where seq_id = {last}");
        }
    }

    [Fact]
    public async Task a_replay_of_what_happened_comes_close_to_it_and_the_same_each_time()
    {
        var history = await ReadAsync();
        var happened = history.Outcomes(history.Course);
        Assert.Equal(60, happened.Count);
        var (behaviour, again) = (Behaviour.Of(history, happened), Behaviour.Of(await ReadAsync(), happened));
        var simulated = Simulation.Run(history, behaviour, new Variant());
        Assert.Equal(60, history.Outcomes(simulated).Count(need => need.FirstOfferAt is not null));
        Assert.Equal(
            history.Outcomes(simulated).SelectMany(need => need.Holdings),
            history.Outcomes(Simulation.Run(await ReadAsync(), again, new Variant())).SelectMany(need => need.Holdings));
        // Nobody holds more than it has places, and only the provider is there without groups.
        Assert.All(simulated.Loads, load => Assert.InRange(simulated.LedgerOf(load.Id).Held.Count, 0, load.Capacity));
        var alone = Simulation.Run(history, behaviour, new Variant(WithoutGroups: true));
        Assert.Equal([ResponderKind.Provider], alone.Loads.Select(load => load.Kind));
        Assert.All(history.Outcomes(alone).SelectMany(need => need.Holdings), holding => Assert.Equal(alone.Loads.Single().Id, holding.ResponderId));
        // Where nobody closes and no zone is sealed, nothing is taken away for it.
        var open = Simulation.Run(history, behaviour, new Variant(WithoutClosures: true));
        Assert.DoesNotContain(history.Asked.SelectMany(need => open.MatchOf(need.Id).Offers), offer => offer.EndedBecause is RevocationReasons.ProviderClosed or RevocationReasons.ZoneSealed);
        Assert.Contains(history.Asked.SelectMany(need => simulated.MatchOf(need.Id).Offers), offer => offer.EndedBecause is RevocationReasons.ProviderClosed);
    }

    private async Task<History> ReadAsync()
    {
        await using var log = matching.OpenLog();
        return await History.ReadAsync(null, log, TestContext.Current.CancellationToken);
    }
}
