using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

/// <summary>
/// Who may see and do what at Notifications, as a table of callers and calls; and that whoever acts is in the log. The links
/// that it sends open things at Matching and Requests; here nothing opens without a token.
/// </summary>
[Collection(NotificationsCollection.Name)]
public sealed class AccessTests(NotificationsFixture fixture) : IAsyncDisposable
{
    private const string Deliveries = "/v1/subscriptions/{id}/deliveries";

    // What nobody, the owner, another owner, a coordinator and a responder's system with the owner's name, the operator, auditor,
    // service, one without a role and an operator without a name are answered.
    private const string Centre = "401 403 403 403 403 200 200 403 403 401";
    private const string NoneCentre = "401 403 403 403 403 404 404 403 403 401";
    private const string Own = "401 200 404 403 403 200 403 403 403 401";
    private const string OwnUnasked = "401 - 404 403 403 - 403 403 403 401";
    private const string None = "401 404 404 403 403 404 403 403 403 401";

    /// <summary>Own is the owner's subscription, ended one that was its own, and none does not exist.</summary>
    private static readonly AccessRow[] Table =
    [
        new("GET /v1/notifications", "own", Centre),
        new("GET /v1/notifications", "none", Centre),
        new("GET /v1/notifications/{id}", "own", Centre),
        new("GET /v1/notifications/{id}", "subscription", NoneCentre),
        new("GET /v1/notifications/{id}", "none", NoneCentre),
        new("POST /v1/subscriptions", "", "401 422 422 403 403 422 403 403 403 401"),
        new("GET /v1/subscriptions", "", "401 200 200 403 403 200 403 403 403 401"),
        .. Managed("GET /v1/subscriptions/{id}", Own),
        .. Managed("PATCH /v1/subscriptions/{id}", Own),
        .. Managed("DELETE /v1/subscriptions/{id}", OwnUnasked),
        .. Managed("POST /v1/subscriptions/{id}/secret", Own),
        .. Managed($"GET {Deliveries}", Own),
        .. Managed($"POST {Deliveries}/{{deliveryId}}/redeliver", OwnUnasked),
        // Under its own subscription an owner finds its own deliveries alone.
        new($"POST {Deliveries}/{{deliveryId}}/redeliver", "own another's-delivery", None),
        new($"POST {Deliveries}/{{deliveryId}}/redeliver", "own no-delivery", None),
        new("POST /v1/answers", "", "401 403 403 403 403 403 403 200 403 401"),
        new("POST /v1/replies", "", "401 403 403 403 403 403 403 422 403 401"),
    ];

    private readonly string _owner = $"desk-{Guid.NewGuid():N}";
    private readonly string _another = $"desk-{Guid.NewGuid():N}";

    private AccessTable Service => new(fixture.Service.BaseAddress);

