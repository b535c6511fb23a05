using System.CommandLine;
using System.Text.Json;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Replaying;
using Huzhu.Pages;

namespace Huzhu.Audit.Verbs;

/// <summary>Who was served well and who was not: by communication need, by sub-district, by channel.</summary>
static class EquityReport
{
    public static Command Command(Settings settings)
    {
        var least = Replay.LeastShownOption();
        var json = new Option<bool>("--json") { Description = "As JSON." };
        var command = new Command("equity", "Time to offer and unmet needs by communication need, sub-district and channel, and how the help is spread.") { least, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            await using ServiceLog requests = settings.Open("requests"), matching = settings.Open("matching");
            var history = await History.ReadAsync(requests, matching, cancellation);
            var equity = Summary.Of(history, history.Course, history.Outcomes(history.Course), null, parsed.GetValue(least)).Equity;
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(JsonSerializer.Serialize(equity, Replay.Json));
                return ExitCodes.Ok;
            }
            foreach (var table in equity.Tables)
            {
                await output.WriteLineAsync($"{$"by {table.By}",-28}{"needs",8}{"to offer, median",18}{"90 % within",14}{"unmet",10}");
                foreach (var row in table.Rows)
                {
                    await output.WriteLineAsync(row.IsWithheld
                        ? $"  {row.Of,-26}{"withheld",8}"
                        : $"  {row.Of,-26}{row.Needs,8}{Say.Milliseconds(row.TimeToOfferSeconds!.P50 * 1000),18}{Say.Milliseconds(row.TimeToOfferSeconds.P90 * 1000),14}{Say.Share(row.UnmetShare!.Value),10}");
                }
                await output.WriteLineAsync();
            }
            foreach (var load in equity.Load)
                await output.WriteLineAsync($"{load.Responders} {load.Kind}s accepted {load.Accepted} offers: the busiest tenth took {Say.Share(load.TopTenthShare)}; Gini {load.Gini:0.00}.");
            await output.WriteLineAsync($"Rows of fewer than {equity.LeastShown} needs are withheld; where only one would be, the next smallest is too.");
            return ExitCodes.Ok;
        });
        return command;
    }
}
