using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

/// <summary>What somebody tries who means no good: fields that are not theirs to set, ids of others, words that are commands elsewhere.</summary>
[Collection(RequestsCollection.Name)]
public sealed class AbuseTests(RequestsFixture requests)
{
    private static readonly string[] Commands =
    [
        "'; drop table huzhu.mt_events; --", "\" or 1=1 --", "$1", "\\'; select pg_sleep(20); --", "<script>alert(1)</script>", "{{7*7}} ${7*7} #{7*7}",
        "${jndi:ldap://198.51.100.1/a}", "../../../../etc/passwd", "line\r\nSet-Cookie: injected=1", "%s%n%x", "=cmd|'/c calc'!A1", "\u202etxt.exe", "𝄞 \ud83d\ude00 ﷽",
    ];

    [Fact]
    public async Task fields_that_are_not_the_callers_to_set_are_not_set()
    {
        var (foreign, day) = (Guid.NewGuid(), "2001-01-01T00:00:00Z");
        var call = Call();
        foreach (var name in new[] { "id", "requestId", "personId", "callerId" })
            call[name] = foreign;
        foreach (var (name, value) in new[] { ("status", "closed"), ("state", "closed"), ("by", "somebody-else"), ("fingerprint", "x"), ("personal", "x"), ("erased", "true"), ("excludedResponders", "x") })
            call[name] = value;
        (call["submittedAt"], call["at"], call["version"]) = (day, day, 99);
        var need = call["needs"]![0]!.AsObject();
        (need["needId"], need["duplicateOf"], need["responderId"], need["matchVersion"]) = (foreign, foreign, foreign, 99);
        (need["state"], need["remainingQuantity"], need["fulfilledAt"], need["repeatCalls"]) = ("fulfilled", 0, day, 99);
        call["caller"]!["personId"] = foreign;

        var submitted = await requests.SubmitAsync(call);
        var seen = await requests.GetAsync(submitted);
        Assert.DoesNotContain(foreign.ToString(), seen.ToJsonString());
        Assert.Equal(("open", "open", 2, 0), ((string?)seen["status"], (string?)seen["needs"]![0]!["state"], (int)seen["needs"]![0]!["remainingQuantity"]!, (int)seen["needs"]![0]!["repeatCalls"]!));
        Assert.True((DateTimeOffset)seen["submittedAt"]! > DateTimeOffset.UtcNow.AddHours(-1));
        // Who did it is the token's to say.
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.mt_events where stream_id = $1 and data ->> 'by' = 'test-intake'", RequestOf(submitted).Value));

        // Nor by an action: only its own words count.
        await requests.ActAsync(submitted, "cancel", new { reason = "r", by = "somebody-else", at = day, needState = "fulfilled", withMatching = false });
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.mt_events where stream_id = $1 and type = 'need_cancelled' and data ->> 'by' = 'test-intake' and (data ->> 'withMatching')::boolean", RequestOf(submitted).Value));
    }

    [Theory]
    [InlineData("GET", "/v1/requests/{0}/own?key={1}")]
    [InlineData("POST", "/v1/requests/{0}/own?key={1}")]
    [InlineData("GET", "/v1/requests/{0}/visit?key={1}")]
    [InlineData("DELETE", "/v1/people/{2}?key={1}")]
    public async Task whose_key_is_wrong_cannot_tell_what_is_there_from_what_is_not(string method, string path)
    {
        var (submitted, another) = (await requests.SubmitAsync(Call()), await requests.SubmitAsync(Call()));
        var person = (string)(await requests.GetAsync(submitted))["personId"]!;
        var keyOfAnother = System.Web.HttpUtility.ParseQueryString(new Uri(new Uri("http://here"), (string)another["ownUrl"]!).Query)["key"]!;
        foreach (var key in new[] { "", "wrong", new string('A', 43), keyOfAnother })
        {
            var there = await AnswerAsync(RequestOf(submitted).ToString(), person, key);
            var nowhere = await AnswerAsync(Guid.NewGuid().ToString(), Guid.NewGuid().ToString(), key);
            Assert.Equal(there, nowhere);
            Assert.InRange(there.Status, 400, 499);
        }
        Assert.Equal("open", (string?)(await requests.GetAsync(submitted))["status"]);

        async Task<(int Status, string? Code, string? Detail)> AnswerAsync(string request, string of, string key)
        {
            var (status, body, _) = await requests.SendAsync(new HttpMethod(method), string.Format(System.Globalization.CultureInfo.InvariantCulture, path, request, Uri.EscapeDataString(key), of),
                method == "POST" ? new { says = "cancel", id = "1" } : null, role: null);
            return (status, (string?)body!["code"], (string?)body["detail"]);
        }
    }