    /// <summary>A subscription that stays would hear of the other tests' needs, and be counted there.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var owner in new[] { _owner, _another })
            foreach (var left in (await Service.SendAsync("GET", "/v1/subscriptions", Token(owner))).Body!["items"]!.AsArray())
                await Service.SendAsync("DELETE", $"/v1/subscriptions/{left!["id"]}", Token(owner));
    }

    [Fact]
    public async Task a_subscription_is_there_for_its_owner_and_the_centre_and_what_was_sent_for_the_centre_alone()
    {
        var (subscription, foreign, ended) = (await SubscribeAsync(_owner), await SubscribeAsync(_another), await SubscribeAsync(_owner));
        Assert.Equal(204, (await Service.SendAsync("DELETE", $"/v1/subscriptions/{ended}", Token(_owner))).Status);
        var need = await TellAsync();
        var (delivery, anothers) = (await DeliveredAsync(subscription, _owner), await DeliveredAsync(foreign, _another));
        await Service.HoldsAsync(
        [
            ("nobody", null),
            ("the owner", Token(_owner)),
            ("another owner", Token(_another)),
            ("coordinator", Token(_owner, Roles.Coordinator)),
            ("responder", Token(_owner, Roles.Responder)),
            ("operator", Token("op", Roles.Operator)),
            ("auditor", Token(_owner, Roles.Auditor)),
            ("service", Token(_owner, Roles.Service)),
            ("one without a role", fixture.Host.Token(_owner, [])),
            ("one without a name", Token("", Roles.Operator)),
        ], Table, (row, _) =>
        {
            var isNotification = row.Path.StartsWith("/v1/notifications", StringComparison.Ordinal);
            var id = row.Subject switch
            {
                "own" when isNotification => delivery,
                "own" or "subscription" => subscription,
                "ended" => ended,
                _ => Guid.NewGuid(),
            };
            var asked = row.Of.EndsWith("another's-delivery", StringComparison.Ordinal) ? anothers : row.Of is "own" or "ended" ? delivery : Guid.NewGuid();
            var address = row.Path.Replace("{id}", $"{id}", StringComparison.Ordinal).Replace("{deliveryId}", $"{asked}", StringComparison.Ordinal);
            return (row.Path == "/v1/notifications" ? $"{address}?needId={(row.Of == "own" ? need.Value : Guid.NewGuid())}" : address, row.Operation switch
            {
                "POST /v1/subscriptions" => new { url = "no address" },
                "PATCH /v1/subscriptions/{id}" or "POST /v1/subscriptions/{id}/secret" => new { },
                // A number that nobody was told.
                "POST /v1/answers" => new { source = "wechat.w", @ref = $"{Guid.NewGuid()}", verb = "accept", number = 17, messageKey = "m", since = (DateTimeOffset?)null },
                "POST /v1/replies" => new { id = Guid.NewGuid(), kind = "no-channel", address = "nowhere", language = "en", text = "Thank you." },
                _ => null,
            });
        });
    }

    [Fact]
    public async Task the_subject_of_every_act_at_notifications_is_in_its_event()
    {
        var acts = new Acts(Service, async subject =>
        {
            await using var command = fixture.Sql.CreateCommand($"select count(*) from huzhu.mt_events where '{subject}' in (data ->> 'by', data ->> 'owner')");
            return (long)(await command.ExecuteScalarAsync())!;
        });
        Task ActAsync(string operation, string address, string subject, object? body) => acts.ActAsync(operation, address, subject, Token(subject, Roles.Operator), body);

        var created = await acts.ActAsync("POST /v1/subscriptions", "/v1/subscriptions", _owner, Token(_owner), new { url = fixture.Receiver.Address + $"/subscriber/{_owner}" });
        var (id, path) = ((Guid)created!["id"]!, $"/v1/subscriptions/{created["id"]}");
        await TellAsync();
        var delivery = await DeliveredAsync(id, _owner);
        await ActAsync($"POST {Deliveries}/{{deliveryId}}/redeliver", $"{path}/deliveries/{delivery}/redeliver", $"again-{id}", null);
        await ActAsync("PATCH /v1/subscriptions/{id}", path, $"names-{id}", new { description = "another" });
        await ActAsync("PATCH /v1/subscriptions/{id}", path, $"switches-off-{id}", new { enabled = false });
        await ActAsync("PATCH /v1/subscriptions/{id}", path, $"switches-on-{id}", new { enabled = true });
        await ActAsync("POST /v1/subscriptions/{id}/secret", $"{path}/secret", $"rotates-{id}", new { });
        await ActAsync("DELETE /v1/subscriptions/{id}", path, $"ends-{id}", null);

        // Requests brings both for people without a token: an answer is in the log of Matching, as one by the offer's link, and of a
        // late answer to a person nothing is kept.
        await acts.AreAllAsync("POST /v1/answers", "POST /v1/replies");
    }

    private static IEnumerable<AccessRow> Managed(string operation, string own) => [new(operation, "own", own), new(operation, "ended", None), new(operation, "none", None)];

    private string Token(string subject, string role = Roles.Intake) => fixture.Host.Token(subject, [role]);

    private async Task<Guid> SubscribeAsync(string owner)
    {
        var answer = await Service.SendAsync("POST", "/v1/subscriptions", Token(owner), new { url = fixture.Receiver.Address + $"/subscriber/{Guid.NewGuid():N}" });
        Assert.True(answer.Status == 201, answer.Told);
        return (Guid)answer.Body!["id"]!;
    }

    /// <summary>Something happens of which every subscription hears.</summary>
    private async Task<NeedId> TellAsync()
    {
        // Within a second every replica knows of a subscription.
        await Task.Delay(1100, TestContext.Current.CancellationToken);
        var given = new Case(fixture);
        await fixture.TellAsync(given.State(NeedState.Offered));
        return given.Need;
    }

    private async Task<Guid> DeliveredAsync(Guid subscription, string owner)
    {
        JsonNode? delivery = null;
        await Eventually.BecomesAsync(async () =>
        {
            delivery = (await Service.SendAsync("GET", $"/v1/subscriptions/{subscription}/deliveries", Token(owner))).Body!["items"]!.AsArray().FirstOrDefault();
            return (string?)delivery?["status"] == "delivered";
        }, () => $"the subscriber hears of it: {delivery?.ToJsonString()}");
        return (Guid)delivery!["id"]!;
    }
}
