using Huzhu.Audit.Rechecking;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Audit;

public class LedgerHistoryTests
{
    [Fact]
    public void versions_are_kept_for_a_decision_that_is_still_to_be_looked_at_however_long_ago_it_was_made()
    {
        var (kept, letGo) = (new LedgerHistory(), new LedgerHistory());
        for (var minute = 0; minute < 200; minute++)
        {
            var change = new ResponderPaused(minute + 1, Now.AddMinutes(minute));
            kept.Append(R1, change, minute, asked: Now);
            letGo.Append(R1, change, minute, asked: change.At);
        }
        Assert.Equal(3, kept.At(R1, 3)!.Version);
        Assert.Null(letGo.At(R1, 3));
        Assert.Equal(200, letGo.At(R1, 200)!.Version);
    }

    [Fact]
    public void nothing_is_kept_of_what_no_decision_will_be_asked_about()
    {
        var history = new LedgerHistory();
        for (var minute = 0; minute < 10; minute++)
            history.Append(R1, new ResponderPaused(minute + 1, Now.AddMinutes(minute)), minute, asked: Now.AddDays(1));
        Assert.Null(history.At(R1, 9));
        Assert.Equal(10, history.At(R1, 10)!.Version);
    }
}
