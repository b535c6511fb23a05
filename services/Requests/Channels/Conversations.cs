using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Features;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Channels;

/// <summary>Who speaks, and through which front end. Personal data, in memory only.</summary>
/// <param name="Source">The front end's name, as in an intake.</param>
/// <param name="Channel">The word for the kind of front end, as in an intake.</param>
/// <param name="Ref">The front end's name for the person.</param>
/// <param name="ReachedBy">Where the person can be told something.</param>
/// <param name="CanPin">Whether the front end lets people send a position.</param>
public sealed record Correspondent(string Source, string Channel, string Ref, string? Phone, ContactChannel? ReachedBy, bool CanPin, Language Language)
{
    private static readonly Guid ConversationSpace = new("2f0d6b1e-8a57-5d3c-9b1a-7c4e5d6f8a44");

    /// <summary>Whether the person hears the answers and presses keys.</summary>
    [JsonIgnore]
    public bool IsSpokenWith => Channel == "phone";

    [JsonIgnore]
    public Guid ConversationId => DeterministicId.Of(ConversationSpace, $"{Source}\n{Ref}");

    public override string ToString() => nameof(Correspondent);
}

/// <summary>What the person is told.</summary>
/// <param name="Text">Null when nothing is to be said.</param>
/// <param name="IsAboutOffer">It says what came of the answer to an offer.</param>
public sealed record Answer(string? Text, Reply Reply, Language Language, bool IsAboutOffer = false);

