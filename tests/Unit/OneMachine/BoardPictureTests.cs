using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Local.Verbs;
using Huzhu.Matching.Operations;
using Spectre.Console;
using Xunit;

namespace Huzhu.Tests.Unit.OneMachine;

/// <summary>The board as Matching answers it, as the terminal shows it.</summary>
public class BoardPictureTests
{
    private static readonly DateTimeOffset Now = new(2022, 4, 1, 8, 30, 0, TimeSpan.Zero);

    private static readonly Board Full = new(
        Now,
        [
            new NeedCount("waiting", Urgency.LifeThreatening, 2), new NeedCount("waiting", Urgency.Routine, 1234), new NeedCount("offered", Urgency.Health, 17),
            new NeedCount("fulfilled", Urgency.Hardship, 905), new NeedCount("on-hold", Urgency.Health, 3),
        ],
        new OldestWaiting(new NeedId(Guid.NewGuid()), "escalated", Urgency.Health, Now.AddMinutes(-42)),
        [new TimeToOffer(Urgency.LifeThreatening, 40, 38, 0.4, 1.25, 600, 0.95)],
        [new SubDistrictLoad("J", null, 3, 1, 2, 5, 1, 21, 60), new SubDistrictLoad("K", null, 0, 0, 0, 2, 0, 4, 10)],
        [], [], 1, new RelayState(12, Now.AddSeconds(-3)), [new QueueDepth("matching-receive-need", 250, 1), new QueueDepth("matching-hold-need", 1, 1)], 2);

    [Fact]
    public void the_board_is_shown_with_its_numbers()
    {
        var shown = Shown(Full);
        Assert.Contains(shown, line => line.StartsWith("needs", StringComparison.Ordinal) && line.IndexOf("life-threatening", StringComparison.Ordinal) < line.IndexOf("routine", StringComparison.Ordinal));
        // Danger of life first, then by urgency, then all.
        Assert.Equal(["2", "0", "0", "1,234", "1,236"], Numbers("in the backlog"));
        Assert.Equal(["0", "17", "0", "0", "17"], Numbers("offered  "));
        Assert.Equal(["0", "3", "0", "0", "3"], Numbers("on hold"));
        Assert.Equal(["905", "0", "905"], Numbers("fulfilled, of the last hour")[2..]);
        Assert.Contains("1.3 s", Line("time to offer"));
        Assert.Contains("95%", Line("offered in time"));
        Assert.Contains("42 min, health, left to people", Line("oldest"));
        Assert.Contains("25 free of 70", Line("places"));
        Assert.Contains("12 events behind, 3.0 s", Line("relay"));
        Assert.Contains("251 messages, most in matching-receive-need", Line("queues"));
        Assert.EndsWith("2", Line("replicas"));
        Assert.Contains("08:30:00", Line("at "));

        string Line(string beginning) => Assert.Single(shown, line => line.StartsWith(beginning, StringComparison.Ordinal)).TrimEnd();
        string[] Numbers(string beginning) => Line(beginning)[beginning.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    [Fact]
    public void what_is_not_known_is_said_so()
    {
        var shown = Shown(Full with { Needs = [], Oldest = null, TimeToOffer = [], Relay = new RelayState(0, null), Queues = null, Replicas = null });
        Assert.Contains(shown, line => line.Contains("nobody waits", StringComparison.Ordinal));
        Assert.Contains(shown, line => line.Contains("the broker does not answer", StringComparison.Ordinal));
        Assert.Contains(shown, line => line.StartsWith("relay", StringComparison.Ordinal) && line.Contains("nothing waits", StringComparison.Ordinal));
        // An older Matching answers less.
        Assert.NotEmpty(Shown(new JsonObject()));
    }

    private static string[] Shown(Board board) => Shown(JsonSerializer.SerializeToNode(board, JsonSerializerOptions.Web)!);

    private static string[] Shown(JsonNode board)
    {
        using var writer = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer), Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Interactive = InteractionSupport.No });
        console.Profile.Width = 160;
        console.Write(BoardPicture.Of(board));
        return [.. writer.ToString().Split('\n').Select(line => line.TrimStart())];
    }
}
