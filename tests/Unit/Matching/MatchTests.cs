using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Matching.Domain;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>Every decision of a match as a table of states and commands, refusals included.</summary>
public class MatchTests
{
    private static readonly RequestId Request = Need().RequestId;
    private static readonly DateTimeOffset Later = Now.AddMinutes(1);

    private static readonly Dictionary<string, MatchState> States = new()
    {
        ["unknown"] = MatchState.Initial,
        ["open"] = Fold(Received()),
        ["offered"] = Fold(Received(), Made(O1, R1)),
        ["sent"] = Fold(Received(), Made(O1, R1), new OfferSent(O1, "file", Now.AddHours(1), Now)),
        ["parallel"] = Fold(Received(Urgency.LifeThreatening), Made(O1, R1), Made(O2, R2)),
        ["accepted"] = Fold(Received(), Made(O1, R1), Accepted(O1, R1)),
        ["superseded"] = Fold(Received(Urgency.LifeThreatening), Made(O1, R1), Made(O2, R2), Accepted(O2, R2), new OfferSuperseded(O1, Request, R1, Now)),
        ["started"] = Fold(Received(), Made(O1, R1), Accepted(O1, R1), new HelpStarted(O1, Request, R1, 1, Now)),
        ["done"] = Fold(Received(), Made(O1, R1), Accepted(O1, R1), new HelpCompleted(O1, Request, R1, 1, 0, Now)),
        ["declined"] = Fold(Received(), Made(O1, R1), new OfferDeclined(O1, Request, R1, DeclineReason.Other, Now), new NeedWaits(Request, "full", new Dictionary<string, int>(), 1, Now)),
        ["expired"] = Fold(Received(), Made(O1, R1), new OfferExpired(O1, Request, R1, Now), Made(O2, R2)),
        ["released"] = Fold(Received(), Made(O1, R1), Accepted(O1, R1), new OfferReleased(O1, Request, R1, "ill", Now), Made(O2, R2)),
        ["revoked"] = Fold(Received(), Made(O1, R1), new OfferRevoked(O1, Request, R1, RevocationReasons.ByOperator, "x", Now), Made(O2, R2)),
        ["waiting"] = Fold(Received(), new NeedWaits(Request, "full", new Dictionary<string, int>(), 1, Now)),
        ["escalated"] = Fold(Received(), new NeedWaits(Request, "full", new Dictionary<string, int>(), 1, Now), new NeedEscalated(Request, "full", 1, Now)),
        ["held"] = Fold(Received(), new NeedHeld(Request, Now)),
        ["cancelled"] = Fold(Received(), new NeedCancelled(Request, "x", Now, Now)),
        ["closed"] = Fold(Received(), Made(O1, R1), Accepted(O1, R1), new HelpCompleted(O1, Request, R1, 1, 0, Now), new NeedConfirmed(Request, Now, Now)),
        ["reopened"] = Fold(Received(), new NeedCancelled(Request, "x", Now, Now), new NeedReopened(Need(), "again", Later, Later), Made(O1, R1)),
        ["tombstone"] = Fold(new NeedCancelled(Request, "x", Now, Now)),
    };

