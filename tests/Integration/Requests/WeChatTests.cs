using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Local.Infrastructure;
using Huzhu.Requests.Channels.WeChat;
using Huzhu.Requests.Domain;
using Huzhu.TestKit;
using Huzhu.Tests.Integration.Groups;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.Requests;

/// <summary>An Official Account as WeChat's servers speak for it: signs, encrypts, repeats.</summary>
internal sealed class WeChatCaller(HttpClient http, Uri address, string token = WeChatCaller.Token, string? key = null, string appId = WeChatCaller.AppId)
{
    public const string Token = "QDG6eK";
    public const string AppId = "wx5823bf96d3bd56c7";
    public const string Key = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
    public const string PreviousKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

    private static long _lastId = Random.Shared.NextInt64(1L << 60);

    public static IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string>
    {
        ["Channels__WeChat__Accounts__plain__AppId"] = AppId,
        ["Channels__WeChat__Accounts__plain__Token"] = Token,
        ["Channels__WeChat__Accounts__aes__AppId"] = AppId,
        ["Channels__WeChat__Accounts__aes__Token"] = Token,
        ["Channels__WeChat__Accounts__aes__EncodingAesKey"] = Key,
        ["Channels__WeChat__Accounts__aes__PreviousEncodingAesKey"] = PreviousKey,
    };

    public string OpenId { get; init; } = "o" + Guid.NewGuid().ToString("N");

    public static string NewId() => Interlocked.Increment(ref _lastId).ToString();

    public string Message(string type, string fields, string? id = null) =>
        $"<xml><ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName><FromUserName><![CDATA[{OpenId}]]></FromUserName><CreateTime>{DateTimeOffset.UtcNow.ToUnixTimeSeconds()}</CreateTime>"
        + $"<MsgType><![CDATA[{type}]]></MsgType>{fields}{(type == "event" ? "" : $"<MsgId>{id ?? NewId()}</MsgId>")}</xml>";

    public Task<string> SayAsync(string text, string? id = null) => SendAsync(Message("text", $"<Content><![CDATA[{text}]]></Content>", id));

    public Task<string> PinAsync(GeoPoint gcj) => SendAsync(Message("location", $"<Location_X>{gcj.Latitude}</Location_X><Location_Y>{gcj.Longitude}</Location_Y><Scale>19</Scale><Label><![CDATA[J路3号]]></Label>"));

    /// <summary>Delivers once and reads the answer as WeChat does.</summary>
    /// <returns>What the person is shown; empty when the message is only acknowledged.</returns>
    public async Task<string> SendAsync(string xml)
    {
        var (status, body) = await PostAsync(xml);
        Assert.True(status == 200, $"A message was answered {status}: {body}");
        if (body is "" or "success")
            return "";
        var reply = WeChatMessage.Read(body)!;
        if (key is not null)
        {
            Assert.True(WeChatCrypto.Verify(reply["MsgSignature"], token, reply["TimeStamp"]!, reply["Nonce"]!, reply["Encrypt"]!));
            reply = WeChatMessage.Read(WeChatCrypto.Decrypt(reply["Encrypt"]!, WeChatCrypto.ReadKey(key)!, appId)!)!;
        }
        Assert.Equal((OpenId, "text"), (reply["ToUserName"], reply["MsgType"]));
        return reply["Content"]!;
    }

    public Task<(int Status, string Body)> PostAsync(string xml, Func<string, string>? spoil = null, Func<string, string>? spoilBody = null)
    {
        var (timestamp, nonce) = (DateTimeOffset.UtcNow.ToUnixTimeSeconds().ToString(), Random.Shared.Next().ToString());
        var query = $"?signature={WeChatCrypto.Sign(token, timestamp, nonce)}&timestamp={timestamp}&nonce={nonce}&openid={OpenId}";
        if (key is not null)
        {
            var encrypted = WeChatCrypto.Encrypt(xml, WeChatCrypto.ReadKey(key)!, appId, "aaaabbbbccccdddd"u8);
            query += $"&encrypt_type=aes&msg_signature={WeChatCrypto.Sign(token, timestamp, nonce, encrypted)}";
            xml = $"<xml><ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>";
        }
        return RawAsync(spoil is null ? query : spoil(query), spoilBody is null ? xml : spoilBody(xml));
    }

    public async Task<(int Status, string Body)> RawAsync(string query, string body)
    {
        using var response = await http.PostAsync(new Uri(address + query), new StringContent(body, Encoding.UTF8, "text/xml"));
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }
}

