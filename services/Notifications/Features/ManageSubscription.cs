using System.Security.Claims;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Notifications.Features;

/// <summary>A subscription as a client sends it. In a change, what is left out stays as it is.</summary>
public sealed record SubscriptionBody(
    string? Url = null, string? Secret = null, IReadOnlyList<string?>? Types = null, IReadOnlyList<string?>? States = null,
    IReadOnlyList<string?>? Kinds = null, IReadOnlyList<string?>? SubDistricts = null, string? Description = null, bool? Enabled = null,
    IReadOnlyList<string?>? Sources = null);

public sealed record SecretBody(string? Secret = null);

/// <param name="Secret">Told once: when it is made.</param>
/// <param name="OldSecretUntil">Until when messages are signed with the secret before this one too.</param>
/// <param name="DisabledBecause">gone (the receiver answered 410), failing (a delivery failed on its last try), too-many-waiting, by-hand.</param>
public sealed record SubscriptionResource(
    Guid Id, long Version, string Owner, string Url, IReadOnlyList<string> Types, IReadOnlyList<string> States, IReadOnlyList<string> Kinds,
    IReadOnlyList<string> SubDistricts, string? Description, bool Enabled, string? DisabledBecause, DateTimeOffset CreatedAt,
    DateTimeOffset? OldSecretUntil = null, string? Secret = null, IReadOnlyList<string>? Sources = null)
{
    public static SubscriptionResource Of(SubscriptionView view, SubscriptionTarget? target, DateTimeOffset now)
    {
        var subscription = view.Subscription;
        var filter = subscription.Filter;
        return new(view.Id, view.Version, subscription.Owner, target?.Url ?? "", filter.Types, filter.States, filter.Kinds, filter.SubDistricts,
            subscription.Description, view.IsActive, subscription.DisabledBecause, subscription.CreatedAt, target?.OldSecretUntil > now ? target.OldSecretUntil : null, Sources: filter.Sources ?? []);
    }
}

/// <summary><c>POST /v1/subscriptions</c>, <c>PATCH</c>, <c>DELETE</c> and <c>POST …/secret</c>: an integrator says what it wants to hear.</summary>
public static class ManageSubscription
{
    private const int MostPerOwner = 20;
    private const int MostWords = 50;
    private const int LongestText = 200;

    /// <summary>For how long the secret before the present one signs too.</summary>
    public static readonly TimeSpan SecretOverlap = TimeSpan.FromHours(24);

    public static readonly string[] Subscribers = [Roles.Intake, Roles.Operator];

    public static void MapManageSubscription(this IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/subscriptions", CreateAsync).RequireRoles(Subscribers)
            .WithSummary("Hear of needs and offers as they change; the answer is the only one that tells the secret")
            .Produces<SubscriptionResource>(StatusCodes.Status201Created).ProducesProblem(403).ProducesProblem(409).ProducesValidationProblem(422);
        app.MapPatch("/v1/subscriptions/{id:guid}", ChangeAsync).RequireRoles(Subscribers)
            .WithSummary("Change address or filter, or switch it off and on; what is left out stays")
            .Produces<SubscriptionResource>().ProducesProblem(403).ProducesProblem(404).ProducesValidationProblem(422);
        app.MapDelete("/v1/subscriptions/{id:guid}", DeleteAsync).RequireRoles(Subscribers)
            .WithSummary("End it for good").Produces(204).ProducesProblem(404);
        app.MapPost("/v1/subscriptions/{id:guid}/secret", RotateAsync).RequireRoles(Subscribers)
            .WithSummary("A new secret; the old one signs too for 24 hours")
            .Produces<SubscriptionResource>().ProducesProblem(404).ProducesValidationProblem(422);
    }

