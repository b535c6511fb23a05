using Huzhu.Groups.Features;
using Xunit;

namespace Huzhu.Tests.Unit.Groups;

public class OpeningTextTests
{
    public static TheoryData<string, string> Notes => new()
    {
        { "close-later", "closes at 2022-04-02T12:00:00Z" },
        { "close", "The provider is closed." },
        { "reopen-held", "stays closed while the measure \"Lockdown of W\" is in force" },
        { "reopen-paused", "is paused" },
        { "reopen", "The provider is open." },
        { "close-overruled", "something said later" },
    };

    [Theory, MemberData(nameof(Notes))]
    public void the_answer_says_what_the_word_did_and_what_it_did_not(string which, string says)
    {
        var noon = Entries.Noon;
        Huzhu.Groups.Domain.ProviderEvent registered = new Huzhu.Groups.Domain.ProviderRegistered(Entries.Entry(), [], "c", noon);
        Huzhu.Groups.Domain.ProviderEvent held = new Huzhu.Groups.Domain.ProviderHeldByMeasure(new(Entries.Lockdown.Id, Entries.Lockdown.Name, [Entries.Inside]), noon);
        var note = which switch
        {
            "close-later" => PublishOpening.Explain(Entries.ProviderAfter(registered), new(true, "r", noon.AddDays(1), null, noon), noon),
            "close" => PublishOpening.Explain(Entries.ProviderAfter(registered, new Huzhu.Groups.Domain.ProviderClosed("r", noon)), new(true, "r", noon, null, noon), noon),
            "reopen-held" => PublishOpening.Explain(Entries.ProviderAfter(registered, held), new(false, "r", noon, null, noon), noon),
            "reopen-paused" => PublishOpening.Explain(Entries.ProviderAfter(registered, new Huzhu.Groups.Domain.ProviderPaused("r", "c", noon)), new(false, "r", noon, null, noon), noon),
            "reopen" => PublishOpening.Explain(Entries.ProviderAfter(registered), new(false, "r", noon, null, noon), noon),
            _ => PublishOpening.Explain(Entries.ProviderAfter(registered), new(true, "r", noon, null, noon), noon),
        };
        Assert.Contains(says, note);
    }
}
