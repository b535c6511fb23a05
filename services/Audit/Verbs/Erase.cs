using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Huzhu.Audit.Erasing;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Verbs;

/// <summary>Asks the running services to erase a person. The one verb that changes something, and it does so as any operator may.</summary>
static class Erase
{
    public static Command Command(Settings settings)
    {
        var id = new Argument<Guid?>("person") { Description = "Id of a person, of one of their requests, or of a group or provider whose contact it is.", Arity = ArgumentArity.ZeroOrOne };
        var basis = new Option<string>("--basis") { Description = "On what ground, as a code of letters and dashes.", DefaultValueFactory = _ => "request-of-the-person", HelpName = "CODE" };
        var force = new Option<bool>("--force") { Description = "End what is under way for them; without it, that is a reason not to erase." };
        var repeat = new Option<FileInfo>("--repeat") { Description = "Instead of one person: whoever was erased according to this erasure-report --json and is not in these logs, which were restored. Ends what is under way for them.", HelpName = "FILE" };
        repeat.AcceptExistingOnly();
        var command = new Command("erase", "Erases a person's data in the running services, for good.") { id, basis, force, repeat };
        command.Validators.Add(result =>
        {
            if ((result.GetValue(id) is null) == (result.GetResult(repeat) is null or { Implicit: true }))
                result.AddError("erase takes the id of a person, or --repeat with a report, and not both");
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            using var services = new RunningServices(settings);
            if (parsed.GetValue(repeat) is { } report)
                return await RepeatAsync(settings, services, report, output, cancellation);
            var (asked, query) = (parsed.GetValue(id)!.Value, QueryOf(parsed.GetValue(basis)!, parsed.GetValue(force)));
            if (await services.SendAsync(HttpMethod.Get, "requests", $"v1/requests/{asked}", cancellation) is (HttpStatusCode.OK, var request))
            {
                var (person, caller) = (request.GetProperty("personId").GetGuid(), request.GetProperty("callerId").GetGuid());
                await output.WriteLineAsync($"Request {asked} is of person {person}{(person == caller ? "" : $"; {caller} called for them, and is another person to be erased")}.");
                asked = person;
            }
            var known = false;
            foreach (var service in new[] { "requests", "groups" })
            {
                var (status, answer) = await services.SendAsync(HttpMethod.Delete, service, $"v1/people/{asked}{query}", cancellation);
                if (status == HttpStatusCode.NotFound)
                    continue;
                if (status != HttpStatusCode.OK)
                {
                    await output.WriteLineAsync($"{service}: not erased: {answer.GetProperty("detail").GetString()}");
                    return ExitCodes.Found;
                }
                known = true;
                var ended = answer.GetProperty("ended").GetInt32();
                await output.WriteLineAsync(answer.GetProperty("repeated").GetBoolean()
                    ? $"{service}: {asked} was erased already, at {answer.GetProperty("erasedAt").GetString()}."
                    : $"{service}: {asked} is erased{(ended > 0 ? $", and {ended} that {(ended == 1 ? "was" : "were")} under way ended with it" : "")}.");
            }
            return known ? ExitCodes.Ok : throw new AuditException($"No service holds anything of {asked}.");
        });
        return command;
    }

    private static string QueryOf(string basis, bool force) => $"?basis={Uri.EscapeDataString(basis)}&force={(force ? "true" : "false")}";

    /// <summary>Only what the logs do not know: somebody who was erased, came back and gave data anew keeps it.</summary>
    private static async Task<int> RepeatAsync(Settings settings, RunningServices services, FileInfo report, TextWriter output, CancellationToken cancellation)
    {
        List<Reported> reported;
        try
        {
            reported = JsonSerializer.Deserialize<List<Reported>>(await File.ReadAllTextAsync(report.FullName, cancellation), ReportJson) ?? throw new JsonException("it is null.");
            if (reported.Exists(one => one is null || !PersonEvents.Services.Contains(one.Service)))
                throw new JsonException($"an erasure is of {string.Join(" or ", PersonEvents.Services)}.");
        }
        catch (JsonException exception)
        {
            throw new AuditException($"{report.FullName} is not what erasure-report --json writes: {exception.Message}", exception);
        }
        var (repeated, refused) = (0, 0);
        foreach (var service in PersonEvents.Services)
        {
            await using var log = settings.Open(service);
            var known = (await PersonEvents.ErasuresAsync(log, null, cancellation)).ToLookup(found => found.Erased.PersonId, found => found.Erased.At);
            // Once is enough, however often somebody was erased; and so is a later erasure than the report's.
            foreach (var one in reported.Where(one => one.Service == service).GroupBy(one => one.PersonId).Select(erasures => erasures.MaxBy(erasure => erasure.At)!)
                .Where(one => !known[one.PersonId].Any(at => at >= one.At)))
            {
                var (status, answer) = await services.SendAsync(HttpMethod.Delete, service, $"v1/people/{one.PersonId}{QueryOf(one.Basis, force: true)}", cancellation);
                if (status is HttpStatusCode.OK or HttpStatusCode.NotFound)
                {
                    repeated++;
                    await output.WriteLineAsync($"{service}: {one.PersonId} {(status == HttpStatusCode.OK ? "is erased again" : "is not known here")}.");
                    continue;
                }
                refused++;
                await output.WriteLineAsync($"{service}: {one.PersonId} is not erased: {answer.GetProperty("detail").GetString()}");
            }
        }
        await output.WriteLineAsync($"{reported.Count} erasures in the report, {repeated} of them repeated, {refused} refused; the others are in the logs.");
        return refused == 0 ? ExitCodes.Ok : ExitCodes.Found;
    }

    /// <summary>What lacks something is no report: nobody is passed over in silence.</summary>
    private static readonly JsonSerializerOptions ReportJson = new(ErasureReport.Json) { RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true };

    /// <summary>One erasure as a report tells it.</summary>
    private sealed record Reported(string Service, Guid PersonId, DateTimeOffset At, string Basis);

    private sealed class RunningServices(Settings settings) : IDisposable
    {
        private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30), DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", settings.Token) } };

        public async Task<(HttpStatusCode Status, JsonElement Answer)> SendAsync(HttpMethod method, string service, string path, CancellationToken cancellation)
        {
            try
            {
                using var request = new HttpRequestMessage(method, new Uri(settings.AddressOf(service), path));
                using var response = await _http.SendAsync(request, cancellation);
                using var answer = JsonDocument.Parse(await response.Content.ReadAsStreamAsync(cancellation));
                return (response.StatusCode, answer.RootElement.Clone());
            }
            catch (Exception exception) when (exception is HttpRequestException or JsonException || exception is TaskCanceledException && !cancellation.IsCancellationRequested)
            {
                throw new AuditException($"{service} does not answer at {settings.AddressOf(service)}; what other services have erased stays so, and this can be repeated.", exception);
            }
        }

        public void Dispose() => _http.Dispose();
    }
}