    private static async Task<IResult> CreateAsync(SubscriptionBody body, HttpContext http, Subscriptions subscriptions, WebhookOptions webhooks, FrontEndScope scope, TimeProvider time, CancellationToken cancellation)
    {
        var errors = Check(body, webhooks, urlIsRequired: true);
        if (errors.Count > 0)
            return Problems.Invalid(errors);
        var own = scope.Acting(http.User);
        if (MayNotHearOf(body.Sources, own))
            return FrontEndScope.NotYourSource;
        var owner = http.User.Subject();
        if (await subscriptions.CountAsync(owner, cancellation) is not { OfOwner: < MostPerOwner, OfAll: < Subscriptions.Most })
            return Problems.Of(StatusCodes.Status409Conflict, "too-many-subscriptions", $"One owner has at most {MostPerOwner} subscriptions, and all together {Subscriptions.Most}.");
        var id = Guid.CreateVersion7();
        var target = new SubscriptionTarget(body.Url!, body.Secret ?? Subscriptions.NewSecret());
        var encrypted = await subscriptions.SealAsync(id, target, cancellation);
        var (view, _) = await subscriptions.ChangeAsync(id, _ => ValueTask.FromResult<Decision<SubscriptionEvent>>(
            new SubscriptionCreated(owner, FilterOf(body, Subscription.Initial.Filter, own), TextOf(body.Description), encrypted, time.GetUtcNow())), cancellation);
        return Results.Created($"/v1/subscriptions/{id}", SubscriptionResource.Of(view!, target, time.GetUtcNow()) with { Secret = target.Secret });
    }

    private static async Task<IResult> ChangeAsync(Guid id, SubscriptionBody body, HttpContext http, Subscriptions subscriptions, WebhookOptions webhooks, FrontEndScope scope, TimeProvider time, CancellationToken cancellation)
    {
        var errors = Check(body, webhooks, urlIsRequired: false);
        if (body.Secret is not null)
            errors["secret"] = [$"A secret is changed by POST /v1/subscriptions/{id}/secret."];
        if (errors.Count > 0)
            return Problems.Invalid(errors);
        var own = scope.Acting(http.User);
        if (MayNotHearOf(body.Sources, own))
            return FrontEndScope.NotYourSource;
        var (view, refusal) = await subscriptions.ChangeAsync(id, async state =>
        {
            if (!http.User.Owns(state))
                return Subscription.NotKnown;
            var known = await subscriptions.RevealAsync(id, state, cancellation);
            Protected? target = body.Url is null || known is null || body.Url == known.Url ? null : await subscriptions.SealAsync(id, known with { Url = body.Url }, cancellation);
            return Subscription.DecideChange(state, FilterOf(body, state.Filter, own), body.Description is null ? state.Description : TextOf(body.Description), target, body.Enabled, http.User.Subject(), time.GetUtcNow());
        }, cancellation);
        return refusal is not null
            ? refusal.ToProblem()
            : Results.Ok(SubscriptionResource.Of(view!, await subscriptions.RevealAsync(id, view!.Subscription, cancellation), time.GetUtcNow()));
    }

    private static async Task<IResult> DeleteAsync(Guid id, HttpContext http, Subscriptions subscriptions, TimeProvider time, CancellationToken cancellation)
    {
        var (_, refusal) = await subscriptions.ChangeAsync(id, state => ValueTask.FromResult(
            http.User.Owns(state) ? Subscription.DecideDeletion(state, http.User.Subject(), time.GetUtcNow()) : Subscription.NotKnown), cancellation);
        return refusal?.ToProblem() ?? Results.NoContent();
    }

    private static async Task<IResult> RotateAsync(Guid id, SecretBody body, HttpContext http, Subscriptions subscriptions, TimeProvider time, CancellationToken cancellation)
    {
        if (body.Secret is not null && !IsOneSecret(body.Secret))
            return Problems.Invalid(new Dictionary<string, string[]> { ["secret"] = [SecretForm] });
        SubscriptionTarget? rotated = null;
        var (view, refusal) = await subscriptions.ChangeAsync(id, async state =>
        {
            if (!http.User.Owns(state) || await subscriptions.RevealAsync(id, state, cancellation) is not { } known)
                return Subscription.NotKnown;
            var now = time.GetUtcNow();
            rotated = known.Rotated(body.Secret ?? Subscriptions.NewSecret(), now + SecretOverlap);
            return Subscription.DecideRotation(state, await subscriptions.SealAsync(id, rotated, cancellation), now + SecretOverlap, http.User.Subject(), now);
        }, cancellation);
        return refusal is not null
            ? refusal.ToProblem()
            : Results.Ok(SubscriptionResource.Of(view!, rotated, time.GetUtcNow()) with { Secret = rotated!.Secret });
    }

