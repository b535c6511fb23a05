using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Contacts;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Notifications.Content;

/// <summary>The addresses of an offer's answers. Whoever holds one may answer in the responder's name, so only the responder gets them.</summary>
public sealed record OfferLinks(string? Accept, string? Decline, string? Start, string? Complete, string? Release);

/// <summary>Signs the answer links of an offer; Matching verifies them with the same key.</summary>
/// <param name="console">Where people's pages are; null: there are none.</param>
public sealed class LinkWriter(LinkSigner signer, Uri matching, Uri? console = null)
{
    private const string Purpose = "offer";

    public static LinkWriter Read(IConfiguration configuration)
    {
        var key = configuration["Offers:PublicUrl"] is { Length: > 0 } ? "Offers:PublicUrl" : "Services:Matching";
        return new LinkWriter(LinkSigner.OfOffers(configuration), ServiceAddress.Read(configuration, key),
            configuration["Console:PublicUrl"] is { Length: > 0 } ? ServiceAddress.Read(configuration, "Console:PublicUrl") : null);
    }

    /// <summary>What lets whoever holds it answer this offer for this responder.</summary>
    public string KeyOf(OfferId offer, ResponderId responder) => signer.Sign(Purpose, offer.Value, responder.Value);

    /// <summary>The page on which whoever gets the message sees more and answers: the responder its offer, the person their request.</summary>
    public string? PageOf(NotificationRequested request, Contact contact) => console is null ? null : request switch
    {
        { Audience: Audience.Responder, Message: MessageKind.OfferMade or MessageKind.OfferAccepted, OfferId: { } offer, ResponderId: { } responder } =>
            new Uri(console, $"o/{offer}?key={KeyOf(offer, responder)}").AbsoluteUri,
        { Audience: Audience.Requester } when contact.OwnKey is { Length: > 0 } own => new Uri(console, $"r/{request.RequestId}?key={Uri.EscapeDataString(own)}").AbsoluteUri,
        _ => null,
    };

    public OfferLinks? Of(NotificationRequested request)
    {
        if (request is not { OfferId: { } offer, ResponderId: { } responder })
            return null;
        var key = KeyOf(offer, responder);
        string Link(string answer) => new Uri(matching, $"v1/offers/{offer}/{answer}?key={key}").AbsoluteUri;
        return request.Message switch
        {
            MessageKind.OfferMade => new OfferLinks(Link("accept"), Link("decline"), Link("start"), Link("complete"), Link("release")),
            MessageKind.OfferAccepted => new OfferLinks(null, null, Link("start"), Link("complete"), Link("release")),
            MessageKind.OfferEnded or MessageKind.NeedState or MessageKind.Event => null,
        };
    }
}

/// <summary>What the lookups of one sending brought, beside the request itself.</summary>
public sealed record Facts(Contact Contact, Visit? Visit, string? ResponderName)
{
    public override string ToString() => nameof(Facts);
}

