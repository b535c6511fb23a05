using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Verbs;

/// <summary>Asks the running services to erase a person. The one verb that changes something, and it does so as any operator may.</summary>
static class Erase
{
    public static Command Command(Settings settings)
    {
        var id = new Argument<Guid>("person") { Description = "Id of a person, of one of their requests, or of a group or provider whose contact it is." };
        var basis = new Option<string>("--basis") { Description = "On what ground, as a code of letters and dashes.", DefaultValueFactory = _ => "request-of-the-person", HelpName = "CODE" };
        var force = new Option<bool>("--force") { Description = "End what is under way for them; without it, that is a reason not to erase." };
        var command = new Command("erase", "Erases a person's data in the running services, for good.") { id, basis, force };
        command.SetAction(async (parsed, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            using var services = new RunningServices(settings);
            var (asked, query) = (parsed.GetValue(id), $"?basis={Uri.EscapeDataString(parsed.GetValue(basis)!)}&force={(parsed.GetValue(force) ? "true" : "false")}");
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
