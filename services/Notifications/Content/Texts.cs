using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Notifications.Domain;

namespace Huzhu.Notifications.Content;

/// <summary>The same in Chinese and English: one or two plain sentences that can be read aloud or sent as they are.</summary>
public sealed record Text(string Zh, string En)
{
    public Text Replace(string placeholder, Text by) => new(Zh.Replace(placeholder, by.Zh, StringComparison.Ordinal), En.Replace(placeholder, by.En, StringComparison.Ordinal));
    public Text Replace(string placeholder, string by) => Replace(placeholder, new Text(by, by));
}

/// <summary>Writes the sentences from Texts.json. Nothing in a text to a responder tells who or where the person is.</summary>
public static class Texts
{
    private static readonly FrozenDictionary<string, Text> All = Load();

    /// <param name="answerNumber">Set where the responder answers by a message with this number, and not by links.</param>
    public static Text Of(NotificationRequested request, string? responderName, DateTimeOffset now, int? answerNumber = null)
    {
        var text = answerNumber is { } number && All.GetValueOrDefault($"{KeyOf(request)}.by-message") is { } asking
            ? asking.Replace("{number}", number.ToString(CultureInfo.InvariantCulture))
            : All[KeyOf(request)];
        if (request.Offer is { } offer)
        {
            var distance = offer.DistanceMetres is { } metres ? All["word.distance"].Replace("{distance}", Distance(metres)) : new Text("", "");
            text = text.Replace("{kind}", KindWord(offer.Kind))
                .Replace("{mode}", All[$"word.{Words.Of(offer.Mode)}"])
                .Replace("{urgency}", All[$"word.{Words.Of(offer.Urgency)}"])
                .Replace("{distance}", distance)
                .Replace("{minutes}", Minutes(Notification.AnswerBy(request, now), now));
        }
        return text.Replace("{responder}", responderName is { Length: > 0 } name ? new Text(name, name) : All["word.responder"]);
    }

    /// <summary>An offer where there is room for twenty characters and no more; null when the message is no offer.</summary>
    public static Text? InShort(NotificationRequested request, int answerNumber) => request.Offer is { } offer
        ? All["offer-made.in-short"].Replace("{kind}", KindWord(ServiceKinds.RootOf(offer.Kind))).Replace("{number}", answerNumber.ToString(CultureInfo.InvariantCulture))
        : null;

    /// <summary>The key of every text that the map of messages can ask for.</summary>
    public static string KeyOf(NotificationRequested request) => request.Message switch
    {
        MessageKind.OfferMade => "offer-made",
        MessageKind.OfferAccepted => "offer-accepted",
        MessageKind.OfferEnded => $"offer-ended.{Words.Of(request.Outcome!.Value)}",
        MessageKind.NeedState => $"need-state.{Words.Of(request.State!.Value)}",
        MessageKind.Event => throw new ArgumentException("Subscribers are told no text.", nameof(request)),
    };

    /// <summary>A kind that is newer than this list is told by its family, or by its code.</summary>
    private static Text KindWord(string kind) =>
        All.GetValueOrDefault($"word.{kind}") ?? All.GetValueOrDefault($"word.{ServiceKinds.RootOf(kind)}") ?? new Text(kind, kind);

    private static string Distance(double metres) => metres < 1000
        ? string.Create(CultureInfo.InvariantCulture, $"{Math.Max(50, Math.Round(metres / 50) * 50):0} m")
        : string.Create(CultureInfo.InvariantCulture, $"{metres / 1000:0.0} km");

    private static string Minutes(DateTimeOffset? expiresAt, DateTimeOffset now) =>
        Math.Max(1, Math.Floor(((expiresAt ?? now) - now).TotalMinutes)).ToString("0", CultureInfo.InvariantCulture);

    private static FrozenDictionary<string, Text> Load()
    {
        using var stream = typeof(Texts).Assembly.GetManifestResourceStream("Texts.json")
            ?? throw new InvalidOperationException("The resource Texts.json is missing.");
        return JsonSerializer.Deserialize<Dictionary<string, Text>>(stream, JsonSerializerOptions.Web)!.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
