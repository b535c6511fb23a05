using Huzhu.Contracts;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

public class ChannelAbilitiesTests
{
    public static TheoryData<CommunicationNeed, bool, bool> Table => new()
    {
        // need, by text, by voice
        { CommunicationNeed.SignLanguage, true, false },
        { CommunicationNeed.TextOnly, true, false },
        { CommunicationNeed.VoiceOnly, false, true },
        { CommunicationNeed.ScreenReader, true, false },
        { CommunicationNeed.EasyRead, true, false },
        { CommunicationNeed.Interpreter, true, true },
        { CommunicationNeed.Proxy, true, true },
    };

    [Theory, MemberData(nameof(Table))]
    public void what_carries_what(CommunicationNeed need, bool byText, bool byVoice)
    {
        Assert.Equal(byText, Given.TextOnly.Carries(need));
        Assert.Equal(byVoice, Given.VoiceOnly.Carries(need));
        Assert.True(Given.Both.Carries(need));
    }

    [Fact]
    public void the_table_has_every_need() =>
        Assert.Equal(Enum.GetValues<CommunicationNeed>(), Table.Select(row => row.Data.Item1));
}
