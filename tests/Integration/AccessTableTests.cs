using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;
using Xunit.Sdk;

namespace Huzhu.Tests.Integration;

/// <summary>The table sees what is wrong with a service: shown with one that has three things, of which it keeps two to itself.</summary>
public sealed class AccessTableTests : IAsyncLifetime
{
    private const string Read = "GET /v1/things/{id}";
    private const string Change = "POST /v1/things/{id}";
    private readonly Dictionary<string, (int Status, string Words)> _answers = new()
    {
        [$"{Read} own"] = (200, "yours"),
        [$"{Read} foreign"] = (404, "There is none."),
        [$"{Read} none"] = (404, "There is none."),
        [$"{Change} own"] = (403, "It is not for you to change."),
        [$"{Change} none"] = (404, "There is none."),
    };
    private WebApplication _service = null!;

    private AccessTable Table => new(new Uri(_service.Urls.Single()));

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        _service = builder.Build();
        _service.Run(async http =>
        {
            var (status, words) = http.Request.Path == "/openapi/v1.json"
                ? (200, """{"paths": {"/v1/things/{id}": {"get": {}, "post": {}}}}""")
                : _answers[$"{http.Request.Method} /v1/things/{{id}} {http.Request.Path.Value!.Split('/')[^1]}"] is var (given, detail) ? (given, $$"""{"detail": "{{detail}}", "instance": "{{http.Request.Path}}"}""") : default;
            (http.Response.StatusCode, http.Response.ContentType) = (status, "application/problem+json");
            await http.Response.WriteAsync(words);
        });
        await _service.StartAsync();
    }

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task whoever_sees_a_thing_may_be_told_that_there_is_none_of_another()
    {
        await HoldsAsync(Expected());
        // To whoever does not see it, that is the difference between something and nothing.
        _answers[$"{Read} own"] = (403, "Not yours.");
        Assert.Contains($"{Change} tells somebody what there is", await FailureAsync(Expected()), StringComparison.Ordinal);
    }

    [Theory, InlineData(403, "There is none."), InlineData(404, "It is another's.")]
    public async Task a_refusal_that_tells_whether_there_is_anything_is_found(int status, string words)
    {
        _answers[$"{Read} foreign"] = (status, words);
        Assert.Contains($"{Read} tells somebody what there is", await FailureAsync(Expected()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task another_answer_than_expected_and_an_operation_that_is_not_in_the_table_are_found()
    {
        var rows = Expected();
        Assert.Contains(Change, await FailureAsync([.. rows.Where(row => row.Operation != Change)]), StringComparison.Ordinal);
        _answers[$"{Read} foreign"] = (200, "another's");
        Assert.Contains($"{Read} of foreign by somebody: 200 instead of 404", await FailureAsync(rows), StringComparison.Ordinal);
    }

    [Fact]
    public async Task an_act_without_its_subject_in_the_log_and_one_that_was_not_done_are_found()
    {
        _answers[$"{Change} own"] = (200, "changed");
        var events = 0;
        var silent = new Acts(Table, _ => Task.FromResult(0L));
        Assert.Contains("who is not in the event", (await Assert.ThrowsAnyAsync<XunitException>(() => silent.ActAsync(Change, "/v1/things/own", "who", "token"))).Message, StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<XunitException>(() => silent.AreAllAsync());
        await silent.AreAllAsync(Change);
        var logged = new Acts(Table, _ => Task.FromResult((long)events++));
        await logged.ActAsync(Change, "/v1/things/own", "who", "token");
        await logged.AreAllAsync();
    }

    private AccessRow[] Expected() => [.. _answers.Select(answer => new AccessRow(answer.Key[..answer.Key.LastIndexOf(' ')], answer.Key.Split(' ')[^1], $"{answer.Value.Status}"))];

    private Task HoldsAsync(IReadOnlyList<AccessRow> rows) => Table.HoldsAsync([("somebody", "token")], rows, (row, _) => ($"/v1/things/{row.Of}", null));

    private async Task<string> FailureAsync(IReadOnlyList<AccessRow> rows) => (await Assert.ThrowsAnyAsync<XunitException>(() => HoldsAsync(rows))).Message;
}
