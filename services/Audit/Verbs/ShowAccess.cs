using System.CommandLine;
using System.Text.Json;
using Huzhu.Audit.Erasing;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Verbs;

/// <summary>Who has read a person's data, what of it, and why.</summary>
static class ShowAccess
{
    public static Command Command(Settings settings)
    {
        var id = new Argument<Guid>("person") { Description = "Id of a person, a request, or a group or provider." };
        var json = new Option<bool>("--json") { Description = "As JSON." };
        var command = new Command("access", "Who has read a person's data, or that of a request or responder, and why.") { id, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            var readings = await PersonEvents.ReadingsAsync(settings, parsed.GetValue(id), cancellation);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await output.WriteLineAsync(JsonSerializer.Serialize(readings.Select(one => new { one.Service, one.Access.At, one.Access.By, what = one.Access.What.ToString(), one.Access.Purpose, one.Access.Subject, one.Access.People }), Json));
            else
            {
                foreach (var (service, access) in readings)
                    await output.WriteLineAsync($"{StoredEvent.TimeText(access.At)}  {service,-13} {access.What,-10} by {access.By}, {access.Purpose ?? "no purpose given"}, about {access.Subject}");
                await output.WriteLineAsync($"{readings.Count} reading{(readings.Count == 1 ? "" : "s")}.");
            }
            return ExitCodes.Ok;
        });
        return command;
    }

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };
}