[Collection(RequestsCollection.Name)]
public sealed class WeChatTests(RequestsFixture requests)
{
    private static readonly HttpClient Http = new();

    private Uri Address(string account, int replica = 1) => new(requests.Process(replica).BaseAddress, $"/channels/wechat/{account}");
    private WeChatCaller Aes(string key = WeChatCaller.Key) => new(Http, Address("aes"), key: key);
    private WeChatCaller Plain() => new(Http, Address("plain"));

    private async Task<JsonArray> RequestsOfAsync(WeChatCaller caller, string account = "aes")
    {
        var person = Huzhu.Requests.Intake.CallForHelp.PersonOf($"wechat-{account}", caller.OpenId).Value;
        await using var command = requests.Sql.CreateCommand("select id from huzhu.mt_doc_requestview where person_id = $1");
        command.Parameters.AddWithValue(person);
        await using var reader = await command.ExecuteReaderAsync();
        var found = new JsonArray();
        while (await reader.ReadAsync())
            found.Add((await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{reader.GetGuid(0)}?personal=true", role: "operator")).Body);
        return found;
    }

    [Fact]
    public async Task an_address_is_verified_in_clear_and_encrypted()
    {
        Assert.Equal("5833258582299191661", await Http.GetStringAsync($"{Address("plain")}?signature={WeChatCrypto.Sign(WeChatCaller.Token, "1357982061", "1358161344")}&timestamp=1357982061&nonce=1358161344&echostr=5833258582299191661"));
        // Tencent's sample, byte for byte.
        const string sample = "?msg_signature=5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3&timestamp=1409659589&nonce=263014780&echostr=P9nAzCzyDtyTWESHep1vC5X9xho%2FqYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp%2B4RPcs8TgAE7OaBO%2BFZXvnaqQ%3D%3D";
        Assert.Equal("1616140317555161061", await Http.GetStringAsync(Address("aes") + sample));
        Assert.Equal(403, (int)(await Http.GetAsync(Address("aes") + sample.Replace("263014780", "263014781"))).StatusCode);
        Assert.Equal(404, (int)(await Http.GetAsync(Address("nobody") + sample)).StatusCode);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("aes")]
    public async Task a_talk_becomes_one_request_that_matching_hears_of(string account)
    {
        var caller = account == "aes" ? Aes() : Plain();
        Assert.Contains("位置", await caller.SayAsync("我妈妈的药没有了"));
        var place = new GeoPoint(31.2201, 121.4401);
        var check = await caller.PinAsync(Datum.ToGcj02(place));
        Assert.Contains("药品", check);
        Assert.Contains("J路3号", check);
        var partial = Assert.Single(await RequestsOfAsync(caller, account))!;
        Assert.Equal(("partial", "consent"), ((string?)partial["status"], (string?)partial["missing"]!.AsArray().Single()));

        var taken = await caller.SayAsync("1");
        var request = Assert.Single(await RequestsOfAsync(caller, account))!;
        Assert.Contains(((string)request["requestId"]!)[..8].ToUpperInvariant(), taken);
        Assert.Equal(("open", "wechat", $"wechat-{account}"), ((string?)request["status"], (string?)request["channel"], (string?)request["source"]));
        Assert.Equal("我妈妈的药没有了", (string?)request["personal"]!["person"]!["notes"]![0]);
        var published = await requests.PublishedAsync<NeedSubmitted>(message => message.Need.RequestId.Value == (Guid)request["requestId"]!);
        Assert.Equal((ServiceKinds.Medicine, Urgency.Health, place.Snapped()), (published.Need.Kind, published.Need.Urgency, published.Need.Place));

        var contact = (await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{request["requestId"]}/contact", role: "operator")).Body!;
        Assert.Equal(("wechat", $"{account}/{caller.OpenId}", "zh"), ((string?)contact["channels"]![0]!["kind"], (string?)contact["channels"]![0]!["address"], (string?)contact["language"]));
        Assert.Contains("正在寻找帮助者", await caller.SayAsync("进度"));
        Assert.Contains("已取消", await caller.SayAsync("取消"));
        Assert.Contains("已取消", await caller.SayAsync("进度"));
        Assert.Equal("cancelled", (string?)Assert.Single(await RequestsOfAsync(caller, account))!["status"]);
    }

    [Fact]
    public async Task a_message_delivered_three_times_to_any_replica_counts_once()
    {
        var caller = Aes();
        var elsewhere = new WeChatCaller(Http, Address("aes", 2), key: WeChatCaller.Key) { OpenId = caller.OpenId };
        var message = caller.Message("text", "<Content><![CDATA[no food at home]]></Content>");
        var answers = await Task.WhenAll(caller.SendAsync(message), elsewhere.SendAsync(message), caller.SendAsync(message));
        Assert.Single(answers.Distinct());
        Assert.Equal("no food at home", (string?)Assert.Single(await RequestsOfAsync(caller))!["personal"]!["person"]!["notes"]![0]);
        Assert.Equal(answers[0], await elsewhere.SendAsync(message));
    }

    [Fact]
    public async Task a_message_in_the_previous_key_is_answered_in_the_previous_key()
    {
        var caller = Aes(WeChatCaller.PreviousKey);
        Assert.Contains("Where should the help go", await caller.SayAsync("I need food"));
        Assert.Single(await RequestsOfAsync(caller));
    }

    [Fact]
    public async Task what_is_not_signed_with_the_accounts_secrets_is_refused_and_leaves_nothing()
    {
        var caller = Aes();
        var message = caller.Message("text", "<Content><![CDATA[food]]></Content>");
        var stranger = new WeChatCaller(Http, Address("aes"), token: "another", key: WeChatCaller.Key) { OpenId = caller.OpenId };
        var otherKey = new WeChatCaller(Http, Address("aes"), key: new string('B', 43)) { OpenId = caller.OpenId };
        var otherApp = new WeChatCaller(Http, Address("aes"), key: WeChatCaller.Key, appId: "wx0000000000000000") { OpenId = caller.OpenId };
        var clear = new WeChatCaller(Http, Address("aes")) { OpenId = caller.OpenId };
        foreach (var forger in new[] { stranger, otherKey, otherApp, clear })
            Assert.Equal(403, (await forger.PostAsync(message)).Status);
        Assert.Equal(403, (await caller.PostAsync(message, query => query.Replace("timestamp=1", "timestamp=2"))).Status);
        Assert.Equal(403, (await Plain().PostAsync(message, query => query.Replace("signature=", "signature=0"))).Status);
        foreach (var doubled in new[] { "msg_signature=", "timestamp=", "nonce=" })
            Assert.Equal(403, (await caller.PostAsync(message, query => query + "&" + doubled)).Status);
        var old = DateTimeOffset.UtcNow.AddMinutes(-6).ToUnixTimeSeconds().ToString();
        Assert.Equal(403, (await Plain().RawAsync($"?signature={WeChatCrypto.Sign(WeChatCaller.Token, old, "1")}&timestamp={old}&nonce=1", message)).Status);
        Assert.Empty(await RequestsOfAsync(caller));
    }

    /// <summary>In CI a few, in a long run 100,000 and more.</summary>
    internal static int Mutations { get; } = int.Parse(Environment.GetEnvironmentVariable("HUZHU_MUTATIONS") ?? "5000", CultureInfo.InvariantCulture);

    [Fact]
    public async Task mutated_callbacks_are_never_an_error_of_the_server_and_never_taken_for_true()
    {
        // One message for all: whatever gets through is a repeat of it, and anything else would be seen.
        var caller = Aes();
        var message = caller.Message("text", "<Content><![CDATA[food]]></Content>");
        Assert.Contains("Where", await caller.SendAsync(message));
        var taken = 0;
        var memory = await requests.MemoryAsync();
        await Gen.Select(Gen.Double.Unit, Gen.Char['!', '~'], Gen.Int[0, 5], Gen.Bool).Array[Mutations].SampleAsync(async mutations =>
        {
            await Parallel.ForEachAsync(mutations, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (mutation, _) =>
            {
                var (where, character, how, inBody) = mutation;
                string Spoil(string text)
                {
                    var at = Math.Min((int)(where * text.Length), text.Length - 1);
                    return how switch
                    {
                        0 or 1 => text[..at] + character + text[(at + 1)..],
                        2 => text.Remove(at, 1),
                        3 => text.Insert(at, character.ToString()),
                        4 => text[..at],
                        _ => text + text[at..],
                    };
                }
                var (original, spoilt) = ("", "");
                string Remember(string text) => spoilt = Spoil(original = text);
                var (status, body) = await caller.PostAsync(message, inBody ? null : Remember, inBody ? Remember : null);
                // 401: the address of something else, that asks for a token.
                Assert.True(status is 200 or 400 or 401 or 403 or 404 or 413, $"{status} on {spoilt}: {body}");
                if (status == 200)
                {
                    // Only what leaves the signed parts as they were may pass.
                    Assert.True(Signed(original) == Signed(spoilt), $"200 on {spoilt}, of which the original is {original}");
                    Interlocked.Increment(ref taken);
                }
            });
        }, iter: 1);
        Assert.InRange(taken, 1, Mutations / 2);
        Assert.Equal("food", (string?)Assert.Single(await RequestsOfAsync(caller))!["personal"]!["person"]!["notes"]![0]);
        var grown = await requests.MemoryAsync() - memory;
        TestContext.Current.TestOutputHelper?.WriteLine($"{Mutations} mutations: {taken} left the signed parts alone; memory grew by {grown >> 20} MiB.");
        Assert.InRange(grown, long.MinValue, MostGrowthBytes);

        // As the server reads it, which may be otherwise than it was written: a fragment is not sent, and a path may have another form.
        string Signed(string text) => text.StartsWith("<", StringComparison.Ordinal)
            ? WeChatMessage.Read(text)?["Encrypt"] ?? ""
            : string.Join('&', Microsoft.AspNetCore.WebUtilities.QueryHelpers.ParseQuery(new Uri(Address("aes") + text).Query)
                .Select(pair => $"{pair.Key.ToLowerInvariant()}={pair.Value}").Where(pair => pair.StartsWith("timestamp=") || pair.StartsWith("nonce=") || pair.StartsWith("msg_signature=")).Order(StringComparer.Ordinal));
    }

    /// <summary>A leak of as little as two kilobytes in each of 100,000 would be seen.</summary>
    internal const long MostGrowthBytes = 200L << 20;
}

/// <summary>A database that goes away in the middle of it all.</summary>
public sealed class SpoolTests(Servers servers)
{
    [Fact]
    public async Task a_message_retried_while_the_database_is_away_becomes_one_request_when_it_is_back()
    {
        var infrastructure = await servers.InfrastructureAsync();
        var database = new NpgsqlConnectionStringBuilder(await servers.CreateDatabaseAsync("requests_spool"));
        await using var path = new FaultProxy(database.Port);
        var direct = database.ConnectionString;
        (database.Host, database.Port) = ("127.0.0.1", path.Port);
        var spool = Directory.CreateDirectory(Path.Combine(infrastructure.Run.FullPath, "spool-test"));
        await using var host = await ServiceHost.StartAsync(infrastructure.Run, new ServiceHostOptions
        {
            Databases = new Dictionary<string, string> { ["requests"] = database.ConnectionString },
            AmqpUri = await servers.CreateVirtualHostAsync("requests_spool"),
            Keys = ServiceKeys.Random(),
            Services = ["requests"],
            Environment = new Dictionary<string, string>(WeChatCaller.Settings) { ["Channels__SpoolFolder"] = spool.FullName },
        });
        using var http = new HttpClient();
        var caller = new WeChatCaller(http, new Uri(host["requests"].BaseAddress, "/channels/wechat/aes"), key: WeChatCaller.Key);
        await caller.SayAsync("你好");

        path.TakeAway();
        var plea = caller.Message("text", "<Content><![CDATA[胰岛素没有了]]></Content>");
        for (var delivery = 0; delivery < 3; delivery++)
        {
            var watch = Stopwatch.StartNew();
            Assert.Contains("不会丢失", await caller.SendAsync(plea));
            // The limit itself is tested with a clock of its own, in InboxTests.
            TestContext.Current.TestOutputHelper?.WriteLine($"The {delivery + 1}. delivery was answered after {watch.Elapsed.TotalMilliseconds:0} ms.");
        }
        Assert.Contains("不会丢失", await caller.PinAsync(new GeoPoint(31.22, 121.44)));
        Assert.Contains("不会丢失", await caller.SayAsync("1"));
        Assert.Contains(spool.GetFiles(), file => file.Length > 0);
        path.Mend();

        await using var sql = NpgsqlDataSource.Create(direct);
        var token = host.Token("test", ["operator"]);
        http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        JsonNode? list = null;
        await RequestsFixture.EventuallyAsync("the spool to be drained", async () =>
        {
            using var response = await http.GetAsync(new Uri(host["requests"].BaseAddress, "/v1/requests"));
            list = response.IsSuccessStatusCode ? JsonNode.Parse(await response.Content.ReadAsStringAsync()) : null;
            return ((string?)list?["items"]?.AsArray().FirstOrDefault()?["status"] == "open", list);
        });
        Assert.Equal(1, (int)list!["total"]!);
        Assert.Equal(ServiceKinds.Medicine, (string?)list["items"]![0]!["needs"]![0]!["kind"]);
        Assert.Contains("正在寻找帮助者", await caller.SayAsync("进度"));
    }
}
