using System.Text.Json;
using Huzhu.Contracts;

namespace Huzhu.Local.Scenarios;

/// <summary>
/// The people who call for help, through a hotline that submits for them: they call, complete what was missing, call
/// again, change their mind, and say afterwards whether the help came.
/// </summary>
public sealed class Callers
{
    const string Source = "hotline-demo";
    const double CompletesAfterDays = 0.5;
    const double WebhookShare = 0.05;

    readonly Scenario _scenario;
    readonly Agenda _agenda;
    readonly ServiceCalls _calls;
    readonly AcceptedCalls _accepted;
    readonly NeedBook _book;
    readonly Uri _requests;
    readonly string _token;
    readonly string _callersAddress;
    int _submitted, _helped;

    /// <param name="callersAddress">Where messages to callers with a webhook go.</param>
    public Callers(Scenario scenario, Agenda agenda, ServiceCalls calls, AcceptedCalls accepted, NeedBook book, Uri requests, string token, string callersAddress)
    {
        (_scenario, _agenda, _calls, _accepted, _book) = (scenario, agenda, calls, accepted, book);
        (_requests, _token, _callersAddress) = (requests, token, callersAddress);
        book.OnHelped += AfterHelp;
    }

    public int NeedsSubmitted => Volatile.Read(ref _submitted);
    public int NeedsHelped => Volatile.Read(ref _helped);

    public void PutOnAgenda()
    {
        foreach (var request in _scenario.Requests)
            _agenda.At(_scenario.Calendar.SecondsAt(request.ArrivalDay), cancellation => SubmitAsync(request, cancellation));
    }

    async Task SubmitAsync(ScenarioRequest request, CancellationToken cancellation)
    {
        var answer = await _calls.MustAsync(HttpMethod.Post, new Uri(_requests, "v1/requests"), _token, Body(request, request.Missing), cancellation,
            idempotencyKey: $"{_scenario.Name}-{_scenario.Seed}-{request.Key}");
        var id = answer.Body.GetProperty("requestId").GetGuid();
        var needs = answer.Body.GetProperty("needs").EnumerateArray().Select(need => need.GetProperty("needId").GetGuid()).ToList();
        if (needs.Count != request.Needs.Count)
            throw new ServiceCallException($"The submission of {request.Key} has {request.Needs.Count} needs and was answered with {needs.Count}.");
        _accepted.Add(new AcceptedCall(Call.Submit, id, needs, request.Key, DateTimeOffset.UtcNow));
        for (var index = 0; index < needs.Count; index++)
            _book.Add(new BookedNeed(needs[index], id, request, index));
        Interlocked.Add(ref _submitted, needs.Count);

        if (request.Missing is not MissingPart.Nothing)
            AfterDays(CompletesAfterDays, token => CompleteAsync(request, id, token));
        if (request.CancelAfterDays is { } days)
            AfterDays(days, token => CancelAsync(id, needs[0], token));
    }

    object Body(ScenarioRequest request, MissingPart missing)
    {
        var at = DateTimeOffset.UtcNow.ToString("O");
        // No voice comes out of a file: who needs to be called is called by the front end, and others sometimes too.
        var byWebhook = request.Communication.Contains(CommunicationNeed.VoiceOnly) || Seeded.Unit(_scenario.Seed, $"webhook {request.Key}") < WebhookShare;
        object channel = byWebhook ? new { kind = "webhook", address = _callersAddress } : new { kind = "file", address = "callers" };
        var caller = new { @ref = request.ByProxy ? $"proxy-of-{request.PersonRef}" : request.PersonRef, name = $"Caller {request.Key}", phone = "+8613800000000", channels = new[] { channel } };
        return new
        {
            source = Source,
            externalId = request.Key,
            channel = "phone",
            receivedAt = at,
            caller,
            onBehalfOf = request.ByProxy ? new { @ref = request.PersonRef, name = $"Person {request.PersonRef}" } : null,
            location = missing is MissingPart.Location ? null : new { lat = request.Place.Latitude, lon = request.Place.Longitude, subDistrict = request.SubDistrict },
            needs = request.Needs.Select(need => new { kind = need.Kind, mode = Words.Of(need.Mode), quantity = need.Quantity, note = need.Note }),
            urgency = Words.Of(request.Urgency),
            communication = request.Communication.Select(need => Words.Of(need)),
            ownGroupId = request.OwnGroupId,
            consent = missing is MissingPart.Consent ? null : new { basis = "explicit", at },
            callbackOk = true,
        };
    }

    async Task CompleteAsync(ScenarioRequest request, Guid id, CancellationToken cancellation)
    {
        object part = request.Missing is MissingPart.Location
            ? new { location = new { lat = request.Place.Latitude, lon = request.Place.Longitude, subDistrict = request.SubDistrict } }
            : new { consent = new { basis = "explicit", at = DateTimeOffset.UtcNow.ToString("O") } };
        await SayAsync(HttpMethod.Patch, Call.CompleteIntake, id, null, part, cancellation);
    }

    Task CancelAsync(Guid id, Guid need, CancellationToken cancellation) =>
        SayAsync(HttpMethod.Post, Call.Cancel, id, need, new { reason = "helped-otherwise", needId = need }, cancellation);

    void AfterHelp(BookedNeed need, Guid responder)
    {
        need.TimesHelped++;
        if (need.TimesHelped == 1)
            Interlocked.Increment(ref _helped);
        var soon = 0.2 + Seeded.Unit(_scenario.Seed, $"after {need.Key}");
        switch (need.Request.AfterHelp)
        {
            case Scenarios.AfterHelp.Confirms:
            case Scenarios.AfterHelp.Disputes when need.TimesHelped > 1:
                AfterDays(soon, token => SayAsync(HttpMethod.Post, Call.Confirm, need.RequestId, need.Id, new { needId = need.Id }, token));
                break;
            case Scenarios.AfterHelp.Disputes:
                AfterDays(soon, async token =>
                {
                    need.WantedAgain();
                    await SayAsync(HttpMethod.Post, Call.Dispute, need.RequestId, need.Id, new { reason = "not-delivered", needId = need.Id }, token);
                });
                break;
            case Scenarios.AfterHelp.RaisesConcern:
                AfterDays(soon, token => SayAsync(HttpMethod.Post, Call.Concern, need.RequestId, need.Id,
                    new { reason = "unsafe", needId = need.Id, responderId = responder }, token));
                break;
            case Scenarios.AfterHelp.Silent:
                break;
        }
    }

    /// <summary>A 409 is no error here: the world moved on before the word arrived.</summary>
    async Task SayAsync(HttpMethod method, Call call, Guid request, Guid? need, object body, CancellationToken cancellation)
    {
        var address = call is Call.CompleteIntake ? $"v1/requests/{request}" : $"v1/requests/{request}/{call.ToString().ToLowerInvariant()}";
        var answer = await _calls.SendAsync(method, new Uri(_requests, address), _token, body, cancellation);
        if (answer.IsSuccess)
            _accepted.Add(new AcceptedCall(call, request, need is { } one ? [one] : [], "", DateTimeOffset.UtcNow));
        else if (answer.Status != System.Net.HttpStatusCode.Conflict)
            throw new ServiceCallException($"{call} of the request {request} was answered {(int)answer.Status}: {answer.Body}");
    }

    void AfterDays(double days, Func<CancellationToken, Task> act) =>
        _agenda.At(_scenario.Calendar.SecondsAt(_scenario.Calendar.DayAt(_agenda.Now) + days), act);
}
