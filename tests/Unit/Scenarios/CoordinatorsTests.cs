using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Local.Scenarios;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Huzhu.Tests.Unit.Scenarios;

/// <summary>The coordinators over real HTTP; what stands behind the offer's links only notes who knocked.</summary>
public sealed class CoordinatorsTests : IAsyncLifetime
{
    static readonly Guid Responder = Guid.NewGuid(), Need = Guid.NewGuid();
    static readonly CancellationToken Cancellation = TestContext.Current.CancellationToken;

    readonly string _file = Path.GetTempFileName();
    readonly ConcurrentQueue<string> _answers = new();
    readonly HttpClient _http = new();
    readonly CancellationTokenSource _end = new();
    readonly ServiceCalls _calls = new();
    readonly NeedBook _book = new();
    WebApplication _matching = null!;
    Agenda _agenda = null!;
    AcceptedCalls _accepted = null!;
    Coordinators _coordinators = null!;
    Task _acting = null!;
    HttpStatusCode _status = HttpStatusCode.OK;

    static Scenario Story(Behaviour behaviour) => new("test", "", 1, new Calendar(DateTimeOffset.UtcNow, 10, 10, 10, 10, 0.1, 0.1, 7), behaviour, [],
        [new ScenarioResponder(Responder, false, "", "", "J", [new ScenarioSite(new GeoPoint(31.22, 121.44), "J")], null, [], [ServiceKinds.Meals], [DeliveryMode.Offline], [], 1, false, null)],
        [Request], null, [], []);

