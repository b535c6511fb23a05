using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Xunit;

namespace Huzhu.Tests.Integration;

/// <summary>One line of a table of access: a call, and what each caller is answered.</summary>
/// <param name="Operation">As the service describes it: <c>GET /v1/groups/{id}</c>.</param>
/// <param name="Of">What it is asked of, such as own, foreign or none, and after a space how; the test knows what that is.</param>
/// <param name="Expected">The statuses in the order of the callers; a dash where the call would do something, or not end.</param>
/// <param name="SeenAt">The operation at which one sees whether there is such a thing; without it, <c>GET</c> of the path up to its first id.</param>
internal sealed record AccessRow(string Operation, string Of, string Expected, string? SeenAt = null)
{
    public string Path => Operation.Split(' ')[1];
    public string Subject => Of.Split(' ')[0];
    public string Seen => SeenAt ?? $"GET {Path[..(Path.IndexOf('}', StringComparison.Ordinal) + 1)]}";
    public IReadOnlyList<string> Statuses => Expected.Split(' ');
}

/// <summary>What a service answered.</summary>
/// <param name="Body">Null when it is no JSON.</param>
/// <param name="Told">All that the answer tells, without where and when it was asked.</param>
internal sealed record AccessAnswer(int Status, JsonNode? Body, string Told);

/// <summary>
/// Who may see and do what at a service: every operation of its OpenAPI document is in the table, every caller is answered as
/// it says, and no refusal tells whether there is anything to be refused. <see cref="Acts"/> is about who has acted.
/// </summary>
internal sealed class AccessTable(Uri service)
{
    private static readonly HttpClient Http = new(new HttpClientHandler { AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(60) };

    /// <param name="callers">In the order of the table's columns, each with its token.</param>
    /// <param name="call">The address and the body of a row's call by a caller; asked anew for each.</param>
    public async Task HoldsAsync(IReadOnlyList<(string Name, string? Token)> callers, IReadOnlyList<AccessRow> rows, Func<AccessRow, string, (string Address, object? Body)> call)
    {
        Assert.Equal((await OperationsAsync()).Order(), rows.Select(row => row.Operation).Distinct().Order());
        Assert.All(rows, row => Assert.Equal(callers.Count, row.Statuses.Count));
        var wrong = new List<string>();
        var refusals = new List<(AccessRow Row, int Caller, int Status, string Told)>();
        foreach (var row in rows)
            for (var caller = 0; caller < callers.Count; caller++)
            {
                if (row.Statuses[caller] == "-")
                    continue;
                var (address, body) = call(row, callers[caller].Name);
                var answer = await SendAsync(row.Operation, address, callers[caller].Token, body);
                if (answer.Status.ToString(CultureInfo.InvariantCulture) != row.Statuses[caller])
                    wrong.Add($"{row.Operation} of {row.Of} by {callers[caller].Name}: {answer.Status} instead of {row.Statuses[caller]}: {answer.Told}");
                if (answer.Status is 401 or 403 or 404 or 410)
                    refusals.Add((row, caller, answer.Status, answer.Told));
            }
        // Whoever sees a thing may be told that there is none; to everybody else what is there and what is not must look alike.
        var seen = rows.SelectMany(row => row.Statuses.Select((status, caller) => (row.Operation, row.Subject, Caller: caller, Status: status)))
            .Where(one => one.Status == "200").Select(one => (one.Operation, one.Subject, one.Caller)).ToHashSet();
        foreach (var refused in refusals.GroupBy(one => (one.Row.Operation, one.Caller)))
            foreach (var alike in new[] { refused.Where(one => !seen.Contains((one.Row.Seen, one.Row.Subject, one.Caller))), refused.Where(one => one.Status == 403) })
            {
                if (alike.DistinctBy(one => (one.Status, one.Told)).ToList() is { Count: > 1 } different)
                    wrong.Add($"{refused.Key.Operation} tells {callers[refused.Key.Caller].Name} what there is: {string.Join("; ", different.Select(one => $"{one.Row.Of}: {one.Status} {one.Told}"))}");
            }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    /// <summary>Everything that the service says it can be asked, as <c>GET /v1/…</c>.</summary>
    public async Task<IReadOnlyList<string>> OperationsAsync()
    {
        var document = (await SendAsync("GET /openapi/v1.json", "/openapi/v1.json", token: null)).Body;
        return [.. document!["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject().Where(operation => operation.Value is JsonObject)
            .Select(operation => $"{operation.Key.ToUpperInvariant()} {path.Key.TrimEnd('/')}"))];
    }

    /// <param name="body">Null, what becomes JSON, or a content of another kind.</param>
    public async Task<AccessAnswer> SendAsync(string operation, string address, string? token, object? body = null, string? ifMatch = null, string? key = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(operation.Split(' ')[0]), new Uri(service, address));
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (ifMatch is not null)
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        if (key is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        request.Content = body is null ? null : body as HttpContent ?? JsonContent.Create(body, body.GetType());
        using var response = await Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        var json = text.Length > 0 && response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.Ordinal) == true ? JsonNode.Parse(text) : null;
        var told = json?.DeepClone();
        (told as JsonObject)?.Remove("instance");
        (told as JsonObject)?.Remove("traceId");
        var headers = response.Headers.Where(header => header.Key is not "Date").OrderBy(header => header.Key, StringComparer.Ordinal).Select(header => $"{header.Key}: {string.Join(", ", header.Value)}");
        return new AccessAnswer((int)response.StatusCode, json, $"{told?.ToJsonString() ?? text} ({string.Join("; ", headers)})");
    }
}

/// <summary>Acts at a service, each by a subject whose name is then looked for in its log.</summary>
/// <param name="eventsBy">How many events name the subject as who acted.</param>
internal sealed class Acts(AccessTable service, Func<string, Task<long>> eventsBy)
{
    private readonly HashSet<string> _acted = [];

    /// <summary>Acts, and sees that one more event names who did.</summary>
    public async Task<JsonNode?> ActAsync(string operation, string address, string subject, string? token, object? body = null, string? ifMatch = null, string? key = null)
    {
        var before = await eventsBy(subject);
        var answer = await service.SendAsync(operation, address, token, body, ifMatch, key);
        Assert.True(answer.Status is >= 200 and < 300, $"{operation} answered {answer.Status}: {answer.Told}");
        Assert.True(before + 1 == await eventsBy(subject), $"{subject} is not in the event of {operation}: {answer.Told}");
        _acted.Add(operation);
        return answer.Body;
    }

    /// <summary>Everything that can be done at the service has been done.</summary>
    /// <param name="unlogged">What leaves no event.</param>
    public async Task AreAllAsync(params string[] unlogged) => Assert.Equal(
        (await service.OperationsAsync()).Where(operation => !operation.StartsWith("GET ", StringComparison.Ordinal)).Except(unlogged).Order(), _acted.Order());
}
