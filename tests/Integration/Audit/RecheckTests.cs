using System.Text.Json.Nodes;
using Huzhu.Audit.Verbs;
using Xunit;

namespace Huzhu.Tests.Integration.Audit;

/// <summary>Decisions and read models made again from the log of a real Matching.</summary>
public sealed class RecheckTests(AuditedMatching matching) : IClassFixture<AuditedMatching>
{
    [Fact]
    public async Task every_offer_comes_out_as_it_was_made()
    {
        var offers = await matching.QueryAsync<long>("select count(*) from huzhu.mt_events where type = 'offer_made'");
        Assert.True(offers > 60);
        var (exitCode, output) = await matching.RunAsync("", "recheck");
        Assert.True(exitCode == ExitCodes.Ok, output);
        Assert.Contains($": {offers} come out alike, 0 do not.", output);
        var plans = await matching.QueryAsync<long>("select count(*) from huzhu.mt_events where type = 'needs_assigned'");
        Assert.True(plans > 0);
        Assert.Contains($"{plans} of {plans} assignments of many needs together are proved", output);
        // The scenario is worth something only if somebody nearer was left out, and for more than one reason.
        Assert.True(await matching.QueryAsync<long>("select count(distinct left_out->>'reason') from huzhu.mt_events, jsonb_array_elements(data->'explanation'->'leftOut') left_out where type = 'offer_made'") > 2);
        Assert.True(await matching.QueryAsync<long>("select count(*) from huzhu.mt_events where type = 'offer_made' and data->'explanation' ? 'planId'") > 10);
        Assert.True(await matching.QueryAsync<long>("select count(*) from huzhu.mt_events where type = 'offer_made' and data->'explanation'->'weighed' ? 'notHelpedBefore'") > 0);
    }

