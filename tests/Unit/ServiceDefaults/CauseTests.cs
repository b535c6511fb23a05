using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Unit.ServiceDefaults;

public sealed class CauseTests
{
    private const string Began = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", SameTrace = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
        OtherTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    [Theory]
    [InlineData(SameTrace, Began, SameTrace, null)]
    [InlineData(OtherTrace, Began, Began, OtherTrace)]
    [InlineData(null, Began, Began, null)]
    [InlineData(OtherTrace, null, OtherTrace, null)]
    [InlineData(null, null, null, null)]
    public void an_event_stays_in_the_trace_that_its_need_began_with(string? caused, string? began, string? trace, string? link) =>
        Assert.Equal(new Cause(trace, "message", link), new Cause(caused, "message").Within(began));
}
