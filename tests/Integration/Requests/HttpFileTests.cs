using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Huzhu.Local.Infrastructure;
using Huzhu.Requests.Channels.Hotline;
using Huzhu.Requests.Channels.WeChat;
using Xunit;

namespace Huzhu.Tests.Integration.Requests;

/// <summary>Every request of docs/integrators/front-ends.http is answered as the file says.</summary>
[Collection(RequestsCollection.Name)]
public sealed partial class HttpFileTests(RequestsFixture requests)
{
    [Fact]
    public async Task every_request_is_answered_as_the_file_says()
    {
        var timestamp = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var record = """{"callId":"c-http-1","from":"+8613800000002","outcome":"missed"}""";
        var text = (await File.ReadAllTextAsync(Path.Combine(Repository.Find().Root, "docs", "integrators", "front-ends.http")))
            // The fixture's account with these keys has another name.
            .Replace("/channels/wechat/main", "/channels/wechat/aes", StringComparison.Ordinal)
            .Replace("{{requests}}", requests.Process().BaseAddress.AbsoluteUri.TrimEnd('/'), StringComparison.Ordinal)
            .Replace("{{timestamp}}", timestamp.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{{signature}}", WeChatCrypto.Sign(WeChatCaller.Token, timestamp.ToString(CultureInfo.InvariantCulture), "1372623149"), StringComparison.Ordinal)
            .Replace("{{recordSignature}}", RecordSignature.Sign("a-secret-of-at-least-16-bytes"u8.ToArray(), timestamp, Encoding.UTF8.GetBytes(record)).Split("v1=")[1], StringComparison.Ordinal);
        using var http = new HttpClient();
        var answered = 0;
        foreach (Match match in Request().Matches(text))
        {
            var (title, expected) = (match.Groups["title"].Value, int.Parse(match.Groups["status"].Value, CultureInfo.InvariantCulture));
            using var request = new HttpRequestMessage(new HttpMethod(match.Groups["method"].Value), match.Groups["address"].Value);
            if (request.Method == HttpMethod.Post)
                request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(match.Groups["body"].Value.Trim()));
            foreach (var header in match.Groups["headers"].Value.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(": ", 2)))
                if (!request.Headers.TryAddWithoutValidation(header[0], header[1]))
                    request.Content!.Headers.TryAddWithoutValidation(header[0], header[1]);
            using var response = await http.SendAsync(request);
            Assert.True(expected == (int)response.StatusCode, $"\"{title}\" was answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
            answered++;
        }
        Assert.Equal(Title().Count(text), answered);
    }

    [GeneratedRegex(@"^### (?<title>.+)\n# (?<status>\d{3})\n(?<method>GET|POST) (?<address>\S+)\n(?<headers>(?:[A-Za-z-]+: .+\n)*)(?:\n(?<body>(?!###).+)\n)?", RegexOptions.Multiline)]
    private static partial Regex Request();

    [GeneratedRegex("^### ", RegexOptions.Multiline)]
    private static partial Regex Title();
}
