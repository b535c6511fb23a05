using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Channels;

/// <summary>Something that happened in one person's conversation with one front end. What was said is in the request, encrypted.</summary>
public abstract record ConversationEvent(DateTimeOffset At);

/// <summary>The person said something that counted, and was answered.</summary>
/// <param name="MessageKey">The front end's name for the message, by which a repeat of it is known.</param>
/// <param name="RequestId">The request that the conversation is about; null before the first and after one was given up.</param>
/// <param name="Asked">What the person was asked for in answer.</param>
public sealed record TurnTaken(string MessageKey, RequestId? RequestId, Asked Asked, Reply Reply, Language Language, DateTimeOffset At) : ConversationEvent(At);

/// <summary>What the front end waits for.</summary>
public enum Asked { Nothing, Kind, Place, Confirmation }

public enum Language { Zh, En }

/// <summary>The answers of Replies.json.</summary>
public enum Reply
{
    Welcome, AskKind, AskPlace, AskPlaceHere, AskPlaceInWords, PlaceNoted, Confirm, Taken, TakenWithoutPlace, Added, Human, Cancelled, NothingToCancel, TooLateToCancel,
    Status, NoStatus, NotUnderstood, Unreadable, LanguageChosen, Later, TooMany,
    OfferAccepted, OfferDeclined, OfferCompleted, OfferReleased, OfferPlaceFilled, OfferEnded, OfferAlreadyAccepted, OfferNotAccepted, OfferWhich, OfferUnknownNumber, OfferLater,
}

/// <summary>A message of a person, whatever front end it came through. Personal data, in memory only.</summary>
/// <param name="Key">The same on every delivery of the same message.</param>
/// <param name="Text">What was written or said; null when there was no text in it that can be read.</param>
/// <param name="Pin">A position that was sent, on WGS84.</param>
/// <param name="Address">The position in words, as the sender's map has it.</param>
/// <param name="IsPassive">The device sent it, not the person: it is used where it helps and never answered.</param>
/// <param name="SentAt">By the front end's clock, and not after ours.</param>
public sealed record Utterance(string Key, string? Text, ExactPlace? Pin, string? Address, bool IsPassive, DateTimeOffset SentAt)
{
    public override string ToString() => nameof(Utterance);
}

/// <summary>What the decisions about a conversation rest on.</summary>
/// <param name="Keys">Of the messages that the newest events are about.</param>
/// <param name="AnsweredAt">When the person was last answered.</param>
public sealed record ConversationState(RequestId? RequestId, Asked Asked, Reply Reply, Language Language, IReadOnlyList<string> Keys, DateTimeOffset? AnsweredAt = null)
{
    public static ConversationState Initial(Language language) => new(null, Asked.Nothing, Reply.Welcome, language, []);
}

/// <summary>A request in the making, in clear. Personal data, in memory only.</summary>
/// <param name="Kind">What the words make it; a guess until the person has chosen or confirmed it.</param>
/// <param name="Note">All that the person said about it.</param>
public sealed record Draft(
    string Kind, string Note, ExactPlace? Place, string? Address, Urgency Urgency, IReadOnlyList<CommunicationNeed> Communication, string? Phone, DateTimeOffset? ConsentedAt)
{
    public const int LongestNote = 4000;
    public const int LongestAddress = 500;

    public static readonly Draft Empty = new(ServiceKinds.BasicNeeds, "", null, null, Urgency.Hardship, [], null, null);

    public override string ToString() => nameof(Draft);
}

/// <summary>What a turn does to the request beside its answer.</summary>
public enum Deed { Nothing, Begin, Extend, Cancel }

/// <summary>What follows from a message.</summary>
/// <param name="Draft">The request as it is to be from now on; null when the turn is about none.</param>
/// <param name="IsRepeat">The message was answered before: the same is answered again, and nothing happens.</param>
public sealed record Turn(Deed Deed, Draft? Draft, Asked Asked, Reply Reply, Language Language, bool IsRepeat = false);