    private static readonly Dictionary<string, Func<MatchState, Decision<MatchEvent>>> Commands = new()
    {
        ["receive"] = state => Match.DecideReceive(state, Need(), Later),
        ["raise"] = state => Match.DecideRaiseUrgency(state, Urgency.Health, Later),
        ["accept"] = state => Match.DecideAccept(state, O1, Later),
        ["decline"] = state => Match.DecideDecline(state, O1, DeclineReason.Unsafe, Later),
        ["start"] = state => Match.DecideStart(state, O1, Later),
        ["complete"] = state => Match.DecideComplete(state, O1, null, Later),
        ["release"] = state => Match.DecideRelease(state, O1, "ill", Later),
        ["revoke"] = state => Match.DecideRevokeByOperator(state, O1, "wrong", Later),
        ["sweep"] = state => Match.DecideRevoke(state, O1, RevocationReasons.ProviderClosed, true, Later),
        ["sweep-unbegun"] = state => Match.DecideRevoke(state, O1, RevocationReasons.ZoneSealed, false, Later),
        ["delivered"] = state => Match.DecideDelivered(state, O1, "file", Later, Later),
        ["undeliverable"] = state => Match.DecideUndeliverable(state, O1, "no-channel", Later),
        ["expire"] = state => Match.DecideExpire(state, Now.AddHours(1)),
        ["expire-early"] = state => Match.DecideExpire(state, Now.AddHours(1).AddTicks(-1)),
        ["expire-untold"] = state => Match.DecideExpire(state, Now.AddHours(2)),
        ["escalate"] = state => Match.DecideEscalate(state, Policy.Default, Now.AddHours(24)),
        ["escalate-early"] = state => Match.DecideEscalate(state, Policy.Default, Now.AddHours(23)),
        ["wait"] = state => Match.DecideWait(state, Policy.Default, () => new Nobody("full", new Dictionary<string, int>()), Later),
        ["offer"] = state => Match.DecideOffer(state, Policy.Default, O3, R3, ResponderKind.Group, Because, Later),
        ["cancel"] = state => Match.DecideCancel(state, Request, "solved", Later, Later),
        ["confirm"] = state => Match.DecideConfirm(state, Request, Later, Later),
        ["reopen"] = state => Match.DecideReopen(state, Need(), "again", false, Later, Later),
        ["dispute"] = state => Match.DecideReopen(state, Need(), "nobody came", true, Later, Later),
        ["hold"] = state => Match.DecideHold(state, Request, null, Later, Later),
        ["exclude"] = state => Match.DecideExclude(state, R1, Later),
    };

