using System.Text;
using Huzhu.Audit.Sealing;
using Npgsql;

namespace Huzhu.Tests.Integration.Audit;

/// <summary>Does to a log, as the superuser of its database, whatever somebody could who wants it to say something else.</summary>
public sealed class Tampering : IAsyncDisposable
{
    private readonly NpgsqlConnection _superuser;
    private readonly Random _random;
    private readonly List<long> _sequences;

    private Tampering(NpgsqlConnection superuser, Random random, List<long> sequences) => (_superuser, _random, _sequences) = (superuser, random, sequences);

    public static async Task<Tampering> PrepareAsync(NpgsqlDataSource superuser, Random random)
    {
        await using (var copy = superuser.CreateCommand("drop table if exists untouched; create table untouched as select * from huzhu.mt_events"))
            await copy.ExecuteNonQueryAsync();
        var sequences = new List<long>();
        await using var command = superuser.CreateCommand("select seq_id from huzhu.mt_events order by seq_id");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            sequences.Add(reader.GetInt64(0));
        var connection = await superuser.OpenConnectionAsync();
        await using var free = new NpgsqlCommand("set session_replication_role = replica; set idle_in_transaction_session_timeout = 0", connection);
        await free.ExecuteNonQueryAsync();
        return new Tampering(connection, random, sequences);
    }

    public ValueTask DisposeAsync() => _superuser.DisposeAsync();

    /// <summary>Tampers, has somebody look at it from within the transaction, and takes it back: much faster than to write it and to restore the log.</summary>
    public async Task TamperAsync(Func<(string Done, string[] Named), NpgsqlConnection, Task> look)
    {
        await RunAsync("begin");
        try
        {
            await look(await TamperAsync(), _superuser);
        }
        finally
        {
            await RunAsync("rollback");
        }
    }

    /// <summary>Rows that were taken back are still in the table; without this they would slow down what comes.</summary>
    public Task CleanAsync() => RunAsync("vacuum huzhu.mt_events");

    public Task RestoreAsync() => RunAsync("truncate huzhu.mt_events; insert into huzhu.mt_events select * from untouched");

    /// <returns>What was done, and what a verification may call it.</returns>
    public async Task<(string Done, string[] Named)> TamperAsync()
    {
        var (one, other, third) = (Pick(), Pick(), Pick());
        while (other == one)
            other = Pick();
        while (third == one || third == other)
            third = Pick();
        switch (_random.Next(9))
        {
            case 0:
                return (await FlipInDataAsync(one), ["changed"]);
            case 1:
                var column = Columns[_random.Next(Columns.Length)];
                await RunAsync($"update huzhu.mt_events set {column} where seq_id = {one}");
                return ($"set {column} at {one}", ["changed", "replaced"]);
            case 2:
                await RunAsync($"delete from huzhu.mt_events where seq_id = {one}");
                return ($"deleted {one}", ["deleted", "truncated"]);
            case 3:
                var place = Enumerable.Range(1, (int)_sequences[^1]).Select(number => (long)number).Except(_sequences).Append(0).Append(-5).OrderBy(_ => _random.Next()).First();
                await CopyAsync(one, place);
                return ($"inserted a copy of {one} at {place}", ["inserted"]);
            case 4:
                await MoveAsync((one, other), (other, one));
                return ($"swapped {one} and {other}", ["swapped"]);
            case 5:
                await MoveAsync((one, other), (other, third), (third, one));
                return ($"reordered {one}, {other} and {third}", ["moved"]);
            case 6:
                await RunAsync($"""
                    delete from huzhu.mt_events where seq_id = {one};
                    update huzhu.mt_events set seq_id = -(seq_id - 1) where seq_id > {one};
                    update huzhu.mt_events set seq_id = -seq_id where seq_id < 0;
                    """);
                return ($"deleted {one} and renumbered what follows", ["deleted", "truncated"]);
            case 7:
                await RunAsync($"delete from huzhu.mt_events where seq_id >= {one}");
                return ($"truncated from {one}", ["truncated"]);
            default:
                await RunAsync($"""
                    update huzhu.mt_events e set data = jsonb_build_object('was', untouched.data) from untouched where untouched.seq_id = {other} and e.seq_id = {one};
                    update huzhu.mt_events e set data = jsonb_build_object('was', untouched.data) from untouched where untouched.seq_id = {one} and e.seq_id = {other};
                    """);
                return ($"exchanged the data of {one} and {other}", ["changed"]);
        }
    }

    private static readonly string[] Columns =
    [
        "type = type || 's'", "timestamp = timestamp + interval '1 microsecond'", "version = version + 1000", "id = gen_random_uuid()", "stream_id = gen_random_uuid()",
        "causation_id = 'another'", "headers = '{\"traceparent\": \"another\"}'", "is_archived = true", "mt_dotnet_type = 'another'",
    ];

    private long Pick() => _sequences[_random.Next(_sequences.Count)];

    /// <summary>Another letter or digit for one, such that the JSON stays JSON and says something else.</summary>
    private async Task<string> FlipInDataAsync(long sequence)
    {
        await using var read = new NpgsqlCommand($"select data::text from huzhu.mt_events where seq_id = {sequence}", _superuser);
        var data = Encoding.UTF8.GetBytes((string)(await read.ExecuteScalarAsync())!);
        var before = CanonicalJson.Of(data, exactDigits: true);
        while (true)
        {
            var (at, flipped) = (_random.Next(data.Length), (byte[])data.Clone());
            flipped[at] ^= (byte)(1 << _random.Next(7));
            try
            {
                if (CanonicalJson.Of(flipped, exactDigits: true).AsSpan().SequenceEqual(before))
                    continue;
                // Not every JSON is one that the database takes; a failed statement would end the transaction.
                var text = Encoding.UTF8.GetString(flipped);
                if (text.Contains("\\u0000", StringComparison.Ordinal) || text.Contains('\0') || text.Contains('\uFFFD'))
                    continue;
                await using var write = new NpgsqlCommand($"update huzhu.mt_events set data = $1::jsonb where seq_id = {sequence}", _superuser) { Parameters = { new() { Value = text } } };
                await write.ExecuteNonQueryAsync();
                return $"flipped a bit of byte {at} of the data at {sequence}";
            }
            catch (System.Text.Json.JsonException)
            {
                // No JSON any more; try another bit.
            }
        }
    }

    private Task CopyAsync(long from, long to) => RunAsync($"""
        create temporary table copied as select * from huzhu.mt_events where seq_id = {from};
        update copied set seq_id = {to}, id = gen_random_uuid(), stream_id = gen_random_uuid();
        insert into huzhu.mt_events select * from copied;
        drop table copied;
        """);

    private async Task MoveAsync(params (long From, long To)[] moves)
    {
        await RunAsync(string.Concat(moves.Select(move => $"update huzhu.mt_events set seq_id = -1000000 - {move.To} where seq_id = {move.From};"))
            + "update huzhu.mt_events set seq_id = -1000000 - seq_id where seq_id < -1000000;");
    }

    /// <summary>Without the checks of foreign keys, which hold up nobody who may do all this.</summary>
    private async Task RunAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _superuser);
        await command.ExecuteNonQueryAsync();
    }
}
