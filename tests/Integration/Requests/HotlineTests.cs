using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using CsCheck;
using Huzhu.Contracts;
using Huzhu.Requests.Channels.Hotline;
using Huzhu.Requests.Intake;
using Xunit;

namespace Huzhu.Tests.Integration.Requests;

[Collection(RequestsCollection.Name)]
public sealed class HotlineTests(RequestsFixture requests)
{
    private const string Token = "12345";
    private const string Secret = "a secret of at least 16 bytes";
    private static readonly HttpClient Http = new();

    public static IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string>
    {
        ["Channels__Hotline__Accounts__main__AuthToken"] = Token,
        ["Channels__Hotline__Accounts__main__HmacSecret"] = Secret,
        // As docs/integrators/front-ends.http has it.
        ["Channels__Hotline__Accounts__desk__AuthToken"] = Token,
        ["Channels__Hotline__Accounts__desk__PublicUrl"] = "https://help.example",
        ["Channels__Hotline__Accounts__desk__HmacSecret"] = "a-secret-of-at-least-16-bytes",
        ["Channels__Hotline__Accounts__proxied__AuthToken"] = Token,
        ["Channels__Hotline__Accounts__proxied__PublicUrl"] = "https://help.example/huzhu",
        ["Channels__Hotline__Accounts__proxied__OperatorNumber"] = "+862100000000",
    };

    private readonly string _number = "+8613" + Random.Shared.NextInt64(100_000_000, 999_999_999);

    private async Task<(int Status, string Body)> PostAsync(string path, IEnumerable<KeyValuePair<string, string>> fields, string? signedUrl = null, string? signature = null, int replica = 1)
    {
        var url = new Uri(requests.Process(replica).BaseAddress, $"/channels/hotline/{path}").AbsoluteUri;
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new FormUrlEncodedContent(fields) };
        request.Headers.TryAddWithoutValidation(TwilioSignature.Header, signature ?? TwilioSignature.Sign(Token, signedUrl ?? url, fields));
        using var response = await Http.SendAsync(request);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private async Task<string> TextAsync(string text, string? id = null, int replica = 1)
    {
        var (status, body) = await PostAsync("main/sms", new Dictionary<string, string> { ["MessageSid"] = id ?? Guid.NewGuid().ToString("N"), ["From"] = _number, ["To"] = "+862112345", ["Body"] = text }, replica: replica);
        Assert.True(status == 200, $"{status}: {body}");
        return XDocument.Parse(body).Root!.Element("Message")!.Value;
    }

    private async Task<XElement> CallAsync(string call, string action, string? digits = null, string? speech = null, string account = "main", string? signedUrl = null)
    {
        var fields = new Dictionary<string, string> { ["CallSid"] = call, ["From"] = _number, ["To"] = "+862112345", ["CallStatus"] = "in-progress", ["Direction"] = "inbound" };
        if (digits is not null)
            fields["Digits"] = digits;
        if (speech is not null)
            fields["SpeechResult"] = speech;
        var (status, body) = await PostAsync($"{account}/{action}", fields, signedUrl);
        Assert.True(status == 200, $"{status}: {body}");
        return XDocument.Parse(body).Root!;
    }

    private static string Said(XElement response) => string.Concat(response.Descendants("Say").Select(say => say.Value));