    /// <summary>One row a command; what is not in the row yields nothing.</summary>
    private static readonly Dictionary<string, Dictionary<string, string>> Table = new()
    {
        ["receive"] = new() { ["unknown"] = "NeedReceived" },
        ["raise"] = Row("NeedUrgencyRaised", "unknown", "open", "offered", "sent", "accepted", "started", "declined", "expired", "released", "revoked", "waiting", "escalated", "held", "reopened"),
        ["accept"] = new(Row("OfferAccepted", "offered", "sent", "reopened").Concat(Row("refused offer-ended", "declined", "expired", "released", "revoked")).Concat(NoOffer))
        {
            ["parallel"] = "OfferAccepted, OfferSuperseded",
            ["superseded"] = "refused place-filled",
        },
        ["decline"] = new(Row("OfferDeclined", "offered", "sent", "parallel", "reopened").Concat(Row("refused already-accepted", "accepted", "started"))
            .Concat(Row("refused offer-ended", "done", "closed", "expired", "released", "revoked")).Concat(NoOffer))
        { ["superseded"] = "refused place-filled" },
        ["start"] = new(Row("refused not-accepted", "offered", "sent", "parallel", "reopened").Concat(Row("refused offer-ended", "declined", "expired", "released", "revoked")).Concat(NoOffer))
        {
            ["accepted"] = "HelpStarted",
            ["superseded"] = "refused place-filled",
        },
        ["complete"] = new(Row("HelpCompleted", "accepted", "started").Concat(Row("refused not-accepted", "offered", "sent", "parallel", "reopened"))
            .Concat(Row("refused offer-ended", "declined", "expired", "released", "revoked")).Concat(NoOffer))
        { ["superseded"] = "refused place-filled" },
        ["release"] = new(Row("OfferReleased", "accepted", "started").Concat(Row("refused not-accepted", "offered", "sent", "parallel", "reopened"))
            .Concat(Row("refused offer-ended", "done", "closed", "declined", "expired", "revoked")).Concat(NoOffer))
        { ["superseded"] = "refused place-filled" },
        ["revoke"] = new(Row("OfferRevoked", "offered", "sent", "parallel", "accepted", "started", "reopened")
            .Concat(Row("refused offer-ended", "done", "closed", "declined", "expired", "released")).Concat(NoOffer))
        { ["superseded"] = "refused place-filled" },
        ["sweep"] = Row("OfferRevoked", "offered", "sent", "parallel", "accepted", "started", "reopened"),
        ["sweep-unbegun"] = Row("OfferRevoked", "offered", "sent", "parallel", "accepted", "reopened"),
        ["delivered"] = Row("OfferSent", "offered", "parallel", "reopened"),
        ["undeliverable"] = Row("OfferUndeliverable", "offered", "sent", "parallel", "reopened"),
        ["expire"] = Row("OfferExpired", "sent"),
        ["expire-untold"] = new(Row("OfferUndeliverable", "offered", "expired", "released", "revoked", "reopened")) { ["sent"] = "OfferExpired", ["parallel"] = "OfferUndeliverable, OfferUndeliverable" },
        ["expire-early"] = [],
        ["escalate"] = Row("NeedEscalated", "waiting", "declined"),
        ["escalate-early"] = [],
        ["wait"] = Row("NeedWaits", "open"),
        ["offer"] = new(Row("OfferMade", "open", "parallel", "declined", "waiting", "escalated")
            .Concat(Row("refused not-wanted", "unknown", "offered", "sent", "accepted", "superseded", "started", "done", "expired", "released", "revoked", "held", "cancelled", "closed", "reopened", "tombstone"))),
        ["cancel"] = new(Row("NeedCancelled", "unknown", "open", "declined", "waiting", "escalated", "held")
            .Concat(Row("OfferRevoked, NeedCancelled", "offered", "sent", "accepted", "superseded", "started", "expired", "released", "revoked")))
        {
            ["parallel"] = "OfferRevoked, OfferRevoked, NeedCancelled",
            ["done"] = "WordHeard",
            ["cancelled"] = "WordHeard",
            ["closed"] = "WordHeard",
            ["tombstone"] = "WordHeard",
        },
        ["confirm"] = new(Row("NeedConfirmed", "unknown", "open", "done", "declined", "waiting", "escalated", "held")
            .Concat(Row("HelpCompleted, NeedConfirmed", "accepted", "superseded", "started"))
            .Concat(Row("OfferRevoked, NeedConfirmed", "offered", "sent", "expired", "released", "revoked")))
        {
            ["parallel"] = "OfferRevoked, OfferRevoked, NeedConfirmed",
        },
        ["reopen"] = Row("NeedReopened", [.. States.Keys.Except(["reopened"])]),
        ["dispute"] = new(Row("NeedReopened", [.. States.Keys.Except(["reopened", "accepted", "superseded", "started", "done", "closed"])])
            .Concat(Row("OfferDisputed, NeedReopened", "accepted", "superseded", "started", "done", "closed"))),
        ["hold"] = new(Row("NeedHeld", "unknown", "open", "done", "declined", "waiting", "escalated")
            .Concat(Row("OfferRevoked, NeedHeld", "offered", "sent", "expired", "released", "revoked"))
            .Concat(Row("OfferRevoked, ResponderExcluded, NeedHeld", "accepted", "superseded", "started")))
        {
            ["parallel"] = "OfferRevoked, OfferRevoked, NeedHeld",
            ["cancelled"] = "WordHeard",
            ["closed"] = "WordHeard",
            ["tombstone"] = "WordHeard",
        },
        ["exclude"] = new(Row("OfferRevoked, ResponderExcluded", "offered", "sent", "parallel", "accepted", "started", "reopened")
            .Concat(Row("ResponderExcluded", "unknown", "open", "superseded", "done", "declined", "expired", "released", "revoked", "waiting", "escalated", "held", "cancelled", "closed", "tombstone"))),
    };

    /// <summary>Who acted is in the event of the one that acted; what follows from it was nobody's act.</summary>
    [Fact]
    public void who_acted_is_in_the_event_of_the_act_alone()
    {
        var accepted = Match.DecideAccept(States["parallel"], O1, Later, "op-7").Events;
        Assert.Equal("op-7", Assert.IsType<OfferAccepted>(accepted[0]).By);
        Assert.IsType<OfferSuperseded>(accepted[1]);
        Assert.Equal("op-7", Assert.IsType<OfferDeclined>(Match.DecideDecline(States["sent"], O1, DeclineReason.Other, Later, "op-7").Events[0]).By);
        Assert.Equal("op-7", Assert.IsType<HelpStarted>(Match.DecideStart(States["accepted"], O1, Later, "op-7").Events[0]).By);
        Assert.Equal("op-7", Assert.IsType<HelpCompleted>(Match.DecideComplete(States["started"], O1, null, Later, "op-7").Events[0]).By);
        Assert.Equal("op-7", Assert.IsType<OfferReleased>(Match.DecideRelease(States["accepted"], O1, "ill", Later, "op-7").Events[0]).By);
        Assert.Equal("op-7", Assert.IsType<OfferRevoked>(Match.DecideRevokeByOperator(States["accepted"], O1, "wrong", Later, "op-7").Events[0]).By);
        Assert.Null(Assert.IsType<OfferRevoked>(Match.DecideRevoke(States["accepted"], O1, RevocationReasons.ProviderClosed, true, Later).Events[0]).By);
        Assert.Null(Assert.IsType<HelpCompleted>(Match.DecideConfirm(States["accepted"], Request, Later, Later).Events[0]).By);
    }

