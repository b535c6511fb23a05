using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Replaying;
using Huzhu.Matching.Domain;

namespace Huzhu.Audit.Verbs;

/// <summary>The same needs through other rules, or in another world, beside what happened.</summary>
static class Replay
{
    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Whole and nothing else: a name that is misspelt would leave its setting as it is in silence.</summary>
    private static readonly JsonSerializerOptions PolicyJson = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
    };

    public static Command Command(Settings settings)
    {
        var policy = new Option<FileInfo>("--policy") { Description = "Another policy: the JSON that PUT /v1/policy of Matching takes.", HelpName = "FILE" };
        policy.AcceptExistingOnly();
        var withoutGroups = new Option<bool>("--without-groups") { Description = "As if there were no groups." };
        var withoutClosures = new Option<bool>("--without-closures") { Description = "As if nobody closed and no zone were sealed." };
        var patience = new Option<double?>("--patience") { Description = "Whoever was without a responder for longer, all waits added, was not helped in time; without it only the outcome counts.", HelpName = "SECONDS" };
        var least = LeastShownOption();
        var json = new Option<bool>("--json") { Description = "As JSON." };
        var output = new Option<DirectoryInfo>("--out") { Description = "Also replay.html and replay.json, with every need, in this folder.", HelpName = "DIR" };
        var command = new Command("replay", "The same needs through another policy, without groups or without closures, beside what happened.")
        {
            policy, withoutGroups, withoutClosures, patience, least, json, output,
        };
        command.Validators.Add(result =>
        {
            if (result.GetResult(policy) is null && !result.GetValue(withoutGroups) && !result.GetValue(withoutClosures))
                result.AddError("Give --policy FILE, --without-groups or --without-closures");
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            var file = parsed.GetValue(policy);
            var variant = new Variant(file is null ? null : await ReadPolicyAsync(file, cancellation), parsed.GetValue(withoutGroups), parsed.GetValue(withoutClosures));
            string[] words =
            [
                .. file is null ? Array.Empty<string>() : [$"with {file.Name}"],
                .. variant.WithoutGroups ? ["without groups"] : Array.Empty<string>(), .. variant.WithoutClosures ? ["without closures"] : Array.Empty<string>(),
            ];
            await using ServiceLog requests = settings.Open("requests"), matching = settings.Open("matching");
            var history = await History.ReadAsync(requests, matching, cancellation);
            if (history.Asked.Count == 0)
                throw new AuditException("The logs hold no need.");
            var comparison = Comparison.Of(history, variant, string.Join(" and ", words),
                parsed.GetValue(patience) is { } seconds ? TimeSpan.FromSeconds(seconds) : null, parsed.GetValue(least));
            var console = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await console.WriteLineAsync(JsonSerializer.Serialize(comparison, Json));
            else
            {
                await console.WriteLineAsync($"{"",-42}{"as it happened",24}{"the same, simulated",24}  {comparison.Question}");
                foreach (var (name, value) in ReplayPage.Rows(comparison))
                    await console.WriteLineAsync($"{name,-42}{value(comparison.Happened),24}{value(comparison.Simulated),24}  {value(comparison.Instead)}");
            }
            if (parsed.GetValue(output) is { } folder)
            {
                folder.Create();
                await File.WriteAllTextAsync(Path.Combine(folder.FullName, "replay.html"), ReplayPage.Render(comparison), cancellation);
                await File.WriteAllTextAsync(Path.Combine(folder.FullName, "replay.json"),
                    JsonSerializer.Serialize(new { comparison, comparison.NeedsHappened, comparison.NeedsInstead }, Json), cancellation);
                if (!parsed.GetValue(json))
                    await console.WriteLineAsync($"Written to {folder.FullName}: replay.html, replay.json.");
            }
            return ExitCodes.Ok;
        });
        return command;
    }

    public static Option<int> LeastShownOption()
    {
        var option = new Option<int>("--least") { Description = "Rows of the equity tables with fewer needs are withheld.", DefaultValueFactory = _ => Equity.DefaultLeastShown, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var least) && least < 1)
                result.AddError($"--least takes a number above 0, not {least}");
        });
        return option;
    }

    private static async Task<Policy> ReadPolicyAsync(FileInfo file, CancellationToken cancellation)
    {
        try
        {
            var policy = JsonSerializer.Deserialize<Policy>(await File.ReadAllTextAsync(file.FullName, cancellation), PolicyJson)
                ?? throw new JsonException("It is null.");
            return policy.Errors() is { Count: > 0 } errors
                ? throw new AuditException($"{file.FullName} is out of bounds: {string.Join(" ", errors.Select(error => $"{error.Key}: {error.Value[0]}"))}")
                : policy;
        }
        catch (JsonException exception)
        {
            throw new AuditException($"{file.FullName} is no policy of Matching: {exception.Message}", exception);
        }
    }
}