    static ScenarioRequest Request => new("call-1", 0, "p", false, new GeoPoint(31.22, 121.44), "J", Urgency.Health, [], [new ScenarioNeed(ServiceKinds.Meals, DeliveryMode.Offline, 1, 1, "")]);

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _matching = builder.Build();
        _matching.MapPost("/v1/offers/{offer}/{answer}", (string answer, HttpContext http) =>
        {
            _answers.Enqueue(answer);
            http.Response.StatusCode = (int)_status;
        });
        await _matching.StartAsync(Cancellation);
    }

    async Task StartAsync(Behaviour behaviour)
    {
        _agenda = new Agenda();
        _accepted = new AcceptedCalls(_file);
        _coordinators = await Coordinators.StartAsync(Story(behaviour), _agenda, _calls, _accepted, _book, Cancellation);
        _book.Add(new BookedNeed(Need, Guid.NewGuid(), Request, 0));
        _acting = _agenda.RunAsync(_end.Token);
    }

    static Behaviour Willing => new(0, 0, 0, 0, 0, 0, 0.01, 0.02);

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        if (_coordinators is not null)
            await _coordinators.DisposeAsync();
        await _matching.DisposeAsync();
        _accepted?.Dispose();
        _calls.Dispose();
        _http.Dispose();
        _end.Dispose();
        File.Delete(_file);
    }

    async Task<HttpStatusCode> SendAsync(string type, Guid offer, string? secret = null, string? id = null, DateTimeOffset? at = null, int lifeSeconds = 1)
    {
        var (address, own) = _coordinators.ChannelOf(Story(Willing).Responders[0]);
        var links = new[] { "accept", "decline", "start", "complete", "release" }.ToDictionary(answer => answer, answer => $"{_matching.Urls.First()}/v1/offers/{offer}/{answer}?key=k");
        var body = JsonSerializer.SerializeToUtf8Bytes(new { type, subject = Need, data = new { offerId = offer, needId = Need, expiresAt = DateTimeOffset.UtcNow.AddSeconds(lifeSeconds), links } });
        var (messageId, sentAt) = (id ?? Guid.NewGuid().ToString(), (at ?? DateTimeOffset.UtcNow).ToUnixTimeSeconds());
        var key = Convert.FromBase64String((secret ?? own)["whsec_".Length..]);
        var signature = Convert.ToBase64String(HMACSHA256.HashData(key, (byte[])[.. Encoding.UTF8.GetBytes($"{messageId}.{sentAt}."), .. body]));
        using var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = new ByteArrayContent(body) };
        request.Headers.Add("webhook-id", messageId);
        request.Headers.Add("webhook-timestamp", $"{sentAt}");
        request.Headers.Add("webhook-signature", $"v1,{signature}");
        using var response = await _http.SendAsync(request, Cancellation);
        return response.StatusCode;
    }

    async Task UntilAsync(Func<bool> holds, string what)
    {
        for (var attempt = 0; attempt < 500 && !holds(); attempt++)
            await Task.Delay(20, Cancellation);
        Assert.True(holds(), $"{what}; answers: {string.Join(", ", _answers)}");
    }

    [Fact]
    public async Task an_offer_is_accepted_begun_and_completed_through_its_links()
    {
        await StartAsync(Willing);
        BookedNeed? helped = null;
        _book.OnHelped += (need, _) => helped = need;
        Assert.Equal(HttpStatusCode.NoContent, await SendAsync("org.huzhu.offer.made.v1", Guid.NewGuid()));
        await UntilAsync(() => helped is not null, "help is done");
        Assert.Equal(["accept", "start", "complete"], _answers);
        Assert.Equal(Need, helped!.Id);
        _accepted.Dispose();
        Assert.Equal([Call.Accept, Call.Start, Call.Complete], AcceptedCalls.Read(_file).Select(call => call.Call));
    }

    [Fact]
    public async Task a_message_with_a_wrong_signature_or_an_old_one_is_turned_away()
    {
        await StartAsync(Willing);
        Assert.Equal(HttpStatusCode.Unauthorized, await SendAsync("org.huzhu.offer.made.v1", Guid.NewGuid(), secret: $"whsec_{Convert.ToBase64String(new byte[32])}"));
        Assert.Equal(HttpStatusCode.Unauthorized, await SendAsync("org.huzhu.offer.made.v1", Guid.NewGuid(), at: DateTimeOffset.UtcNow.AddMinutes(-6)));
        Assert.Equal(2, _coordinators.Messages.BadSignature);
        await Task.Delay(200, Cancellation);
        Assert.Empty(_answers);
    }

    [Fact]
    public async Task a_message_that_comes_twice_is_answered_once()
    {
        await StartAsync(Willing);
        var (offer, id) = (Guid.NewGuid(), Guid.NewGuid().ToString());
        await SendAsync("org.huzhu.offer.made.v1", offer, id: id);
        Assert.Equal(HttpStatusCode.NoContent, await SendAsync("org.huzhu.offer.made.v1", offer, id: id));
        await SendAsync("org.huzhu.offer.made.v1", offer);
        await UntilAsync(() => _answers.Contains("complete"), "help is done");
        Assert.Single(_answers, answer => answer == "accept");
        Assert.Equal(1, _coordinators.Messages.Repeated);
    }

    [Fact]
    public async Task an_offer_that_has_ended_before_it_is_considered_is_left_alone()
    {
        await StartAsync(Willing);
        var offer = Guid.NewGuid();
        await SendAsync("org.huzhu.offer.ended.v1", offer);
        await SendAsync("org.huzhu.offer.made.v1", offer);
        await Task.Delay(300, Cancellation);
        Assert.Empty(_answers);
    }

    [Fact]
    public async Task help_stops_when_the_offer_is_taken_away_and_goes_on_where_it_stopped()
    {
        await StartAsync(Willing);
        Assert.True(_book.TryFind(Need, out var need));
        var offer = Guid.NewGuid();
        await SendAsync("org.huzhu.offer.made.v1", offer);
        await UntilAsync(() => _coordinators.InHand == 1, "help is in hand");
        await SendAsync("org.huzhu.offer.ended.v1", offer);
        await UntilAsync(() => _coordinators.InHand == 0, "help has stopped");
        Assert.True(need.WorkLeftDays < 1, $"{need.WorkLeftDays} days of work are left");
        await Task.Delay(300, Cancellation);
        Assert.DoesNotContain("complete", _answers);
    }

    [Fact]
    public async Task a_silent_coordinator_answers_nothing_and_stays_on_the_agenda_until_the_offer_is_over()
    {
        await StartAsync(Willing with { GroupSilent = 1 });
        await SendAsync("org.huzhu.offer.made.v1", Guid.NewGuid(), lifeSeconds: 4);
        await UntilAsync(() => _agenda.Pending == 1, "it is silent");
        await UntilAsync(() => _agenda.Pending == 0, "the silence is over");
        Assert.Empty(_answers);
    }

    [Fact]
    public async Task a_coordinator_that_declines_says_so_once()
    {
        await StartAsync(Willing with { GroupDeclines = 1 });
        await SendAsync("org.huzhu.offer.made.v1", Guid.NewGuid());
        await UntilAsync(() => !_answers.IsEmpty && _agenda.Pending == 0, "it is declined");
        Assert.Equal(["decline"], _answers);
    }

    [Fact]
    public async Task a_place_that_was_filled_by_another_is_no_error()
    {
        _status = HttpStatusCode.Conflict;
        await StartAsync(Willing);
        await SendAsync("org.huzhu.offer.made.v1", Guid.NewGuid());
        await UntilAsync(() => _answers.Contains("accept") && _agenda.Pending == 0, "it is answered");
        Assert.False(_acting.IsFaulted);
        _accepted.Dispose();
        Assert.Empty(AcceptedCalls.Read(_file));
    }

    [Fact]
    public async Task an_answer_that_is_refused_for_any_other_reason_ends_the_run()
    {
        _status = HttpStatusCode.Forbidden;
        await StartAsync(Willing);
        await SendAsync("org.huzhu.offer.made.v1", Guid.NewGuid());
        var failure = await Assert.ThrowsAsync<ServiceCallException>(() => _acting.WaitAsync(TimeSpan.FromSeconds(20), Cancellation));
        Assert.Contains("403", failure.Message);
    }
}