    public static TheoryData<string, string> Everything()
    {
        var data = new TheoryData<string, string>();
        foreach (var command in Commands.Keys)
        {
            foreach (var state in States.Keys)
                data.Add(state, command);
        }
        return data;
    }

    [Theory, MemberData(nameof(Everything))]
    public void each_command_means_this_in_each_state(string state, string command) =>
        Assert.Equal(Table[command].GetValueOrDefault(state, ""), Names(Commands[command](States[state])));

    public static TheoryData<string, string> WhatHappens()
    {
        var data = new TheoryData<string, string>();
        foreach (var (command, row) in Table)
        {
            foreach (var (state, events) in row.Where(cell => !cell.Value.StartsWith("refused", StringComparison.Ordinal)))
                data.Add(state, command);
        }
        return data;
    }

    [Theory, MemberData(nameof(WhatHappens))]
    public void a_repeat_yields_nothing(string state, string command)
    {
        var after = States[state].Then(Commands[command](States[state]));
        // A second different offer may still be wanted; the same one may not.
        Assert.Contains(Names(Commands[command](after)), command is "offer" ? ["refused not-wanted", "refused already-offered"] : new[] { "" });
    }

    [Theory]
    [InlineData(0, "refused quantity"), InlineData(-1, "refused quantity"), InlineData(6, "refused quantity"), InlineData(5, "HelpCompleted"), InlineData(1, "HelpCompleted")]
    public void no_more_can_be_done_than_remains(int quantity, string expected) =>
        Assert.Equal(expected, Names(Match.DecideComplete(Fold(Received(quantity: 5), Made(O1, R1, 5), Accepted(O1, R1, 5)), O1, quantity, Later)));

    [Fact]
    public void what_remains_after_help_in_part_is_open_and_the_responder_may_be_asked_again()
    {
        var state = Fold(Received(quantity: 5), Made(O1, R1, 5), Accepted(O1, R1, 5));
        state = state.Then(Match.DecideComplete(state, O1, 2, Later));
        Assert.Equal((NeedState.Open, 3), (state.State, state.Remaining));
        Assert.Null(state.WhyNot(R1, Policy.Default, Later));
        Assert.Equal(1, state.OffersWanted(Policy.Default));
    }

    [Fact]
    public void acceptance_counts_until_the_expiry_is_in_the_log()
    {
        var state = States["offered"];
        Assert.Equal("OfferAccepted", Names(Match.DecideAccept(state, O1, Now.AddHours(2))));
        state = state.Then(Match.DecideExpire(state, Now.AddHours(2)));
        Assert.Equal("refused offer-ended", Names(Match.DecideAccept(state, O1, Now.AddHours(2))));
    }

    [Fact]
    public void a_responder_has_its_time_from_the_moment_that_it_is_told()
    {
        var told = Now.AddMinutes(50);
        var sent = Assert.IsType<OfferSent>(Assert.Single(Match.DecideDelivered(States["offered"], O1, "file", told, told.AddMinutes(5)).Events));
        Assert.Equal(told.AddHours(1), sent.ExpiresAt);
        var state = States["offered"].Then(sent);
        Assert.Empty(Match.DecideExpire(state, told.AddHours(1).AddTicks(-1)).Events);
        Assert.IsType<OfferExpired>(Assert.Single(Match.DecideExpire(state, told.AddHours(1)).Events));
    }