/// <summary>
/// One short conversation for every front end: it asks for what is missing, one thing at a time, has the person confirm, and
/// never loses a word: the first words already make a partial request that people can see. Pure.
/// </summary>
public static class Conversation
{
    /// <summary>So many newest events say all: each carries what the one before did. A front end repeats a message within seconds.</summary>
    public const int Memory = 50;

    /// <summary>For whoever reads the note.</summary>
    private const string WantsAPerson = "（要求人工服务 / asks for a person）";

    public static ConversationState Evolve(ConversationState state, ConversationEvent happened) => happened switch
    {
        TurnTaken e => new ConversationState(e.RequestId, e.Asked, e.Reply, e.Language, [.. state.Keys.TakeLast(Memory - 1), e.MessageKey], e.At),
        _ => throw new InvalidOperationException($"A conversation does not know the event {happened.GetType().Name}."),
    };

    /// <param name="draft">The request that is in the making; null when there is none, or it is complete or was given up.</param>
    /// <param name="canPin">Whether the front end lets people send a position.</param>
    public static Turn Decide(ConversationState state, Draft? draft, Utterance said, bool canPin)
    {
        if (state.Keys.Contains(said.Key))
            return new Turn(Deed.Nothing, draft, state.Asked, state.Reply, state.Language, IsRepeat: true);
        if (said.IsPassive)
            return Locate(state, draft, said);
        var heard = said.Text is { } text ? Understanding.Of(text) : null;
        var language = heard?.Language ?? state.Language;
        // A draft that was given up elsewhere leaves no question behind.
        var asked = draft is null ? Asked.Nothing : state.Asked;
        Turn Answer(Reply reply) => new(Deed.Nothing, draft, asked, reply, language);
        Turn Go(Draft next, Asked now, Reply reply) => new(draft is null ? Deed.Begin : Deed.Extend, next, now, reply, language);

        if (said.Pin is { } pin)
            return Next((draft ?? Draft.Empty) with { Place = pin, Address = Cut(said.Address, Draft.LongestAddress) ?? draft?.Address }, asked, kindIsKnown: asked is Asked.Place or Asked.Confirmation, canPin, Go);
        if (heard is null)
            return Answer(Reply.Unreadable);

        switch (heard.Intent)
        {
            case Intent.Greet:
                return Answer(draft is null ? Reply.Welcome : Question(asked, draft, canPin));
            case Intent.Chinese or Intent.English:
                return Answer(draft is null ? Reply.LanguageChosen : Question(asked, draft, canPin));
            case Intent.Status:
                return Answer(Reply.Status);
            case Intent.Cancel:
                return state.RequestId is null ? Answer(Reply.NothingToCancel) : new Turn(Deed.Cancel, draft, Asked.Nothing, Reply.Cancelled, language);
            case Intent.Human:
                return Go(With(draft ?? Draft.Empty, heard), asked == Asked.Nothing && draft is null ? Asked.Kind : asked, Reply.Human);
        }

        switch (asked)
        {
            case Asked.Kind when heard.Number is { } number:
                return Understanding.KindOf(number) is { } chosen
                    ? Next(draft! with { Kind = chosen, Urgency = Higher(draft.Urgency, Understanding.UrgencyOf(chosen)) }, asked, kindIsKnown: true, canPin, Go)
                    : Answer(Reply.AskKind);
            case Asked.Confirmation when heard.Number == 1 || heard.Intent == Intent.Yes:
                var confirmed = draft! with { ConsentedAt = said.SentAt };
                return Go(confirmed, Asked.Nothing, confirmed.Place is null ? Reply.TakenWithoutPlace : Reply.Taken);
            case Asked.Confirmation when heard.Number == 2 || heard.Intent == Intent.No:
                return Go(draft! with { Kind = ServiceKinds.BasicNeeds, Place = null, Address = null }, Asked.Kind, Reply.AskKind);
            case Asked.Confirmation when heard.Number == 3:
                return Go(draft! with { Urgency = Higher(draft.Urgency, draft.Urgency == Urgency.Health ? Urgency.LifeThreatening : Urgency.Health) }, asked, Reply.Confirm);
            case Asked.Place when draft!.Place is not null && (heard.Number == 1 || heard.Intent == Intent.Yes):
                return Next(draft, asked, kindIsKnown: true, canPin, Go);
            case Asked.Place when heard.Number is null && heard.Intent == Intent.None:
                // An address takes the place of what the phone said by itself.
                return Next(With(draft! with { Place = null }, heard, isAddress: true), asked, kindIsKnown: true, canPin, Go);
        }
        if (heard.Intent is Intent.Yes or Intent.No or Intent.Thanks or Intent.Accept or Intent.Decline or Intent.Complete or Intent.Release || heard.Number is not null)
            return Answer(asked == Asked.Nothing ? Reply.NotUnderstood : Question(asked, draft, canPin));
        // Whatever else a person says is about the help that is needed, and is kept.
        var told = With(draft ?? Draft.Empty, heard);
        return Next(told, asked, kindIsKnown: heard.Kind is not null || asked is Asked.Place or Asked.Confirmation, canPin, Go);
    }

