using System.CommandLine;
using System.Diagnostics;
using Huzhu.Audit.Rechecking;

namespace Huzhu.Audit.Verbs;

/// <summary>Decides every offer again.</summary>
static class RecheckOffers
{
    private const int Shown = 50;

    public static Command Command(Settings settings)
    {
        var from = new Option<DateTimeOffset?>("--from") { Description = "Only offers made from then on.", HelpName = "TIME" };
        var to = new Option<DateTimeOffset?>("--to") { Description = "Only offers made until then.", HelpName = "TIME" };
        var command = new Command("recheck", "Decides every offer again from Matching's log, and names what comes out otherwise.") { from, to };
        command.SetAction(async (parsed, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            await using var log = settings.Open("matching");
            var started = Stopwatch.GetTimestamp();
            var result = await new Recheck(parsed.GetValue(from), parsed.GetValue(to)).RunAsync(log, cancellation);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            foreach (var difference in result.Differences.Take(Shown))
                await output.WriteLineAsync(difference.Words);
            if (result.Different > Shown)
                await output.WriteLineAsync($"And {result.Different - Shown} more.");
            await output.WriteLineAsync($"{result.Offers} offers decided again in {seconds:0.0} s: {Math.Max(0, result.Offers - result.Different)} come out alike, {result.Different} do not.");
            if (result.Plans > 0)
                await output.WriteLineAsync($"{result.PlansCertified} of {result.Plans} assignments of many needs together are proved by their prices to be the best there was{(result.Unjudged > 0 ? $"; of {result.Unjudged} a need had moved on before they were in the log" : "")}.");
            if (result.Retried > 0)
                await output.WriteLineAsync($"For {result.Retried} of them, ledgers that the offer does not name were taken at a version that the same transaction, or another replica a moment before, had written.");
            return result.Different == 0 ? ExitCodes.Ok : ExitCodes.Found;
        });
        return command;
    }
}