    [Theory, InlineData(-5, 0), InlineData(0, 0), InlineData(30, 30), InlineData(31, 30), InlineData(600, 30)]
    public void another_clock_makes_an_offer_neither_older_than_itself_nor_younger_than_now(int toldAfterMinutes, int countedFromMinutes)
    {
        var sent = Assert.IsType<OfferSent>(Assert.Single(
            Match.DecideDelivered(States["offered"], O1, "file", Now.AddMinutes(toldAfterMinutes), Now.AddMinutes(30)).Events));
        Assert.Equal(Now.AddMinutes(countedFromMinutes).AddHours(1), sent.ExpiresAt);
    }

    [Fact]
    public void a_responder_that_was_never_told_is_asked_again_at_once_and_does_not_count()
    {
        var untold = States["offered"].Then(Match.DecideUndeliverable(States["offered"], O1, "offer-expired", Later));
        Assert.Equal(OfferStatus.Undeliverable, untold.Find(O1)!.Status);
        Assert.Null(untold.WhyNot(R1, Policy.Default, Later));
        Assert.False(untold.IsExhausted(Policy.Default with { MaxUnansweredOffersPerNeed = 1 }));

        var unreachable = States["offered"].Then(Match.DecideUndeliverable(States["offered"], O1, "no-channel", Later));
        Assert.Equal(ExclusionReasons.AskedRecently, unreachable.WhyNot(R1, Policy.Default, Later));
        Assert.True(unreachable.IsExhausted(Policy.Default with { MaxUnansweredOffersPerNeed = 1 }));
    }

    [Fact]
    public void a_silent_responder_is_asked_again_only_after_a_while_and_one_that_declined_never()
    {
        var silent = States["expired"];
        Assert.Equal(ExclusionReasons.AskedRecently, silent.WhyNot(R1, Policy.Default, Now.AddHours(4).AddTicks(-1)));
        Assert.Null(silent.WhyNot(R1, Policy.Default, Now.AddHours(4)));
        Assert.Equal(ExclusionReasons.ExcludedDeclined, States["declined"].WhyNot(R1, Policy.Default, Now.AddYears(1)));
        Assert.Equal(ExclusionReasons.ExcludedReleased, States["released"].WhyNot(R1, Policy.Default, Now.AddYears(1)));
        Assert.Equal(ExclusionReasons.ExcludedRevoked, States["revoked"].WhyNot(R1, Policy.Default, Now.AddYears(1)));
    }

    [Fact]
    public void after_too_many_unanswered_offers_only_humans_go_on()
    {
        var policy = Policy.Default with { MaxUnansweredOffersPerNeed = 2 };
        var state = Fold(Received(), Made(O1, R1), new OfferExpired(O1, Request, R1, Now), Made(O2, R2), new OfferDeclined(O2, Request, R2, DeclineReason.Other, Now));
        Assert.Equal(0, state.OffersWanted(policy));
        var wait = Match.DecideWait(state, policy, () => new Nobody("full", new Dictionary<string, int>()), Later);
        Assert.Equal("offers-exhausted", Assert.IsType<NeedEscalated>(Assert.Single(wait.Events)).Reason);
    }

    [Fact]
    public void going_back_to_the_backlog_says_that_it_is_nothing_new_until_somebody_has_accepted()
    {
        var full = new Dictionary<string, int>();
        var (limit, back) = (Now.AddHours(24), new OfferDeclined(O1, Request, R1, DeclineReason.Other, Now));
        var (first, second) = (Fold(Received()), Fold(Received(), new NeedWaits(Request, "full", full, 1, Now), Made(O1, R1), back));
        Assert.False(Assert.IsType<NeedWaits>(Assert.Single(Match.DecideWait(first, Policy.Default, () => new Nobody("full", full), Later).Events)).Again);
        Assert.True(Assert.IsType<NeedWaits>(Assert.Single(Match.DecideWait(second, Policy.Default, () => new Nobody("full", full), Later).Events)).Again);
        Assert.False(Assert.IsType<NeedEscalated>(Assert.Single(Match.DecideWait(second, Policy.Default, () => new Nobody("full", full), limit).Events)).Again);

        var third = Fold(Received(), new NeedEscalated(Request, "full", 1, Now), Made(O1, R1), back);
        Assert.True(Assert.IsType<NeedEscalated>(Assert.Single(Match.DecideWait(third, Policy.Default, () => new Nobody("full", full), limit).Events)).Again);
        var accepted = Fold(Received(), new NeedEscalated(Request, "full", 1, Now), Made(O1, R1), Accepted(O1, R1), new OfferReleased(O1, Request, R1, "ill", Now));
        Assert.False(Assert.IsType<NeedEscalated>(Assert.Single(Match.DecideWait(accepted, Policy.Default, () => new Nobody("full", full), limit).Events)).Again);
    }

