using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Audit.Exporting;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Verbs;

/// <summary>Writes the logs to files: pseudonymous for research, or exactly as they are for somebody who verifies with a program of their own.</summary>
static class Export
{
    public static Command Command(Settings settings)
    {
        var services = Settings.ServiceOption();
        var format = new Option<string>("--format")
        {
            Description = "cloudevents, csv and parquet are pseudonymous and come with a data dictionary; log has every row as it is (persons encrypted), for verifying.",
            DefaultValueFactory = _ => "cloudevents",
            HelpName = "FORMAT",
        };
        format.AcceptOnlyFromAmong("cloudevents", "csv", "parquet", "log");
        var output = new Option<DirectoryInfo>("--out") { Description = "The folder for the files.", Required = true, HelpName = "DIR" };
        var key = new Option<FileInfo>("--pseudonym-key") { Description = "A file whose bytes make the pseudonyms, so that a later export has the same ones; without it they are new each time.", HelpName = "FILE" };
        key.AcceptExistingOnly();
        var command = new Command("export", "Writes the logs to files: CloudEvents, CSV or Parquet, pseudonymous, or as they are.") { services, format, output, key };
        command.SetAction(async (parsed, cancellation) =>
        {
            var folder = parsed.GetValue(output)!;
            folder.Create();
            var how = parsed.GetValue(format)!;
            var pseudonyms = new Pseudonyms(parsed.GetValue(key) is { } file ? await File.ReadAllBytesAsync(file.FullName, cancellation) : RandomNumberGenerator.GetBytes(32));
            foreach (var service in parsed.GetValue(services)!.Distinct())
            {
                await using var log = settings.Open(service);
                var path = Path.Combine(folder.FullName, $"{service}.{(how is "csv" or "parquet" ? how : "jsonl")}");
                await using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, 1 << 16);
                if (how == "parquet")
                {
                    await parsed.InvocationConfiguration.Output.WriteLineAsync($"{service}: {await ParquetAsync(log, stream, pseudonyms, cancellation)} events in {path}.");
                    continue;
                }
                await using var writer = new StreamWriter(stream, new UTF8Encoding(false)) { NewLine = "\n" };
                if (how == "csv")
                    await writer.WriteLineAsync("service,sequence,time,type,stream,version,event,data");
                var count = 0L;
                await foreach (var stored in log.ReadAsync(cancellation: cancellation))
                {
                    if (how == "log")
                        await writer.WriteLineAsync(Row(stored));
                    else if (EventTypes.Of(service).TryGetValue(stored.Type, out var type))
                        await writer.WriteLineAsync(how == "csv" ? Csv(service, stored, type, pseudonyms) : CloudEvent(service, stored, type, pseudonyms));
                    count++;
                }
                await parsed.InvocationConfiguration.Output.WriteLineAsync($"{service}: {count} events in {path}.");
            }
            if (how != "log")
                await File.WriteAllTextAsync(Path.Combine(folder.FullName, "dictionary.md"), Dictionary(parsed.GetValue(services)!), cancellation);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static async Task<long> ParquetAsync(ServiceLog log, Stream stream, Pseudonyms pseudonyms, CancellationToken cancellation)
    {
        await using var file = await ParquetFile.CreateAsync(stream, cancellation);
        var count = 0L;
        await foreach (var stored in log.ReadAsync(cancellation: cancellation))
        {
            count++;
            if (EventTypes.Of(log.Service).TryGetValue(stored.Type, out var type))
            {
                await file.AddAsync(new ParquetFile.Row(stored.Sequence, stored.StoredAt, stored.Type, pseudonyms.Of(stored.Stream), stored.Version, pseudonyms.Of(stored.Id),
                    Treated(stored, type, pseudonyms).ToJsonString()), cancellation);
            }
        }
        await file.CompleteAsync(cancellation);
        return count;
    }

    private static string Row(StoredEvent stored)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
            stored.WriteTo(writer);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static string CloudEvent(string service, StoredEvent stored, Type type, Pseudonyms pseudonyms) => new JsonObject
    {
        ["specversion"] = "1.0",
        ["id"] = pseudonyms.Of(stored.Id).ToString(),
        ["source"] = $"/huzhu/{service}",
        ["type"] = $"org.huzhu.{service}.{stored.Type.Replace('_', '-')}.v1",
        ["subject"] = pseudonyms.Of(stored.Stream).ToString(),
        ["time"] = StoredEvent.TimeText(stored.StoredAt),
        ["sequence"] = stored.Sequence.ToString("D20", CultureInfo.InvariantCulture),
        ["datacontenttype"] = "application/json",
        ["data"] = Treated(stored, type, pseudonyms),
    }.ToJsonString();

    private static string Csv(string service, StoredEvent stored, Type type, Pseudonyms pseudonyms) => string.Create(CultureInfo.InvariantCulture,
        $"{service},{stored.Sequence},{StoredEvent.TimeText(stored.StoredAt)},{stored.Type},{pseudonyms.Of(stored.Stream)},{stored.Version},{pseudonyms.Of(stored.Id)},\"{Treated(stored, type, pseudonyms).ToJsonString().Replace("\"", "\"\"", StringComparison.Ordinal)}\"");

    private static JsonObject Treated(StoredEvent stored, Type type, Pseudonyms pseudonyms)
    {
        using var data = JsonDocument.Parse(stored.Data);
        return Fields.Treat(stored.Type, type, data.RootElement, pseudonyms);
    }

    private static string Dictionary(IEnumerable<string> services)
    {
        var text = new StringBuilder("# Data dictionary\n\nEvery event type and what became of each of its fields. `kept`: as in the log. `pseudonym`: an id, replaced by another that is the same throughout this export. `coarsened`: a position, to about a kilometre. `left out`: a text that somebody wrote, who did it, or personal data.\n");
        foreach (var service in services.Distinct())
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {service}\n\n| event | field | type | treatment |\n|---|---|---|---|\n");
            foreach (var (name, type) in EventTypes.Of(service).OrderBy(known => known.Key, StringComparer.Ordinal))
            {
                foreach (var (path, field, treatment) in Fields.Dictionary(name, type).Where(one => one.Treatment is not Treatment.Nested))
                    text.Append(CultureInfo.InvariantCulture, $"| {name} | {path} | {NameOf(field)} | {JsonNamingPolicy.SnakeCaseLower.ConvertName(treatment.ToString()).Replace('_', ' ')} |\n");
            }
        }
        return text.ToString();
    }

    private static string NameOf(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type.IsGenericType ? $"{type.Name[..type.Name.IndexOf('`')]} of {string.Join(", ", type.GetGenericArguments().Select(NameOf))}" : type.Name;
    }
}