    [Theory]
    [InlineData("'{responderId}'", "to_jsonb((select stream_id from huzhu.mt_events r where r.type = 'responder_listed' and r.stream_id <> (e.data->>'responderId')::uuid limit 1))", "the ledger of")]
    [InlineData("'{explanation,distanceMetres}'", "'12.5'", "the distance is")]
    [InlineData("'{explanation,rank}'", "'40'", "its rank is")]
    [InlineData("'{explanation,held}'", "'77'", "places instead of 77")]
    [InlineData("'{explanation,weighed,load}'", "'12.5'", "what the policy weighs adds")]
    [InlineData("'{explanation,leftOut}'", "'[]'", "decided again, ")]
    [InlineData("'{explanation,leftOut,0,reason}'", "'\"closed-by-hand\"'", "left out for closed-by-hand")]
    [InlineData("'{explanation,policyVersion}'", "'9'", "version 9 of the policy, which does not exist")]
    [InlineData("'{explanation,ledgerVersion}'", "'900'", "version 900 of the ledger")]
    [InlineData("'{explanation,planId}'", "'\"00000000-0000-0000-0000-000000000002\"'", "which the log does not have before it")]
    [InlineData("'{quantity}'", "'5'", "does not follow from the need and the policy")]
    [InlineData("'{offerId}'", "'\"00000000-0000-0000-0000-000000000001\"'", "holds no place for it")]
    public async Task an_offer_that_says_something_else_is_named(string path, string value, string named)
    {
        // The last that was made, so that nothing else in the log rests on it; offline, with somebody nearer left out.
        const string changed = "(select seq_id from huzhu.mt_events where type = 'offer_made' and data->>'mode' = 'offline' and jsonb_array_length(data->'explanation'->'leftOut') > 0 order by seq_id desc limit 1)";
        var (sequence, before) = (await matching.QueryAsync<long>($"select {changed}"), await matching.QueryAsync<string>($"select data::text from huzhu.mt_events where seq_id = {changed}"));
        try
        {
            await matching.ExecuteAsync($"update huzhu.mt_events e set data = jsonb_set(data, {path}, {value}) where seq_id = {sequence}");
            var (exitCode, output) = await matching.RunAsync("", "recheck");
            Assert.Equal(ExitCodes.Found, exitCode);
            Assert.Contains(named, output);
            Assert.Contains($"sequence {sequence}", output);
        }
        finally
        {
            await matching.ExecuteAsync($"update huzhu.mt_events set data = '{before.Replace("'", "''", StringComparison.Ordinal)}' where seq_id = {sequence}");
        }
    }

    [Theory]
    [InlineData("'{prices}'", "'[]'")]
    [InlineData("'{assigned,0,responderIds}'", "'[]'")]
    [InlineData("'{distanceMetres}'", "'1'")]
    [InlineData("'{policyVersion}'", "'77'")]
    public async Task a_plan_that_was_changed_is_named(string path, string value)
    {
        var sequence = await matching.QueryAsync<long>("select max(seq_id) from huzhu.mt_events where type = 'needs_assigned' and jsonb_array_length(data->'prices') > 0");
        var before = await matching.QueryAsync<string>($"select data::text from huzhu.mt_events where seq_id = {sequence}");
        try
        {
            await matching.ExecuteAsync($"update huzhu.mt_events set data = jsonb_set(data, {path}, {value}) where seq_id = {sequence}");
            var (exitCode, output) = await matching.RunAsync("", "recheck");
            Assert.Equal(ExitCodes.Found, exitCode);
            Assert.Matches($@"Plan .* \(sequence {sequence}\) is not the best there was", output);
        }
        finally
        {
            await matching.ExecuteAsync($"update huzhu.mt_events set data = '{before.Replace("'", "''", StringComparison.Ordinal)}' where seq_id = {sequence}");
        }
    }

    [Fact]
    public async Task only_the_offers_of_the_time_that_is_asked_for_are_decided_again()
    {
        var (exitCode, output) = await matching.RunAsync("", "recheck", "--from", "2999-01-01T00:00:00Z");
        Assert.Equal(ExitCodes.Ok, exitCode);
        Assert.StartsWith("0 offers decided again", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task every_read_model_is_what_the_log_makes_it()
    {
        var (exitCode, output) = await matching.RunAsync("", "rebuild", "--service", "matching");
        Assert.True(exitCode == ExitCodes.Ok, output);
        foreach (var table in new[] { "mt_streams", "responders", "offers", "needs" })
            Assert.Matches($@"matching: {table}: [1-9]\d* rows, 0 differ\.", output);
    }

    [Theory]
    [InlineData("update huzhu.responders set profile = jsonb_set(profile, '{capacity}', '99') where id = (select min(id::text)::uuid from huzhu.responders)", "responders: 10 rows, 1 differ")]
    [InlineData("update huzhu.responders set directory_version = directory_version + 1 where opening = 'Open'", "responders: 10 rows, 10 differ")]
    [InlineData("delete from huzhu.offers where offer_id = (select min(offer_id::text)::uuid from huzhu.offers)", "is missing from the table")]
    [InlineData("insert into huzhu.offers select gen_random_uuid(), need_id, responder_id, held_at, false from huzhu.offers limit 1", "nothing in the log makes it")]
    [InlineData("update huzhu.offers set held_at = held_at + interval '1 microsecond' where offer_id = (select min(offer_id::text)::uuid from huzhu.offers)", "1 differ")]
    [InlineData("update huzhu.needs set is_over = not is_over where need_id = (select min(need_id::text)::uuid from huzhu.needs)", "needs: 60 rows, 1 differ")]
    [InlineData("update huzhu.mt_streams set version = version + 1 where id = (select min(need_id::text)::uuid from huzhu.needs)", "1 differ")]
    public async Task a_row_that_says_something_else_is_named(string tampering, string named)
    {
        await matching.ExecuteAsync("create table r as select * from huzhu.responders; create table o as select * from huzhu.offers; create table n as select * from huzhu.needs; create table s as select * from huzhu.mt_streams");
        try
        {
            await matching.ExecuteAsync(tampering);
            var (exitCode, output) = await matching.RunAsync("", "rebuild", "--service", "matching");
            Assert.Equal(ExitCodes.Found, exitCode);
            Assert.Contains(named, output);
        }
        finally
        {
            await matching.ExecuteAsync("""
                set session_replication_role = replica;
                delete from huzhu.responders; insert into huzhu.responders select * from r; delete from huzhu.offers; insert into huzhu.offers select * from o;
                delete from huzhu.needs; insert into huzhu.needs select * from n; delete from huzhu.mt_streams; insert into huzhu.mt_streams select * from s;
                drop table r, o, n, s
                """);
        }
    }

    [Fact]
    public async Task an_offer_is_explained_in_words_and_with_versions()
    {
        var need = await matching.QueryAsync<Guid>("select stream_id from huzhu.mt_events where type = 'offer_made' and jsonb_array_length(data->'explanation'->'leftOut') > 0 order by seq_id limit 1");
        var (exitCode, output) = await matching.RunAsync("", "explain", need.ToString());
        Assert.Equal(ExitCodes.Ok, exitCode);
        Assert.StartsWith($"Need {need} of request ", output, StringComparison.Ordinal);
        Assert.Contains("better placed but could not be asked:", output);
        Assert.Matches("ledger at version [0-9]+", output);
        Assert.Contains("It was decided by version ", output);
        (_, output) = await matching.RunAsync("", "explain", need.ToString(), "--json");
        Assert.Equal(need.ToString(), (string)JsonNode.Parse(output)!["needId"]!);
        Assert.Equal(ExitCodes.Unknown, (await matching.RunAsync("", "explain", Guid.NewGuid().ToString())).ExitCode);
        Assert.Equal(ExitCodes.Unknown, (await matching.RunAsync("", "explain", need.ToString(), "--as-of", "2000-01-01T00:00:00Z")).ExitCode);
    }

    [Fact]
    public async Task the_state_is_that_of_the_instant_asked_for()
    {
        var now = JsonNode.Parse((await matching.RunAsync("", "state", "--json")).Output)!;
        Assert.Equal(60, now["needs"]!.AsObject().Sum(state => (int)state.Value!));
        Assert.Equal(10, now["responders"]!.AsArray().Sum(kind => (int)kind!["open"]!));
        Assert.Equal(await matching.QueryAsync<long>("select count(*) from huzhu.offers where holds_place"), now["responders"]!.AsArray().Sum(kind => (long)kind!["held"]!));

        var closedAt = await matching.QueryAsync<DateTime>("select timestamp from huzhu.mt_events where type = 'responder_closed'");
        var then = JsonNode.Parse((await matching.RunAsync("", "state", "--json", "--at", closedAt.ToString("O"))).Output)!;
        var provider = then["responders"]!.AsArray().Single(kind => (string)kind!["kind"]! == "provider")!;
        Assert.Equal((0, 1), ((int)provider["open"]!, (int)provider["closed"]!));
        Assert.Equal(0, (int)then["sealedZones"]!);
        Assert.True((long)then["events"]! < (long)now["events"]!);
    }
}
