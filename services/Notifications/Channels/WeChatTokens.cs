using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Npgsql;

namespace Huzhu.Notifications.Channels;

/// <summary>
/// Access tokens by WeChat's stable interface: it gives every replica the same token, which is renewed five minutes before its end.
/// One that WeChat refuses is replaced by force, once for all replicas: a lock in the database sees to it, because every
/// forced renewal ends the token before it and few are allowed in a day.
/// </summary>
public sealed class WeChatTokens(ProviderClient http, NpgsqlDataSource database, TimeProvider time)
{
    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly TimeSpan RenewBefore = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LongestLife = TimeSpan.FromSeconds(7200);

    private readonly ConcurrentDictionary<string, Account> _accounts = new(StringComparer.Ordinal);

    private sealed class Account
    {
        public SemaphoreSlim Turn { get; } = new(1, 1);
        public Token? Current { get; set; }
    }

    private sealed record Token(string Value, DateTimeOffset RenewAt);

    public static bool IsRefusal(int code) => code is 40001 or 40014 or 42001;

    /// <summary>The <c>errcode</c> of an answer; 0 when it has none, null when it is not an answer.</summary>
    internal static int? CodeOf(JsonElement answer) => answer.ValueKind != JsonValueKind.Object ? null
        : !answer.TryGetProperty("errcode", out var code) ? 0
        : code.ValueKind == JsonValueKind.Number && code.TryGetInt32(out var number) ? number : null;

    /// <param name="refused">A token that WeChat has just refused; another is wanted.</param>
    /// <returns>Null when none is to be had now.</returns>
    public async Task<string?> GetAsync(WeChatSender sender, string? refused, CancellationToken cancellation)
    {
        var account = _accounts.GetOrAdd(sender.AppId, _ => new Account());
        if (Usable(account, refused) is { } current)
            return current;
        await account.Turn.WaitAsync(cancellation);
        try
        {
            if (Usable(account, refused) is { } renewed)
                return renewed;
            account.Current = await FetchAsync(sender, force: false, cancellation);
            if (refused is not null && account.Current?.Value == refused)
                account.Current = await ReplaceAsync(sender, refused, cancellation);
            return account.Current?.Value;
        }
        finally
        {
            account.Turn.Release();
        }
    }

    private string? Usable(Account account, string? refused) =>
        account.Current is { } token && token.Value != refused && time.GetUtcNow() < token.RenewAt ? token.Value : null;

    /// <summary>Whoever has the lock asks once more: another replica may have replaced it meanwhile.</summary>
    private async Task<Token?> ReplaceAsync(WeChatSender sender, string refused, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using var turn = new NpgsqlCommand("select pg_advisory_xact_lock($1)", connection, transaction);
        turn.Parameters.AddWithValue(BitConverter.ToInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"wechat-token {sender.AppId}"))));
        await turn.ExecuteNonQueryAsync(cancellation);
        return await FetchAsync(sender, force: false, cancellation) is { } token && token.Value != refused ? token : await FetchAsync(sender, force: true, cancellation);
    }

    private async Task<Token?> FetchAsync(WeChatSender sender, bool force, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var reply = await http.PostAsync(() => new HttpRequestMessage(HttpMethod.Post, new Uri(sender.ApiBaseUrl, "cgi-bin/stable_token"))
        {
            Content = JsonContent.Create(new { grant_type = "client_credential", appid = sender.AppId, secret = sender.AppSecret, force_refresh = force }, options: Json),
        }, cancellation);
        if (reply is not { Status: 200, Body: { ValueKind: JsonValueKind.Object } answer } || !answer.TryGetProperty("access_token", out var value) || value.GetString() is not { Length: > 0 } token
            || !answer.TryGetProperty("expires_in", out var seconds) || !seconds.TryGetInt32(out var life))
            return null;
        var lifetime = TimeSpan.FromSeconds(Math.Clamp(life, 0, (int)LongestLife.TotalSeconds));
        // One that is about to end is still good for this call.
        return new Token(token, now + (lifetime > RenewBefore ? lifetime - RenewBefore : TimeSpan.Zero));
    }
}