    private async Task<IReadOnlyList<JsonNode>> RequestsOfAsync(string? number = null)
    {
        await using var command = requests.Sql.CreateCommand("select id from huzhu.mt_doc_requestview where person_id = $1");
        command.Parameters.AddWithValue(CallForHelp.PersonOf("hotline-main", number ?? _number).Value);
        await using var reader = await command.ExecuteReaderAsync();
        var found = new List<JsonNode>();
        while (await reader.ReadAsync())
            found.Add((await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{reader.GetGuid(0)}?personal=true", role: "operator")).Body!);
        return found;
    }

    [Fact]
    public async Task text_messages_become_one_request_however_often_they_are_delivered()
    {
        var id = Guid.NewGuid().ToString("N");
        Assert.Equal(await TextAsync("no food since Monday", id), await TextAsync("no food since Monday", id, replica: 2));
        Assert.Contains("12 J Road", await TextAsync("12 J Road"));
        Assert.Contains("Your number is", await TextAsync("yes"));
        var request = Assert.Single(await RequestsOfAsync());
        Assert.Equal(("partial", "sms", "no food since Monday", "12 J Road", _number), ((string?)request["status"], (string?)request["channel"],
            (string?)request["personal"]!["person"]!["notes"]![0], (string?)request["personal"]!["person"]!["addressText"], (string?)request["personal"]!["caller"]!["phone"]));
        Assert.Equal(["location"], request["missing"]!.AsArray().Select(missing => (string?)missing));
        Assert.Contains("Taken", await TextAsync("31.2201,121.4401"));
        Assert.Equal("open", (string?)Assert.Single(await RequestsOfAsync())["status"]);
    }

    [Fact]
    public async Task a_call_is_led_through_the_menu_by_keys_and_by_speech_and_goes_on_by_text()
    {
        var call = Guid.NewGuid().ToString("N");
        var welcome = await CallAsync(call, "voice");
        Assert.Equal(["zh-CN", "en-US"], welcome.Descendants("Say").Select(say => say.Attribute("language")!.Value));
        Assert.Contains("press 0", Said(welcome));
        var english = await CallAsync(call, welcome.Element("Gather")!.Attribute("action")!.Value, digits: "9");
        var kind = await CallAsync(call, english.Element("Gather")!.Attribute("action")!.Value, speech: "please help my mother");
        Assert.Contains("Medicine, 2", Said(kind));
        var place = await CallAsync(call, kind.Element("Gather")!.Attribute("action")!.Value, digits: "2");
        Assert.Contains("address", Said(place));
        var silent = await CallAsync(call, place.Element("Redirect")!.Value);
        Assert.Contains("address", Said(silent));
        var check = await CallAsync(call, silent.Element("Gather")!.Attribute("action")!.Value, speech: "12 J Road");
        Assert.Contains("medicine", Said(check));
        var taken = await CallAsync(call, check.Element("Gather")!.Attribute("action")!.Value, digits: "1");
        Assert.NotNull(taken.Element("Hangup"));
        var request = Assert.Single(await RequestsOfAsync());
        Assert.Equal(("phone", ServiceKinds.Medicine, "health"), ((string?)request["channel"], (string?)request["needs"]![0]!["kind"], (string?)request["needs"]![0]!["urgency"]));
        Assert.Contains(((string)request["requestId"]!)[..8].ToUpperInvariant(), await TextAsync("status"));
    }

    [Fact]
    public async Task there_is_a_way_to_a_person_at_every_step_and_behind_a_proxy()
    {
        const string url = "https://help.example/huzhu/channels/hotline/proxied/";
        var call = Guid.NewGuid().ToString("N");
        await CallAsync(call, "voice", account: "proxied", signedUrl: url + "voice");
        var through = await CallAsync(call, "voice?turn=1", digits: "0", account: "proxied", signedUrl: url + "voice?turn=1");
        Assert.Equal("+862100000000", through.Element("Dial")!.Value);
        // Whoever says nothing at all is put through too.
        Assert.NotNull((await CallAsync(Guid.NewGuid().ToString("N"), "voice?turn=1&silences=3", account: "proxied", signedUrl: "https://help.example:443/huzhu/channels/hotline/proxied/voice?turn=1&silences=3")).Element("Dial"));
        var fields = new Dictionary<string, string> { ["CallSid"] = call, ["From"] = _number };
        Assert.Equal(403, (await PostAsync("proxied/voice", fields)).Status);
    }

    [Fact]
    public async Task a_withheld_number_is_nobody_else()
    {
        var fields = new Dictionary<string, string> { ["CallSid"] = Guid.NewGuid().ToString("N"), ["From"] = "anonymous", ["SpeechResult"] = "food" };
        Assert.Equal(200, (await PostAsync("main/voice?turn=1", fields)).Status);
        Assert.Single(await RequestsOfAsync($"call:{fields["CallSid"]}"));
    }

    [Fact]
    public async Task a_missed_call_is_a_call_for_help_and_its_record_counts_once()
    {
        var body = JsonSerializer.Serialize(new { callId = Guid.NewGuid().ToString("N"), from = _number, outcome = "voicemail", startedAt = DateTimeOffset.UtcNow.AddMinutes(-1), transcript = "no insulin left" });
        for (var delivery = 0; delivery < 3; delivery++)
            Assert.Equal(202, await PushAsync(body));
        var request = Assert.Single(await RequestsOfAsync());
        Assert.Contains("no insulin left", (string?)request["personal"]!["person"]!["notes"]![0]);
        Assert.Equal(202, await PushAsync(body.Replace("voicemail", "answered").Replace("callId\":\"", "callId\":\"x")));
        Assert.Single(await RequestsOfAsync());
        Assert.Equal(403, await PushAsync(body, signature: "t=1,v1=00"));
        Assert.Equal(422, await PushAsync("{\"callId\":\"1\",\"from\":\"+86138\",\"outcome\":\"lost\"}"));
        Assert.Equal(400, await PushAsync("{"));
    }

    private async Task<int> PushAsync(string body, string? signature = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(requests.Process().BaseAddress, "/channels/hotline/main/calls")) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.TryAddWithoutValidation(RecordSignature.Header, signature ?? RecordSignature.Sign(Encoding.UTF8.GetBytes(Secret), DateTimeOffset.UtcNow.ToUnixTimeSeconds(), Encoding.UTF8.GetBytes(body)));
        using var response = await Http.SendAsync(request);
        return (int)response.StatusCode;
    }

    [Fact]
    public async Task mutated_callbacks_are_never_an_error_of_the_server_and_never_taken_for_true()
    {
        var fields = new Dictionary<string, string> { ["MessageSid"] = "SM1", ["From"] = _number, ["Body"] = "food" };
        var url = new Uri(requests.Process().BaseAddress, "/channels/hotline/main/sms").AbsoluteUri;
        var signature = TwilioSignature.Sign(Token, url, fields);
        var original = await new FormUrlEncodedContent(fields).ReadAsStringAsync();
        Assert.Equal(200, (await PostAsync("main/sms", fields)).Status);
        var memory = await requests.MemoryAsync();
        await Gen.Select(Gen.Double.Unit, Gen.Char['!', '~'], Gen.Int[0, 4], Gen.Int[0, 2]).Array[WeChatTests.Mutations].SampleAsync(async mutations =>
            await Parallel.ForEachAsync(mutations, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (mutation, _) =>
            {
                var (where, character, how, what) = mutation;
                string Spoil(string text, int which)
                {
                    var at = Math.Min((int)(where * text.Length), text.Length - 1);
                    return which != what ? text : how switch
                    {
                        0 or 1 => text[..at] + character + text[(at + 1)..],
                        2 => text.Remove(at, 1),
                        3 => text.Insert(at, character.ToString()),
                        _ => text[..at],
                    };
                }
                var body = Spoil(original, 0);
                using var request = new HttpRequestMessage(HttpMethod.Post, url + (what == 1 ? "?" + character : ""))
                {
                    Content = new StringContent(body, Encoding.UTF8, "application/x-www-form-urlencoded"),
                };
                request.Headers.TryAddWithoutValidation(TwilioSignature.Header, Spoil(signature, 2));
                using var response = await Http.SendAsync(request);
                var status = (int)response.StatusCode;
                Assert.True(status is 200 or 400 or 403, $"{status} on {body}");
                if (status == 200)
                    Assert.Equal((signature, Signed(original)), (request.Headers.GetValues(TwilioSignature.Header).Single(), Signed(body)));
            }), iter: 1);
        Assert.InRange(await requests.MemoryAsync() - memory, long.MinValue, WeChatTests.MostGrowthBytes);

        // The scheme signs names and values without what parts them.
        static string Signed(string text) => string.Concat(Form.Read(Encoding.UTF8.GetBytes(text))!.Fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => field.Key + field.Value));
    }
}