    [Fact]
    public void a_need_that_finds_nobody_after_its_limit_is_escalated_at_once() =>
        Assert.Equal("NeedEscalated", Names(Match.DecideWait(States["open"], Policy.Default, () => new Nobody("full", new Dictionary<string, int>()), Now.AddHours(24))));

    [Fact]
    public void the_urgency_that_was_raised_before_the_need_came_counts()
    {
        var state = MatchState.Initial.Then(Match.DecideRaiseUrgency(MatchState.Initial, Urgency.Health, Now));
        state = state.Then(Match.DecideReceive(state, Need(Urgency.Routine), Now));
        Assert.Equal((Urgency.Health, Urgency.Health), (state.Urgency, state.Need!.Urgency));
    }

    [Fact]
    public void a_word_from_before_the_reopening_that_comes_late_means_nothing()
    {
        var state = States["reopened"];
        Assert.Equal("", Names(Match.DecideCancel(state, Request, "x", Now, Later)));
        Assert.Equal("", Names(Match.DecideConfirm(state, Request, Now, Later)));
        Assert.Equal("", Names(Match.DecideHold(state, Request, null, Now, Later)));
        Assert.Equal("OfferRevoked, NeedCancelled", Names(Match.DecideCancel(state, Request, "x", Later.AddTicks(1), Later.AddTicks(1))));
    }

    [Theory]
    [InlineData("cancel reopen cancel", "Cancelled")]
    [InlineData("cancel reopen concern", "OnHold")]
    [InlineData("cancel concern reopen", "Open")]
    [InlineData("concern cancel", "Cancelled")]
    [InlineData("cancel concern", "Cancelled")]
    public void words_that_overtake_each_other_end_where_the_last_one_said_leads(string words, string expected)
    {
        var said = words.Split(' ').Select((word, index) => (Word: word, At: Now.AddSeconds(index + 1))).ToArray();
        foreach (var order in Orders(said))
        {
            var state = States["open"];
            foreach (var (word, at) in order)
                state = state.Then(word switch
                {
                    "cancel" => Match.DecideCancel(state, Request, "solved", at, Later),
                    "reopen" => Match.DecideReopen(state, Need(), "again", false, at, Later),
                    _ => Match.DecideHold(state, Request, null, at, Later),
                });
            Assert.True(state.State.ToString() == expected, $"{words} ends {state.State} when it comes as {string.Join(' ', order.Select(step => $"{step.Word} {step.At:ss}"))}.");
        }
    }

    private static IEnumerable<T[]> Orders<T>(T[] of) => of.Length <= 1
        ? [of]
        : of.SelectMany((first, index) => Orders([.. of[..index], .. of[(index + 1)..]]).Select(rest => (T[])[first, .. rest]));

    [Fact]
    public void the_clock_of_a_need_never_restarts()
    {
        var state = Match.DecideReopen(States["cancelled"], Need() with { SubmittedAt = Later }, "again", false, Later, Later);
        Assert.Equal(Now, States["cancelled"].Then(state).Need!.SubmittedAt);
    }

    [Fact]
    public void an_unknown_event_is_an_error() => Assert.Throws<InvalidOperationException>(() => MatchState.Evolve(MatchState.Initial, new Unheard(Now)));

    private sealed record Unheard(DateTimeOffset At) : MatchEvent(At);

    private static KeyValuePair<string, string>[] NoOffer => [.. Row("refused no-such-offer", "unknown", "open", "waiting", "escalated", "held", "cancelled", "tombstone")];

    private static Dictionary<string, string> Row(string events, params string[] states) => states.ToDictionary(state => state, _ => events);
}