    /// <summary>A position that the device sent by itself is offered when the place is asked for. It begins nothing and is not answered.</summary>
    private static Turn Locate(ConversationState state, Draft? draft, Utterance said) =>
        draft is { Place: null, Address: null } && state.Asked == Asked.Kind && said.Pin is { } pin
            ? new Turn(Deed.Extend, draft with { Place = pin }, state.Asked, state.Reply, state.Language)
            : new Turn(Deed.Nothing, draft, state.Asked, state.Reply, state.Language);

    private static Turn Next(Draft draft, Asked asked, bool kindIsKnown, bool canPin, Func<Draft, Asked, Reply, Turn> go) => (kindIsKnown, draft) switch
    {
        // After consent only the place was missing.
        (_, { ConsentedAt: not null }) => go(draft, Asked.Nothing, draft.Place is null ? Reply.Added : Reply.Taken),
        (false, _) => go(draft, Asked.Kind, Reply.AskKind),
        (true, { Address: null }) when draft.Place is null || asked == Asked.Kind => go(draft, Asked.Place, Question(Asked.Place, draft, canPin)),
        (true, { Place: null }) when canPin && asked != Asked.Confirmation => go(draft, Asked.Place, Reply.PlaceNoted),
        _ => go(draft, Asked.Confirmation, Reply.Confirm),
    };

    private static Reply Question(Asked asked, Draft? draft, bool canPin) => asked switch
    {
        Asked.Nothing => Reply.Welcome,
        Asked.Kind => Reply.AskKind,
        Asked.Place when draft is { Place: not null } => Reply.AskPlaceHere,
        Asked.Place => canPin ? Reply.AskPlace : Reply.AskPlaceInWords,
        Asked.Confirmation => Reply.Confirm,
    };

    /// <summary>The draft with what was heard in it. Urgency only rises; a kind in the words is taken unless the person has chosen one.</summary>
    private static Draft With(Draft draft, Understanding heard, bool isAddress = false) => draft with
    {
        Kind = draft.Kind == ServiceKinds.BasicNeeds && !isAddress ? heard.Kind ?? draft.Kind : draft.Kind,
        Note = isAddress ? draft.Note : heard.Intent == Intent.Human ? Add(draft.Note, WantsAPerson) : Add(draft.Note, heard.Text),
        Address = isAddress ? Cut(draft.Address is null ? heard.Text : $"{draft.Address}\n{heard.Text}", Draft.LongestAddress) : draft.Address,
        Place = heard.Place ?? draft.Place,
        Urgency = Higher(draft.Urgency, heard.Urgency),
        Communication = [.. draft.Communication.Union(heard.Communication).Order()],
        Phone = heard.Phone ?? draft.Phone,
    };

    /// <summary>What was said last is added, unless it was said already.</summary>
    private static string Add(string note, string said) =>
        note.Split('\n').Contains(said) ? note : Cut(note.Length == 0 ? said : $"{note}\n{said}", Draft.LongestNote)!;

    private static Urgency Higher(Urgency one, Urgency other) => one > other ? one : other;

    private static string? Cut(string? text, int longest) => text switch
    {
        null => null,
        _ when text.Length <= longest => text,
        // Not through the middle of a character.
        _ => text[..(char.IsHighSurrogate(text[longest - 1]) ? longest - 1 : longest)],
    };
}