/// <summary>
/// Hears a message: reads the conversation and its request, decides, and appends to both in one transaction, so that a message
/// counts once however often and wherever it is delivered.
/// </summary>
/// <param name="desk">Null when this service has not been told where Notifications is: then messages answer no offers.</param>
public sealed class Conversations(
    IDocumentStore store, PersonalRecords records, PersonalDataVault vault, Fingerprints fingerprints, SubDistrictMap districts, AdmissionControl admission, TimeProvider time,
    NotificationsDesk? desk = null)
{
    private const int MostToldOf = 3;

    /// <summary>A <see cref="Hearing"/>.</summary>
    public Task<Answer?> HearAsync(Correspondent who, Utterance said, bool othersWait, CancellationToken cancellation) =>
        Conflict.RetryAsync(() => HearOnceAsync(who, said, othersWait, cancellation));

    private async Task<Answer?> HearOnceAsync(Correspondent who, Utterance said, bool othersWait, CancellationToken cancellation)
    {
        await using var session = store.LightweightSession();
        var (conversation, version) = await LoadAsync(session, who, cancellation);
        var changes = new StreamChanges(session);
        var (request, known) = await LoadRequestAsync(changes, conversation.RequestId, cancellation);

        var turn = Conversation.Decide(conversation, known is null ? null : DraftOf(known), said, who.CanPin);
        // Where a life may be in danger, nothing waits: neither for what the person said before, nor for others.
        if (othersWait && turn.Draft is not { Urgency: Urgency.LifeThreatening })
            return null;

        // A number answers what was asked last: a question of this conversation, or an offer that was told after it.
        if (desk is not null && !said.IsPassive && said.Text is { } text && !conversation.Keys.Contains(said.Key) && Understanding.OfferAnswerOf(text) is { } answer
            && await desk.AnswerAsync(who, answer, said.Key, known is not null && conversation.Asked != Asked.Nothing ? conversation.AnsweredAt : null, cancellation) is { } told)
            return Replies.Write(told, conversation.Language, who.IsSpokenWith);

        if (turn.Deed is Deed.Begin or Deed.Extend && admission.Sheds(turn.Draft!.Urgency))
            return null;
        RequestId? about = conversation.RequestId;
        switch (turn.Deed)
        {
            case Deed.Begin:
                about = await SaveAsync(session, changes, null, FormOf(turn, who, Opening(who, said)), who, cancellation);
                break;
            case Deed.Extend:
                await SaveAsync(session, changes, request, FormOf(turn, who, IntakeForm.Of(known!)), who, cancellation);
                break;
            case Deed.Cancel:
                var cancelled = Request.DecideCancellation(request!, null, new Said(who.Source, "no-longer-needed", null, NextAfter(request!.SaidAt)));
                if (cancelled.Refusal is null)
                    changes.Append(about!.Value.Value, cancelled.Events, Cause.Current());
                else
                    turn = turn with { Reply = Reply.TooLateToCancel };
                break;
        }

        if (!turn.IsRepeat && (turn.Deed != Deed.Nothing || turn.Language != conversation.Language))
        {
            var taken = new TurnTaken(said.Key, about, turn.Asked, turn.Reply, turn.Language, time.GetUtcNow());
            changes.Queue();
            (version == 0 ? session.Events.StartStream(who.ConversationId, taken) : session.Events.Append(who.ConversationId, version + 1, taken)).CausedBy(Cause.Current());
            await session.SaveChangesAsync(cancellation);
        }
        if (said.IsPassive)
            return new Answer(null, turn.Reply, turn.Language);
        var requests = turn.Reply == Reply.Status ? await RequestsOfAsync(session, who, cancellation) : [];
        return new Answer(Replies.Write(turn, about, requests, who.CanPin, who.IsSpokenWith), turn.Reply, turn.Language);
    }

    private static async Task<(ConversationState State, long Version)> LoadAsync(IQuerySession session, Correspondent who, CancellationToken cancellation)
    {
        var id = who.ConversationId;
        var newest = await session.Events.QueryAllRawEvents().Where(e => e.StreamId == id).OrderByDescending(e => e.Version).Take(Conversation.Memory).ToListAsync(cancellation);
        var state = newest.Reverse().Select(e => (ConversationEvent)e.Data).Aggregate(ConversationState.Initial(who.Language), Conversation.Evolve);
        return (state, newest.Count == 0 ? 0 : newest[0].Version);
    }

    /// <summary>The intake only while it can still be changed and its person has not been erased.</summary>
    private async Task<(RequestState? State, CallForHelp? Known)> LoadRequestAsync(StreamChanges changes, RequestId? id, CancellationToken cancellation)
    {
        if (id is not { } current)
            return (null, null);
        await changes.LoadAsync([current.Value], cancellation);
        var state = changes.StateOf(current.Value);
        return (state, state is { IsPartial: true, Abandoned: false } ? await records.RevealAsync(state, cancellation) : null);
    }

    /// <summary>Takes the intake in, or what it has become, as <c>POST</c> and <c>PATCH</c> of a request do.</summary>
    private async Task<RequestId> SaveAsync(IDocumentSession session, StreamChanges changes, RequestState? request, IntakeForm form, Correspondent who, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var (call, errors) = IntakeCheck.Run(form, now);
        if (call is null)
            throw new InvalidOperationException($"A conversation made an intake that is refused: {string.Join(", ", errors.Keys)}.");
        var id = call.RequestId.Value;
        await changes.LoadAsync([id], cancellation);
        var repeats = await RepeatCalls.LoadAsync(session, changes, [call.PersonId], cancellation);
        await vault.PrepareAsync([call.PersonId.Value, call.CallerId.Value], cancellation);
        var content = await Submissions.ContentOfAsync(call, repeats.HistoryOf(call.PersonId), vault, districts, cancellation);
        var decision = request is null
            ? Request.DecideSubmission(changes.StateOf(id), new RequestSubmitted(call.RequestId, call.PersonId, call.CallerId, call.Source, call.ExternalId, call.Channel,
                call.ReceivedAt, call.OperatorId, content, await fingerprints.OfAsync(call, cancellation), who.Source, now), isSameIntake: true)
            : Request.DecideCompletion(request, content, changesNothing: false, who.Source, now);
        if (decision.Refusal is { } refusal)
            throw new InvalidOperationException($"A conversation's request is refused: {refusal.Code}.");
        changes.Append(id, decision.Events, Cause.Current());
        if (changes.StateOf(id) is { IsPartial: false } complete)
            repeats.Link(complete, Cause.Current(), now);
        return call.RequestId;
    }

    private static async Task<IReadOnlyList<RequestAnswer>> RequestsOfAsync(IQuerySession session, Correspondent who, CancellationToken cancellation)
    {
        var person = CallForHelp.PersonOf(who.Source, who.Ref).Value;
        var views = await session.Query<RequestView>().Where(view => view.PersonId == person)
            .OrderByDescending(view => view.SubmittedAt).ThenBy(view => view.Id).Take(MostToldOf).ToListAsync(cancellation);
        return await RequestAnswer.OfAllAsync(session, [.. views.Select(view => view.State)], cancellation);
    }

    private DateTimeOffset NextAfter(DateTimeOffset said) => time.GetUtcNow() is var now && now > said ? now : said.AddTicks(1);

    private static Draft DraftOf(CallForHelp call)
    {
        var need = call.Needs.FirstOrDefault();
        return new Draft(need?.Kind ?? ServiceKinds.BasicNeeds, need?.Note ?? "", call.Person.Place, call.Person.AddressText, call.Urgency, call.Communication,
            call.Caller.Phone, call.Consent?.At);
    }

    private static IntakeForm Opening(Correspondent who, Utterance said) => new()
    {
        Source = who.Source,
        // Of the conversation and the message: the same message makes the same request.
        ExternalId = DeterministicId.Of(who.ConversationId, said.Key).ToString("N"),
        Channel = who.Channel,
        ReceivedAt = said.SentAt.ToString("O"),
        Caller = new CallerForm { Ref = who.Ref, Channels = who.ReachedBy is { } reached ? [new ChannelForm { Kind = reached.Kind, Address = reached.Address }] : [] },
        Location = new LocationForm(),
    };

    /// <summary>The intake with the draft in it; what somebody else has added to it meanwhile stays.</summary>
    private static IntakeForm FormOf(Turn turn, Correspondent who, IntakeForm form)
    {
        var draft = turn.Draft!;
        return form with
        {
            Caller = form.Caller! with { Phone = draft.Phone ?? who.Phone, Language = Words.Of(turn.Language) },
            Location = form.Location! with { Lat = draft.Place?.Lat, Lon = draft.Place?.Lon, AccuracyMetres = draft.Place?.AccuracyMetres, Text = draft.Address },
            Needs = [new NeedForm { Kind = draft.Kind, Mode = Words.Of(Understanding.ModeOf(draft.Kind)), Note = draft.Note }, .. form.Needs?.Skip(1) ?? []],
            Urgency = Words.Of(draft.Urgency),
            Communication = [.. draft.Communication.Select(Words.Of)],
            Consent = draft.ConsentedAt is { } at ? new ConsentForm { Basis = "explicit", At = at.ToString("O") } : null,
        };
    }
}
