using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Deciding;

/// <summary>
/// Which offers are made and not yet told, by the log, whichever replica wrote it. A process that starts looks back a
/// little way; offers from before that are not counted, and if they are many it finds out soon enough.
/// </summary>
public sealed class UntoldOffers(NpgsqlDataSource database, long mark)
{
    private const int LookBack = 20_000;
    private static readonly string Made = EventStore.NameOf(typeof(OfferMade));
    private static readonly string[] Types = [Made, .. EventStore.EventsOf<OfferEnding>().Append(typeof(OfferSent)).Append(typeof(OfferAccepted)).Select(EventStore.NameOf)];

    private readonly HashSet<Guid> _untold = [];
    private long _mark = Math.Max(0, mark - LookBack);

    /// <param name="mark">So far the log is complete.</param>
    public async Task<int> CountAsync(long mark, CancellationToken cancellation)
    {
        if (mark <= _mark)
            return _untold.Count;
        await using var command = database.CreateCommand(
            $"select type, (data->>'offerId')::uuid from {EventStore.Schema}.mt_events where seq_id > $1 and seq_id <= $2 and type = any($3) order by seq_id");
        command.Parameters.AddWithValue(_mark);
        command.Parameters.AddWithValue(mark);
        command.Parameters.AddWithValue(Types);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            if (reader.GetString(0) == Made)
                _untold.Add(reader.GetGuid(1));
            else
                _untold.Remove(reader.GetGuid(1));
        }
        _mark = mark;
        return _untold.Count;
    }
}
