using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Npgsql;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

[Collection(RequestsCollection.Name)]
public sealed class PersonalDataTests(RequestsFixture requests)
{
    [Fact]
    public async Task no_personal_data_is_anywhere_in_the_database_the_messages_or_the_log()
    {
        var call = Call("MARKEROFTHETEST-caller-ref");
        call["caller"] = new JsonObject
        {
            ["ref"] = "MARKEROFTHETEST-caller-ref",
            ["name"] = "MARKEROFTHETEST-caller-name",
            ["phone"] = "+44 (20) 79461509-58",
            ["language"] = "zh",
            ["channels"] = new JsonArray(new JsonObject { ["kind"] = "webhook", ["address"] = "https://MARKEROFTHETEST-channel.example" }),
        };
        call["onBehalfOf"] = new JsonObject { ["ref"] = "MARKEROFTHETEST-person-ref", ["name"] = "MARKEROFTHETEST-person-name" };
        call["location"] = new JsonObject { ["lat"] = 31.987654321, ["lon"] = 121.123456789, ["accuracyMetres"] = 13.5, ["text"] = "MARKEROFTHETEST-address" };
        call["needs"]![0]!["note"] = "MARKEROFTHETEST-note";
        var key = "\"MARKEROFTHETEST-idempotency-key\"";
        var consent = call["consent"]!;
        call.Remove("consent");
        var request = await requests.SubmitAsync(call, key);
        await requests.SendAsync(HttpMethod.Patch, $"/v1/requests/{request["requestId"]}", new { consent });
        foreach (var (verb, state) in new[] { ("cancel", (NeedState?)null), ("reopen", NeedState.Fulfilled), ("dispute", NeedState.Accepted), ("concern", null) })
        {
            await requests.ActAsync(request, verb, new { reason = $"MARKEROFTHETEST-{verb}" });
            if (state is not { } next)
                continue;
            await requests.MatchingSaysAsync(request, next == NeedState.Fulfilled ? 5 : 6, next, new ResponderId(Guid.NewGuid()));
            await requests.StateAsync(request, next.ToString().ToLowerInvariant());
        }
        // What is refused is not written down either.
        call["urgency"] = "MARKEROFTHETEST-urgency";
        await requests.SendAsync(HttpMethod.Post, "/v1/requests", call, key: key);
        await requests.PublishedAsync<ConcernRaised>(message => message.NeedId == NeedOf(request));

        string[] markers = ["MARKEROFTHETEST", "79461509", "31.98765", "121.12345"];
        Assert.Empty(await FindInDatabaseAsync(markers));
        var about = requests.PublishedJson().Where(json => json.Contains(NeedOf(request).ToString())).ToList();
        Assert.True(about.Count >= 5, "The messages that should have been searched are not there.");
        Assert.All(about, json => Assert.All(markers, marker => Assert.DoesNotContain(marker, json)));
        foreach (var replica in new[] { 1, 2 })
        {
            // The service has the log open.
            await using var log = new FileStream(requests.Process(replica).LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var text = await new StreamReader(log).ReadToEndAsync(TestContext.Current.CancellationToken);
            Assert.All(markers, marker => Assert.DoesNotContain(marker, text));
        }

        // It is all there for who may see it, the reasons included.
        var shown = (await requests.GetAsync(request, "?personal=true")).ToJsonString();
        Assert.All(["MARKEROFTHETEST-caller-name", "MARKEROFTHETEST-person-name", "MARKEROFTHETEST-address", "MARKEROFTHETEST-note", "79461509", "31.987654321", "MARKEROFTHETEST-cancel", "MARKEROFTHETEST-reopen", "MARKEROFTHETEST-dispute", "MARKEROFTHETEST-concern"],
            marker => Assert.Contains(marker, shown));
    }

    [Fact]
    public async Task a_conversation_leaves_no_personal_data_in_clear_either()
    {
        using var http = new HttpClient();
        var caller = new WeChatCaller(http, new Uri(requests.Process().BaseAddress, "/channels/wechat/aes"), key: WeChatCaller.Key) { OpenId = $"oCONVERSATIONMARKER{Guid.NewGuid():N}" };
        await caller.SayAsync("CONVERSATIONMARKER has no food");
        await caller.SayAsync("CONVERSATIONMARKER Road 12");
        await caller.PinAsync(new GeoPoint(31.987123, 121.123987));
        Assert.Contains("Your number is", await caller.SayAsync("yes"));
        Assert.Empty(await FindInDatabaseAsync(["CONVERSATIONMARKER", "31.9871", "121.1239"]));
        foreach (var replica in new[] { 1, 2 })
        {
            await using var log = new FileStream(requests.Process(replica).LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            Assert.DoesNotContain("CONVERSATIONMARKER", await new StreamReader(log).ReadToEndAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task the_search_of_the_database_finds_what_is_there()
    {
        var call = Call();
        call["operatorId"] = "FINDABLEINTHEDATA-operator";
        await requests.SubmitAsync(call);
        Assert.NotEmpty(await FindInDatabaseAsync(["FINDABLEINTHEDATA"]));
    }

    [Theory]
    [InlineData("intake")]
    [InlineData("auditor")]
    public async Task personal_data_is_for_operators_who_ask(string role)
    {
        var request = await requests.SubmitAsync(Call());
        await requests.GetAsync(request, "?personal=true", role, 403);
        await requests.GetAsync(request, "/contact", role, 403);
        await requests.GetAsync(request, "/visit", role, 403);
        Assert.Null((await requests.GetAsync(request))["personal"]);
    }

    [Fact]
    public async Task contact_says_who_to_tell_and_how()
    {
        var call = Call();
        call["caller"]!["language"] = "zh-Hans";
        call["caller"]!["channels"] = new JsonArray(
            new JsonObject { ["kind"] = "webhook", ["address"] = "https://front.example/notify" }, new JsonObject { ["kind"] = "voice", ["address"] = "+8613800000000" });
        var request = await requests.SubmitAsync(call);
        var contact = await requests.GetAsync(request, $"/contact?needId={NeedOf(request)}", "service", replica: 2);
        // Signs the person's own link to their request; the link itself is the console's.
        Assert.NotEmpty((string)contact["ownKey"]!);
        contact.AsObject().Remove("ownKey");
        Assert.Equal("""{"name":"Ms Lin","channels":[{"kind":"webhook","address":"https://front.example/notify"},{"kind":"voice","address":"\u002B8613800000000"}],"communication":["text-only"],"language":"zh-Hans"}""", contact.ToJsonString());
        await requests.GetAsync(request, $"/contact?needId={Guid.NewGuid()}", expected: 404);

        call = Call();
        call["callbackOk"] = false;
        call["caller"]!["channels"] = new JsonArray(new JsonObject { ["kind"] = "voice", ["address"] = "+8613800000000" });
        request = await requests.SubmitAsync(call);
        Assert.Empty((await requests.GetAsync(request, "/contact"))["channels"]!.AsArray());
        Assert.Null((await requests.GetAsync(request, "/visit"))["phone"]);
    }

    [Fact]
    public async Task a_caller_without_channels_is_told_where_the_front_end_listens()
    {
        var contact = await requests.GetAsync(await requests.SubmitAsync(Call("a/b?c", source: QuietSource)), "/contact");
        Assert.Equal("https://front-end.example/callers/a%2Fb%3Fc", (string?)contact["channels"]![0]!["address"]);
        Assert.Empty((await requests.GetAsync(await requests.SubmitAsync(Call()), "/contact"))["channels"]!.AsArray());
    }

    [Fact]
    public async Task a_visit_has_the_exact_place_and_the_note_of_the_need()
    {
        var call = Call();
        call["onBehalfOf"] = new JsonObject { ["ref"] = Guid.NewGuid().ToString(), ["name"] = "Mr Lin" };
        call["needs"]!.AsArray().Add(new JsonObject { ["kind"] = "specialised.medicine", ["mode"] = "offline", ["note"] = "insulin" });
        var request = await requests.SubmitAsync(call);
        var visit = await requests.GetAsync(request, $"/visit?needId={NeedOf(request, 1)}", "service");
        Assert.Equal(("Mr Lin", "+86 138 0000 0000", 31.2205, 121.4401, "Building 3", "insulin"),
            ((string?)visit["name"], (string?)visit["phone"], (double)visit["lat"]!, (double)visit["lon"]!, (string?)visit["addressText"], (string?)visit["note"]));
        Assert.Null((await requests.GetAsync(request, "/visit"))["note"]);
        call.Remove("location");
        call["externalId"] = Guid.NewGuid().ToString();
        await requests.GetAsync(await requests.SubmitAsync(call), "/visit", expected: 409);
    }

    [Fact]
    public async Task after_erasure_contact_and_visit_are_gone_and_the_rest_goes_on()
    {
        var person = Guid.NewGuid().ToString("N");
        var request = await requests.SubmitAsync(Call(person));
        await EraseAsync(request);
        // The other replica has never seen the key; this one forgets it within a minute.
        Assert.Equal("erased", (string?)(await requests.GetAsync(request, "/contact", expected: 410, replica: 2))["code"]);
        await requests.GetAsync(request, "/visit", expected: 410, replica: 2);
        var shown = await requests.GetAsync(request, "?personal=true", replica: 2);
        Assert.True((bool)shown["erased"]!);
        Assert.Null(shown["personal"]);
        await requests.MatchingSaysAsync(request, 1, NeedState.Waiting);
        await requests.StateAsync(request, "waiting");
        await requests.ActAsync(request, "cancel", new { reason = "no-longer-needed" });

        // Who calls again has a new key, with which the old data does not open.
        var again = await requests.SubmitAsync(Call(person, "donations.goods"), replica: 2);
        await requests.GetAsync(again, "/contact", replica: 2);
        await requests.GetAsync(request, "/contact", expected: 410, replica: 2);
    }

    private async Task EraseAsync(JsonNode request)
    {
        await using var command = requests.Sql.CreateCommand(
            "delete from huzhu.person_keys where person_id = (select person_id from huzhu.mt_doc_requestview where id = $1)");
        command.Parameters.AddWithValue(RequestOf(request).Value);
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    }

    /// <summary>Every column of every table that can hold text, in the forms that text can take.</summary>
    private async Task<List<string>> FindInDatabaseAsync(string[] markers)
    {
        var columns = new List<(string Table, string Column, string Type)>();
        await using (var command = requests.Sql.CreateCommand("""
            select c.table_schema || '.' || c.table_name, c.column_name, c.data_type from information_schema.columns c
            join information_schema.tables t using (table_schema, table_name)
            where t.table_type = 'BASE TABLE' and c.table_schema not in ('pg_catalog', 'information_schema')
            """))
        await using (var reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync())
                columns.Add((reader.GetString(0), reader.GetString(1), reader.GetString(2)));
        Assert.Contains(columns, column => column.Table == "huzhu.mt_events" && column.Column == "data");
        Assert.Contains(columns, column => column.Table == "huzhu.idempotency_keys");

        var found = new List<string>();
        foreach (var (table, column, type) in columns)
            foreach (var marker in markers)
                foreach (var form in Forms(marker))
                {
                    var searched = type == "bytea" ? $"encode({column}, 'hex')" : $"\"{column}\"::text";
                    var pattern = type == "bytea" ? Convert.ToHexStringLower(Encoding.UTF8.GetBytes(form)) : form;
                    await using var command = requests.Sql.CreateCommand($"select count(*) from {table} where position($1 in {searched}) > 0");
                    command.Parameters.AddWithValue(pattern);
                    if ((long)(await command.ExecuteScalarAsync())! > 0)
                        found.Add($"{table}.{column} has {marker}");
                }
        return found;
    }

    /// <summary>As it is, and as base64 has it at each of the three offsets.</summary>
    private static IEnumerable<string> Forms(string marker)
    {
        yield return marker;
        // Shorter ones would be found in any ciphertext sooner or later.
        if (marker.Length < 12)
            yield break;
        for (var offset = 0; offset < 3; offset++)
        {
            var encoded = Convert.ToBase64String(Encoding.UTF8.GetBytes(new string('x', offset) + marker + "xxx"));
            // Without the characters that the neighbours have a part in.
            yield return encoded[(offset == 0 ? 0 : 4)..(encoded.Length - 8)];
        }
    }
}
