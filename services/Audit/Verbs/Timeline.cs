using System.CommandLine;
using System.Text;
using System.Text.Json;
using Huzhu.Audit.Erasing;
using Huzhu.Audit.Reading;
using Huzhu.ServiceDefaults;

namespace Huzhu.Audit.Verbs;

/// <summary>What happened to one request, need, responder or person, across the four logs, with what caused it.</summary>
static class Timeline
{
    private const int LongestFact = 80;

    private sealed record Entry(string Service, StoredEvent Stored);

    public static Command Command(Settings settings)
    {
        var id = new Argument<Guid>("id") { Description = "Id of a request, a need, a responder or a person." };
        var asOf = new Option<DateTimeOffset?>("--as-of") { Description = "Only what was in the logs then.", HelpName = "TIME" };
        var json = new Option<bool>("--json") { Description = "As JSON, each event whole." };
        var html = new Option<FileInfo>("--html") { Description = "As a page to print, in this file.", HelpName = "FILE" };
        var command = new Command("timeline", "What happened to a request, a need or a responder, with causes.") { id, asOf, json, html };
        command.SetAction(async (parsed, cancellation) =>
        {
            var entries = (await FindAsync(parsed.GetValue(id), settings, cancellation))
                .Where(entry => !(entry.Stored.StoredAt > parsed.GetValue(asOf)))
                .OrderBy(entry => entry.Stored.StoredAt).ThenBy(entry => entry.Service, StringComparer.Ordinal).ThenBy(entry => entry.Stored.Sequence).ToList();
            if (entries.Count == 0)
                throw new UnknownIdException($"No log knows {parsed.GetValue(id)}.");
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(html) is { } file)
            {
                await File.WriteAllTextAsync(file.FullName, TimelinePage.Render(parsed.GetValue(id), entries.ConvertAll(RowOf)), cancellation);
                await output.WriteLineAsync($"{entries.Count} events in {file.FullName}.");
            }
            else if (parsed.GetValue(json))
                await output.WriteLineAsync(ToJson(entries));
            else
            {
                foreach (var entry in entries)
                    await output.WriteLineAsync(Line(entry));
            }
            return ExitCodes.Ok;
        });
        return command;
    }

    private static async Task<List<Entry>> FindAsync(Guid id, Settings settings, CancellationToken cancellation)
    {
        await using ServiceLog requests = settings.Open("requests"), groups = settings.Open("groups"), matching = settings.Open("matching"), notifications = settings.Open("notifications");
        var entries = new List<Entry>();
        var request = await TakeAsync(requests, "stream_id = any($1)", [id]);
        var directory = await TakeAsync(groups, "stream_id = any($1)", [id]);
        var own = request.Count > 0 ? [] : await TakeAsync(matching, "stream_id = any($1)", [id]);
        string about;
        Guid[] subjects;
        if (directory.Count > 0 || own.Exists(stored => stored.Type == "responder_listed"))
        {
            await TakeAsync(matching, "(type like 'offer%' or type like 'help%') and (data->>'responderId')::uuid = any($1)", [id]);
            (about, subjects) = ("responderId", [id]);
        }
        else
        {
            subjects = request.Count > 0 ? [.. request.SelectMany(NeedsOf).Distinct()] : [id];
            if (request.Count > 0)
                await TakeAsync(matching, "stream_id = any($1)", subjects);
            else if (own.Select(RequestOf).FirstOrDefault(found => found is not null) is { } behind)
                await TakeAsync(requests, "stream_id = any($1)", [behind]);
            await TakeAsync(matching, "type in ('place_held', 'place_released') and (data->>'needId')::uuid = any($1)", subjects);
            about = "needId";
            await TakeAsync(requests, "stream_id = any($1)", [.. entries.Where(entry => entry.Service == "requests").SelectMany(entry => PeopleOf(entry.Stored)).Distinct().Select(People.StreamOf)]);
        }
        foreach (var log in new[] { requests, groups })
            await TakeAsync(log, $"stream_id = any($1) or {PersonEvents.ReadingsOf}", [id, People.StreamOf(id), .. entries.Where(entry => entry.Stored.Type == "request_submitted").Select(entry => entry.Stored.Stream)]);
        var told = new List<Guid>();
        await foreach (var stored in notifications.FindAsync($"type = 'notification_requested' and (data->>'{about}')::uuid = any($1)", subjects, cancellation))
            told.Add(stored.Stream);
        await TakeAsync(notifications, "stream_id = any($1)", [.. told]);
        return entries;

        async Task<List<StoredEvent>> TakeAsync(ServiceLog log, string condition, Guid[] ids)
        {
            var found = new List<StoredEvent>();
            await foreach (var stored in log.FindAsync(condition, ids, cancellation))
                found.Add(stored);
            entries.AddRange(found.Where(stored => !entries.Exists(entry => entry.Stored.Id == stored.Id)).Select(stored => new Entry(log.Service, stored)));
            return found;
        }
    }

    private static IEnumerable<Guid> NeedsOf(StoredEvent stored)
    {
        using var data = JsonDocument.Parse(stored.Data);
        return data.RootElement.TryGetProperty("content", out var content) && content.TryGetProperty("needs", out var needs)
            ? [.. needs.EnumerateArray().Select(need => need.GetProperty("needId").GetGuid())]
            : [];
    }

    private static IEnumerable<Guid> PeopleOf(StoredEvent stored)
    {
        using var data = JsonDocument.Parse(stored.Data);
        return stored.Type == "request_submitted" ? [data.RootElement.GetProperty("personId").GetGuid(), data.RootElement.GetProperty("callerId").GetGuid()] : [];
    }

    private static Guid? RequestOf(StoredEvent stored)
    {
        using var data = JsonDocument.Parse(stored.Data);
        var at = data.RootElement.TryGetProperty("need", out var need) ? need : data.RootElement;
        return at.TryGetProperty("requestId", out var id) && id.TryGetGuid(out var request) ? request : null;
    }

    private static string Line(Entry entry)
    {
        var row = RowOf(entry);
        var line = new StringBuilder($"{row.Time}  {row.Service,-13} {row.Type,-26} {row.Stream} v{row.Version}");
        foreach (var (name, value) in row.Facts)
            line.Append($"\n    {name}: {value}");
        line.Append($"\n    event: {row.Event}, sequence {entry.Stored.Sequence}");
        if (row.Cause is { } cause)
            line.Append($"\n    caused by: {cause}");
        if (row.Trace is { } trace)
            line.Append($"\n    trace: {trace}");
        return line.ToString();
    }

    private static TimelinePage.Row RowOf(Entry entry)
    {
        var stored = entry.Stored;
        return new TimelinePage.Row(StoredEvent.TimeText(stored.StoredAt), entry.Service, stored.Type, stored.Stream, stored.Version, [.. FactsOf(stored)],
            stored.Id, stored.CausationId, TraceOf(stored));
    }

    /// <summary>What is short and in clear; what is encrypted is long.</summary>
    private static IEnumerable<(string Name, string Value)> FactsOf(StoredEvent stored)
    {
        using var data = JsonDocument.Parse(stored.Data);
        foreach (var fact in data.RootElement.EnumerateObject().Where(fact => fact.Name != "at"))
        {
            var text = fact.Value.ValueKind switch
            {
                JsonValueKind.String => fact.Value.GetString()!,
                JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => fact.Value.GetRawText(),
                _ => null,
            };
            if (text is not null && text.Length <= LongestFact)
                yield return (fact.Name, text);
        }
    }

    private static string? TraceOf(StoredEvent stored)
    {
        if (stored.Headers is null)
            return null;
        using var headers = JsonDocument.Parse(stored.Headers);
        return headers.RootElement.ValueKind is JsonValueKind.Object && headers.RootElement.TryGetProperty(ServiceDefaults.Cause.TraceParentHeader, out var parent)
            && parent.GetString()?.Split('-') is [_, var trace, ..] ? trace : null;
    }

    private static string ToJson(IEnumerable<Entry> entries)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartArray();
            foreach (var entry in entries)
            {
                writer.WriteStartObject();
                writer.WriteString("service", entry.Service);
                writer.WriteString("trace", TraceOf(entry.Stored));
                writer.WritePropertyName("event");
                entry.Stored.WriteTo(writer);
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }
}