    [Fact]
    public async Task words_that_are_commands_elsewhere_are_words()
    {
        var before = await requests.CountEventsAsync();
        foreach (var command in Commands)
        {
            var call = Call(person: $"{Guid.NewGuid():N}{command}");
            (call["caller"]!["name"], call["location"]!["text"], call["needs"]![0]!["note"]) = (command, command, command);
            var submitted = await requests.SubmitAsync(call);
            await requests.ActAsync(submitted, "cancel", new { reason = command });
            var shown = (await requests.GetAsync(submitted, "?personal=true"))["personal"]!;
            Assert.Equal(command, (string?)shown["caller"]!["name"]);
            Assert.Equal(command, (string?)shown["person"]!["addressText"]);
            Assert.Equal(command, (string?)shown["said"]![0]!["reason"]);

            // Where a word is asked for, it finds nothing, and no header is made of it.
            foreach (var query in new[] { "status={0}", "source={0}&externalId={0}", "since={0}", "page={0}" })
            {
                var (status, body, headers) = await requests.SendAsync(HttpMethod.Get, $"/v1/requests?{string.Format(System.Globalization.CultureInfo.InvariantCulture, query, Uri.EscapeDataString(command))}", role: "operator");
                Assert.True(status == 422 || status == 400 || status == 200 && (long)body!["total"]! == 0, $"{query} with {command}: {status} {body}");
                Assert.False(headers.Contains("Set-Cookie"));
            }
        }
        // Nothing was dropped, and everything was counted.
        Assert.True(await requests.CountEventsAsync() >= before + 2 * Commands.Length);
    }

    /// <summary>At the level that says most of what ./huzhu and the manifests set, through good calls and bad ones.</summary>
    [Fact]
    public async Task no_secret_is_in_the_log_of_a_service()
    {
        var submitted = await requests.SubmitAsync(Call());
        var own = new Uri(new Uri("http://here"), (string)submitted["ownUrl"]!).PathAndQuery;
        const string marker = "MARKEROFAKEY";
        foreach (var replica in new[] { 1, 2 })
        {
            Assert.Equal(200, (await requests.SendAsync(HttpMethod.Get, own, role: null, replica: replica)).Status);
            foreach (var path in new[] { $"/v1/requests/{RequestOf(submitted)}/own?key={marker}", $"/v1/requests/{RequestOf(submitted)}/visit?key={marker}", $"/v1/people/{Guid.NewGuid()}?key={marker}", $"/nowhere?key={marker}" })
                Assert.InRange((await requests.SendAsync(HttpMethod.Get, path, role: null, replica: replica)).Status, 400, 499);
            await requests.SendAsync(HttpMethod.Post, "/v1/requests", $"{{\"source\": \"{marker}", key: $"\"{marker}\"", replica: replica);
        }
        var database = new Npgsql.NpgsqlConnectionStringBuilder(requests.Database);
        string[] secrets =
        [
            marker, own[(own.IndexOf("key=", StringComparison.Ordinal) + 4)..], requests.Keys.Signing, requests.Keys.PersonalData, requests.Keys.OfferLinks,
            database.Password!, new Uri(requests.Broker).UserInfo.Split(':')[1], "eyJ",
        ];
        Assert.All(secrets, secret => Assert.NotEmpty(secret));
        foreach (var replica in new[] { 1, 2 })
        {
            await using var log = new FileStream(requests.Process(replica).LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var text = await new StreamReader(log).ReadToEndAsync(TestContext.Current.CancellationToken);
            Assert.NotEmpty(text);
            Assert.All(secrets, secret => Assert.DoesNotContain(secret, text));
        }
    }
}