    /// <summary>An owner has its own, an operator everybody's. Whoever may not see one is told that there is none.</summary>
    internal static bool Owns(this ClaimsPrincipal user, Subscription subscription) => user.IsInRole(Roles.Operator) || subscription.Owner == user.Subject();

    private const string SecretForm = "A secret is whsec_ and base64 of at least 16 bytes.";

    private static bool IsOneSecret(string secret) => secret.Length <= LongestText && !secret.Contains(' ') && StandardWebhooks.IsUsable(secret);

    private static Dictionary<string, string[]> Check(SubscriptionBody body, WebhookOptions webhooks, bool urlIsRequired)
    {
        var errors = new Dictionary<string, string[]>();
        if (body.Url is null ? urlIsRequired : webhooks.Outbound.Refuse(OutboundHttp.UriOf(body.Url)) is not null)
            errors["url"] = ["The url must be an https address on the public Internet, or on a host that the operator has allowed."];
        if (body.Secret is not null && !IsOneSecret(body.Secret))
            errors["secret"] = [SecretForm];
        if (body.Description?.Length > LongestText || body.Description?.Contains('\0') == true)
            errors["description"] = [$"The text must have at most {LongestText} characters."];
        Words("types", body.Types, Subscription.Types.Contains, string.Join(", ", Subscription.Types));
        Words("states", body.States, Subscription.States.Contains, string.Join(", ", Subscription.States));
        Words("kinds", body.Kinds, ServiceKinds.IsKnown, string.Join(", ", ServiceKinds.All));
        Words("subDistricts", body.SubDistricts, name => name.Trim().Length is > 0 and <= LongestText && !name.Contains('\0'), "names of sub-districts");
        Words("sources", body.Sources, name => name.Trim().Length is > 0 and <= LongestText && !name.Contains('\0'), "names of front ends");
        return errors;

        void Words(string path, IReadOnlyList<string?>? words, Func<string, bool> isKnown, string known)
        {
            if (words is not null && (words.Count > MostWords || words.Any(word => word is null || !isKnown(word))))
                errors[path] = [$"At most {MostWords} of these are accepted: {known}."];
        }
    }

    /// <param name="own">The front ends that the token acts for; null for all.</param>
    private static bool MayNotHearOf(IReadOnlyList<string?>? sources, IReadOnlyList<string>? own) =>
        own is { Count: 0 } || own is not null && sources?.All(source => own.Contains(source!.Trim())) == false;

    private static SubscriptionFilter FilterOf(SubscriptionBody body, SubscriptionFilter known, IReadOnlyList<string>? own) => new(
        ListOf(body.Types, known.Types), ListOf(body.States, known.States), ListOf(body.Kinds, known.Kinds), ListOf(body.SubDistricts, known.SubDistricts),
        SourcesOf(ListOf(body.Sources, known.Sources ?? []), own));

    /// <summary>Whoever acts for some front ends hears of no other's requests, whatever the filter said before.</summary>
    private static IReadOnlyList<string>? SourcesOf(IReadOnlyList<string> wanted, IReadOnlyList<string>? own)
    {
        if (own is not null)
            wanted = wanted.Intersect(own).ToList() is { Count: > 0 } within ? within : own;
        return wanted.Count > 0 ? wanted : null;
    }

    private static IReadOnlyList<string> ListOf(IReadOnlyList<string?>? given, IReadOnlyList<string> known) => given is null ? known : [.. given.Select(word => word!.Trim()).Distinct()];

    private static string? TextOf(string? text) => text?.Trim() is { Length: > 0 } given ? given : null;
}
