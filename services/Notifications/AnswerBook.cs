using System.Security.Cryptography;
using System.Text;
using Huzhu.Contracts;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Npgsql;
using Weasel.Postgresql;
using Weasel.Postgresql.Tables;

namespace Huzhu.Notifications;

/// <summary>
/// Which offers were told to which address, on the channels where people answer by a message: "1" must find its offer. Addresses
/// are keyed hashes; nothing here says who they are. Rows go when nobody can still mean them.
/// </summary>
public sealed class AnswerBook(NpgsqlDataSource database, IConfiguration configuration, TimeProvider time)
{
    private const string Name = EventStore.Schema + ".told_offers";
    private const int FirstNumber = 10;
    private const int LastNumber = 99;
    private const int ForgottenAtOnce = 20;
    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    private readonly byte[] _key = KeyOf(Security.ReadKey(configuration, LinkSigner.OffersKey, required: true)!);
    private readonly byte[][] _previousKeys = [.. LinkSigner.ReadPrevious(configuration).Select(KeyOf)];

    public static Table Table()
    {
        var table = new Table(Name);
        table.AddColumn("address_hash", "bytea").AsPrimaryKey();
        table.AddColumn<int>("number").AsPrimaryKey();
        table.AddColumn<Guid>("offer_id").NotNull();
        table.AddColumn<Guid>("responder_id").NotNull();
        table.AddColumn<string>("kind").NotNull();
        table.AddColumn<DateTimeOffset>("told_at").NotNull();
        table.AddColumn<DateTimeOffset>("answer_by").NotNull();
        table.AddColumn<int>("standing").NotNull();
        table.AddColumn<string>("message_key");
        table.Indexes.Add(new IndexDefinition("told_offers_told_at") { Columns = ["told_at"] });
        return table;
    }

    /// <summary>Notes, before it is told, that an offer is told to an address, and how far it is.</summary>
    /// <returns>The number that the person can name it by: the same for the offer as long as it is noted.</returns>
    public Task<int> NoteAsync(Replier to, NotificationRequested request, DateTimeOffset now, CancellationToken cancellation) => AloneAsync(to, async (connection, address) =>
    {
        var told = await ReadAsync(connection, address, cancellation);
        var known = told.FirstOrDefault(offer => offer.OfferId == request.OfferId);
        var standing = request.Message switch
        {
            MessageKind.OfferMade => OfferStanding.Asked,
            MessageKind.OfferAccepted => OfferStanding.Taken,
            MessageKind.OfferEnded or MessageKind.NeedState => OfferStanding.Over,
            MessageKind.Event => throw new InvalidOperationException("A subscriber is asked nothing."),
        };
        var number = known?.Number ?? FreeNumber(told, now);
        await ExecuteAsync(connection, $"delete from {Name} where ctid in (select ctid from {Name} where told_at < $1 limit {ForgottenAtOnce} for update skip locked)", cancellation,
            now - Lifetime);
        await ExecuteAsync(connection, $"""
            insert into {Name} as told (address_hash, number, offer_id, responder_id, kind, told_at, answer_by, standing) values ($1, $2, $3, $4, $5, $6, $7, $8)
            on conflict (address_hash, number) do update set offer_id = $3, responder_id = $4, kind = $5, told_at = $6, answer_by = $7, standing = $8,
                message_key = case when told.offer_id = $3 then told.message_key end
            """, cancellation,
            address, number, request.OfferId!.Value.Value, request.ResponderId!.Value.Value, request.Offer?.Kind ?? known?.Kind ?? ServiceKinds.BasicNeeds, now.ToUniversalTime(),
            (Notification.AnswerBy(request, now) ?? known?.AnswerBy ?? now).ToUniversalTime(), Math.Max((int)standing, (int)(known?.Standing ?? standing)));
        return number;
    }, cancellation);

