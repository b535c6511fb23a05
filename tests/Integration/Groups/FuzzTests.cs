using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>
/// What comes from outside, spoiled in every way that chance finds: alerts and CloudEvents. <c>HUZHU_FUZZ</c> says how many
/// of each, 1,500 unless told otherwise.
/// </summary>
public sealed class FuzzTests(Servers servers)
{
    private static readonly int Count = int.Parse(Environment.GetEnvironmentVariable("HUZHU_FUZZ") ?? "1500", CultureInfo.InvariantCulture);
    private const int AtOnce = 8;

    [Fact]
    public async Task spoiled_alerts_and_events_get_an_answer_that_is_no_error_of_ours_and_nothing_is_fetched()
    {
        // Whoever follows an address in a document comes here.
        using var trap = new TcpListener(IPAddress.Loopback, 0);
        trap.Start();
        var address = $"http://127.0.0.1:{((IPEndPoint)trap.LocalEndpoint).Port}/x";
        await using var groups = await GroupsService.StartAsync(servers);
        var provider = await groups.ProviderAsync(Places.Outside);

        var alerts = Alerts(provider, address).Select(Encoding.UTF8.GetBytes).ToArray();
        var events = Events(provider).Select(Encoding.UTF8.GetBytes).ToArray();
        var answers = new ConcurrentDictionary<(string Path, int Status), int>();
        await Parallel.ForAsync(0, Count * 2, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = TestContext.Current.CancellationToken }, async (number, _) =>
        {
            var random = new Random(number);
            var isAlert = number % 2 == 0;
            var body = Spoil(isAlert ? alerts[random.Next(alerts.Length)] : events[random.Next(events.Length)], address, random);
            var content = new ByteArrayContent(body);
            content.Headers.TryAddWithoutValidation("Content-Type", isAlert ? "application/cap+xml" : random.Next(3) == 0 ? "application/json" : "application/cloudevents+json");
            var answer = await groups.SendAsync(HttpMethod.Post, isAlert ? "/v1/cap" : "/v1/provider-events", groups.Operator, content, with: request =>
            {
                if (!isAlert && random.Next(3) == 0)
                    Binary(request, provider, address, random);
            });
            answers.AddOrUpdate((isAlert ? "cap" : "event", (int)answer.Status), 1, (_, count) => count + 1);
            Assert.True((int)answer.Status is 200 or 400 or 404 or 409 or 415 or 422, $"Number {number} was answered {answer.Status}: {Convert.ToBase64String(body)}");
            if ((int)answer.Status >= 400)
                Assert.NotNull(answer.Code);
        });
        // Chance spoils some of everything and leaves some of everything right, or this would prove nothing.
        Assert.All(new[] { ("cap", 200), ("cap", 400), ("cap", 422), ("event", 200), ("event", 400) }, kind => Assert.True(answers.ContainsKey(kind), $"{kind} is among the answers"));
        Assert.False(trap.Pending(), "nothing was fetched");
        Assert.NotEqual("", await groups.OpeningOfAsync(provider));
    }

    private static string[] Alerts(Guid provider, string address) =>
    [
        new City(50, 60).Alert("1", new City(50, 60).WestHalf),
        new City(50, 60).Alert("2", new City(50, 60).EastHalf + "<circle>50.2,60.2 3</circle>", type: "Update", references: new City(50, 60).Reference("1")),
        new City(50, 60).Alert("3", "", status: "Exercise", parameters: [("huzhu:provider", provider.ToString())]),
        new City(50, 60).Alert("4", "", parameters: [("huzhu:provider", provider.ToString())]),
        $"""
        <?xml version="1.0" encoding="utf-8"?><!DOCTYPE alert PUBLIC "-//A/B/EN" "{address}" [<!ENTITY % remote SYSTEM "{address}"><!ENTITY xxe SYSTEM "file:///etc/passwd">%remote;]>
        <alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>&xxe;</identifier></alert>
        """,
        $"""
        <?xml version="1.0" encoding="utf-8"?><?xml-stylesheet type="text/xsl" href="{address}"?>
        <alert xmlns="urn:oasis:names:tc:emergency:cap:1.2" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a {address}"
        xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{address}"/><identifier>1</identifier></alert>
        """,
    ];

    private static string[] Events(Guid provider) =>
    [
        $$"""{"specversion":"1.0","id":"f-1","source":"//fuzz","type":"org.huzhu.provider.closed.v1","subject":"{{provider}}","time":"2022-04-01T08:00:00Z","datacontenttype":"application/json","data":{"reason":"flood","from":"2022-04-01T08:00:00+08:00","until":"2036-01-01T00:00:00Z"} }""",
        $$"""{"specversion":"1.0","id":"f-2","source":"//fuzz","type":"org.huzhu.provider.reopened.v1","subject":"{{provider}}","data":{"reason":"dry"} }""",
        """{"reason":"flood","from":null}""",
    ];

    private static void Binary(HttpRequestMessage request, Guid provider, string address, Random random)
    {
        string[] values = ["1.0", "org.huzhu.provider.closed.v1", provider.ToString(), address, "", "%00", "%zz", "2022-04-01T08:00:00Z", new string('a', 600)];
        request.Content!.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        foreach (var (name, right) in new[] { ("specversion", "1.0"), ("id", $"b-{random.Next()}"), ("source", "//fuzz"), ("type", values[1]), ("subject", values[2]), ("time", values[7]) })
            request.Headers.TryAddWithoutValidation($"ce-{name}", random.Next(6) == 0 ? values[random.Next(values.Length)] : right);
    }

    /// <summary>None to four of: a byte changed, a piece cut out, doubled, moved, or something nasty put in.</summary>
    private static byte[] Spoil(byte[] right, string address, Random random)
    {
        string[] nasty =
        [
            "<!DOCTYPE a SYSTEM \"" + address + "\">", "&xxe;", "&#0;", "&#x10FFFF;", "&lt;", "<![CDATA[", "]]>", "<!--", "<a>", "</alert>", "\0", "\uFFFF", "\"", "{", "}", "[[[[", "\\u0000", "\\ud800",
            "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "-1", "1e400", "NaN", "90,180", "90.1,180.1", " 31.2,121.4", new string('9', 400), string.Concat(Enumerable.Repeat("<a>", 200)),
            "encoding=\"utf-7\"", "encoding=\"utf-16\"", address, "null", "true", "Exercise", "Cancel", "封控",
        ];
        var body = right.ToList();
        for (var times = random.Next(5); times > 0 && body.Count > 0; times--)
        {
            var at = random.Next(body.Count);
            var length = Math.Min(random.Next(1, 60), body.Count - at);
            var piece = body.GetRange(at, length);
            switch (random.Next(6))
            {
                case 0:
                    body[at] = (byte)random.Next(256);
                    break;
                case 1:
                    body.RemoveRange(at, length);
                    break;
                case 2:
                    body.InsertRange(at, piece);
                    break;
                case 3:
                    body.RemoveRange(at, length);
                    body.InsertRange(random.Next(body.Count + 1), piece);
                    break;
                default:
                    body.InsertRange(at, Encoding.UTF8.GetBytes(nasty[random.Next(nasty.Length)]));
                    break;
            }
        }
        return [.. body];
    }
}
