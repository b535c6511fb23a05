using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Features;
using Huzhu.Requests.Features;
using Huzhu.ServiceDefaults;
using Huzhu.Tests.Unit.Requests;
using Microsoft.Extensions.Configuration;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.ConsolePages;

/// <summary>What the links that people get open, and what they do not.</summary>
public class LinksTests
{
    private static readonly string Key = Convert.ToBase64String(new byte[32]);
    private static readonly LinkSigner Signer = new(new byte[32]);
    private static readonly VisitKeys Visits = new(new ConfigurationBuilder().AddInMemoryCollection([new("Offers:LinkKey", Key)]).Build());
    private static readonly RequestLinks Links = new(new ConfigurationBuilder().AddInMemoryCollection([new("PersonalData:MasterKey", Key)]).Build());

    [Fact]
    public void an_offer_tells_what_is_asked_while_it_may_be_answered_and_whom_to_see_only_once_it_is_taken()
    {
        var open = OfferedView.Of(Fold(Received(), Made(O1, R1)), Fold(Received(), Made(O1, R1)).Find(O1)!, Now, Signer);
        Assert.Equal(("made", ServiceKinds.Meals, 120.5, (string?)null, (RequestId?)null), (open.State, open.Kind, open.DistanceMetres!.Value, open.VisitKey, open.RequestId));
        var taken = Fold(Received(), Made(O1, R1), Accepted(O1, R1));
        var accepted = OfferedView.Of(taken, taken.Find(O1)!, Now.AddDays(3), Signer);
        Assert.Equal(("accepted", (NeedId?)Need().NeedId), (accepted.State, accepted.NeedId));
        Assert.NotNull(accepted.VisitKey);
    }

    [Fact]
    public void an_offer_that_is_over_tells_that_and_nothing_else()
    {
        var made = Fold(Received(), Made(O1, R1));
        var declined = Fold(Received(), Made(O1, R1), new OfferDeclined(O1, Need().RequestId, R1, DeclineReason.Other, Now));
        var released = Fold(Received(), Made(O1, R1), Accepted(O1, R1), new OfferReleased(O1, Need().RequestId, R1, "ill", Now));
        foreach (var (state, at, word) in new[] { (made, Now.AddHours(1), "expired"), (declined, Now, "declined"), (released, Now, "released") })
            Assert.Equal(new OfferedView(O1, word, state.Find(O1)!.ExpiresAt), OfferedView.Of(state, state.Find(O1)!, at, Signer));
    }

    [Theory]
    [InlineData("open", false)]
    [InlineData("offered", false)]
    [InlineData("accepted", true)]
    [InlineData("fulfilled", false)]
    [InlineData("on-hold", false)]
    [InlineData("missing", false)]
    public void a_visit_is_shown_to_who_has_the_need_in_hand_and_only_then(string state, bool shown)
    {
        var key = Signer.Sign(OfferedView.VisitPurpose, Given.Need.Value, Given.Helper.Value);
        Assert.Equal(shown ? Given.Helper : null, Visits.HolderOf(Given.State(state), Given.Need, key));
        Assert.Null(Visits.HolderOf(Given.State(state), Given.Need, Signer.Sign(OfferedView.VisitPurpose, Given.Need.Value, Given.Stranger.Value)));
        Assert.Null(Visits.HolderOf(Given.State(state), Given.Need, Signer.Sign("offer", Given.Need.Value, Given.Helper.Value)));
        Assert.Null(Visits.HolderOf(Given.State(state), null, key));
        Assert.Null(new VisitKeys(new ConfigurationBuilder().Build()).HolderOf(Given.State(state), Given.Need, key));
    }

    [Fact]
    public void a_requests_link_is_its_own_and_ends_a_while_after_the_help()
    {
        var key = Links.KeyOf(Given.Request, Given.Person);
        Assert.True(Links.IsOf(Given.State("open"), key));
        Assert.False(Links.IsOf(Given.State("open"), Links.KeyOf(Given.Request, Given.Proxy)));
        Assert.False(Links.IsOf(Given.State("open"), null));
        Assert.False(Links.IsOf(Given.State("missing"), Links.KeyOf(default, default)));
        var later = Given.Now + RequestLinks.Life + TimeSpan.FromDays(1);
        Assert.False(RequestLinks.HasEnded(Given.State("waiting"), later));
        // The older need may still be under way.
        Assert.False(RequestLinks.HasEnded(Given.State("repeat"), later));
        foreach (var ended in new[] { "fulfilled", "closed", "cancelled", "abandoned" })
        {
            Assert.True(RequestLinks.HasEnded(Given.State(ended), later), ended);
            Assert.False(RequestLinks.HasEnded(Given.State(ended), Given.Now.AddDays(1)), ended);
        }
    }
}