    /// <summary>Forgets all that was told to a responder.</summary>
    public async Task ForgetAsync(ResponderId responder, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"delete from {Name} where responder_id = $1");
        command.Parameters.AddWithValue(responder.Value);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>The offers that a message may be about; when it is one, the message is noted as its answer, so that a repeat of it means the same.</summary>
    public Task<IReadOnlyList<ToldOffer>> FindAsync(Replier from, AnswerVerb verb, int? number, string messageKey, DateTimeOffset? since, CancellationToken cancellation) =>
        AloneAsync(from, async (connection, address) =>
        {
            var about = ToldOffer.About(await ReadAsync(connection, address, cancellation), verb, number, messageKey, since, time.GetUtcNow());
            if (about is [var one])
                await ExecuteAsync(connection, $"update {Name} set message_key = $3 where address_hash = $1 and number = $2", cancellation, address, one.Number, messageKey);
            return about;
        }, cancellation);

    /// <summary>The answer was heard.</summary>
    public Task SettleAsync(Replier from, ToldOffer offer, OfferStanding standing, CancellationToken cancellation) => AloneAsync(from, (connection, address) =>
        ExecuteAsync(connection, $"update {Name} set standing = greatest(standing, $3) where address_hash = $1 and offer_id = $2", cancellation,
            address, offer.OfferId.Value, (int)standing), cancellation);

    /// <summary>One that nobody uses, else that of the offer that matters least.</summary>
    private static int FreeNumber(IReadOnlyList<ToldOffer> told, DateTimeOffset now) =>
        Enumerable.Range(FirstNumber, LastNumber - FirstNumber + 1).Except(told.Select(offer => offer.Number)).Cast<int?>().FirstOrDefault()
        ?? told.OrderBy(offer => offer.Standing == OfferStanding.Taken).ThenBy(offer => offer.Standing == OfferStanding.Asked && offer.AnswerBy > now).ThenBy(offer => offer.ToldAt).First().Number;

    private static byte[] KeyOf(byte[] linkKey) => HKDF.DeriveKey(HashAlgorithmName.SHA256, linkKey, 32, info: "huzhu answer book"u8.ToArray());

    private static byte[] HashOf(Replier who, byte[] key) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{who.Source.ToLowerInvariant()}\n{who.Ref}"));

    /// <summary>One transaction at a time for an address.</summary>
    private async Task<T> AloneAsync<T>(Replier who, Func<NpgsqlConnection, byte[], Task<T>> work, CancellationToken cancellation)
    {
        var address = HashOf(who, _key);
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await ExecuteAsync(connection, "select pg_advisory_xact_lock($1)", cancellation, BitConverter.ToInt64(address));
        // What was noted with a key of before a rotation goes on under the present one.
        if (_previousKeys.Length > 0)
            await ExecuteAsync(connection, $"update {Name} set address_hash = $1 where address_hash = any($2) and number not in (select number from {Name} where address_hash = $1)",
                cancellation, address, _previousKeys.Select(key => HashOf(who, key)).ToArray());
        var result = await work(connection, address);
        await transaction.CommitAsync(cancellation);
        return result;
    }

    private static async Task<IReadOnlyList<ToldOffer>> ReadAsync(NpgsqlConnection connection, byte[] address, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"select number, offer_id, responder_id, kind, told_at, answer_by, standing, message_key from {Name} where address_hash = $1", connection);
        command.Parameters.AddWithValue(address);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var told = new List<ToldOffer>();
        while (await reader.ReadAsync(cancellation))
            told.Add(new ToldOffer(reader.GetInt32(0), new OfferId(reader.GetGuid(1)), new ResponderId(reader.GetGuid(2)), reader.GetString(3),
                reader.GetFieldValue<DateTimeOffset>(4), reader.GetFieldValue<DateTimeOffset>(5), (OfferStanding)reader.GetInt32(6), reader.IsDBNull(7) ? null : reader.GetString(7)));
        return told;
    }

    private static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
            command.Parameters.AddWithValue(value);
        return await command.ExecuteNonQueryAsync(cancellation);
    }
}