/// <summary>Writes a notification as a CloudEvent in JSON: the form that integrators receive, on every channel.</summary>
public static class MessageBody
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        // Chinese stays readable in a file; the body is JSON and nothing else, so nothing needs HTML's escapes.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private sealed record CloudEvent(
        [property: JsonPropertyName("specversion")] string SpecVersion, NotificationId Id, string Source, string Type, NeedId Subject,
        DateTimeOffset Time, [property: JsonPropertyName("datacontenttype")] string DataContentType, Data Data);

    /// <summary>What a message to a person carries; fields that do not apply are left out.</summary>
    /// <param name="Page">Where they see more and answer, in a browser.</param>
    public sealed record Data(
        Audience Audience, NeedId NeedId, RequestId RequestId, OfferId? OfferId, ResponderId? ResponderId, string? ResponderName,
        string? Kind, DeliveryMode? Mode, int? Quantity, Urgency? Urgency, IReadOnlyList<CommunicationNeed>? Communication, double? DistanceMetres,
        string? SubDistrict, int? ParallelOffers, DateTimeOffset? ExpiresAt, OfferOutcome? Outcome, NeedState? State, int? RemainingQuantity,
        string? Reason, string? Language, OfferLinks? Links, string? Page, Visit? Visit, int? AnswerNumber, Text Text, Text? ShortText);

    /// <param name="answerNumber">How the responder names the offer when it answers by a message on the same channel.</param>
    public static byte[] Write(NotificationId id, NotificationRequested request, Facts facts, OfferLinks? links, DateTimeOffset now, int? answerNumber = null, string? page = null)
    {
        var offer = request.Offer;
        var toRequester = request.Audience == Audience.Requester;
        return JsonSerializer.SerializeToUtf8Bytes(new CloudEvent("1.0", id, "/huzhu/notifications", TypeOf(request.Message), request.NeedId,
            request.CausedAt.ToUniversalTime(), "application/json",
            new Data(request.Audience, request.NeedId, request.RequestId, request.OfferId, request.ResponderId, facts.ResponderName,
                offer?.Kind, offer?.Mode, offer?.Quantity, offer?.Urgency, toRequester ? facts.Contact.Communication : offer?.Communication, offer?.DistanceMetres,
                offer?.SubDistrict, offer?.ParallelOffers, Notification.AnswerBy(request, now)?.ToUniversalTime(), request.Outcome, request.State, request.RemainingQuantity,
                request.Reason, facts.Contact.Language, links, page, facts.Visit, answerNumber, Texts.Of(request, facts.ResponderName, now, answerNumber),
                answerNumber is { } number ? Texts.InShort(request, number) : null)), Options);
    }

    /// <summary>Whether this is a message, and one of those.</summary>
    public static bool Is(string json, KeptMessage wanted)
    {
        try
        {
            return JsonSerializer.Deserialize<Kept>(json, Options) is { } message
                && wanted(message.Subject, message.Data?.Audience == Audience.Responder ? message.Data.ResponderId : null);
        }
        catch (JsonException)
        {
            // Half a line of a writer that died; nobody can say whose it was, so it does not stay.
            return true;
        }
    }

    private sealed record Kept(NeedId Subject, KeptData? Data);

    private sealed record KeptData(Audience Audience, ResponderId? ResponderId);

    private sealed record ThinEvent(
        [property: JsonPropertyName("specversion")] string SpecVersion, NotificationId Id, string Source, string Type, NeedId Subject,
        DateTimeOffset Time, [property: JsonPropertyName("datacontenttype")] string DataContentType, ThinData Data);

    /// <summary>What a subscriber hears: ids and states. Whoever may know more asks for it.</summary>
    public sealed record ThinData(
        NeedId NeedId, RequestId RequestId, OfferId? OfferId, ResponderId? ResponderId, string State, string? Reason, int? RemainingQuantity);

    public static byte[] WriteThin(NotificationId id, NotificationRequested request) =>
        JsonSerializer.SerializeToUtf8Bytes(new ThinEvent("1.0", id, "/huzhu/notifications", Messages.EventTypeOf(request), request.NeedId,
            request.CausedAt.ToUniversalTime(), "application/json",
            new ThinData(request.NeedId, request.RequestId, request.OfferId, request.ResponderId, Messages.StateOf(request), request.Reason, request.RemainingQuantity)), Options);

    /// <summary>A front end's own answer, as channels expect a message. It is about no need.</summary>
    public static byte[] WriteReply(NotificationId id, string language, string text, DateTimeOffset now) => JsonSerializer.SerializeToUtf8Bytes(new
    {
        specversion = "1.0",
        id,
        source = "/huzhu/requests",
        type = "org.huzhu.reply.v1",
        time = now.ToUniversalTime(),
        datacontenttype = "application/json",
        data = new { language, text = new Text(text, text) },
    }, Options);

    public static string TypeOf(MessageKind message) => message switch
    {
        MessageKind.OfferMade => "org.huzhu.offer.made.v1",
        MessageKind.OfferAccepted => "org.huzhu.offer.accepted.v1",
        MessageKind.OfferEnded => "org.huzhu.offer.ended.v1",
        MessageKind.NeedState => "org.huzhu.need.state.v1",
        MessageKind.Event => throw new ArgumentException("What subscribers hear has its own types.", nameof(message)),
    };
}
