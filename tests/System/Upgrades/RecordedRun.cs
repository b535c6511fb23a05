using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Huzhu.SystemTests.Faults;
using Npgsql;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using Xunit;

namespace Huzhu.SystemTests.Upgrades;

/// <summary>What a run of a release left: its four databases, the messages that it sent in their order, and what of it is still open.</summary>
/// <param name="Keys">They open nothing but the recording, in which nobody real is.</param>
/// <param name="StartedOffer">An offer whose help has begun, with its need and request.</param>
/// <param name="Waiting">A need for which nobody could be found, with its request.</param>
internal sealed record RecordedRun(ServiceKeys Keys, string StartedOffer, string StartedNeed, string StartedRequest, string Waiting, string WaitingRequest)
{
    public static string Folder { get; } = Path.Combine(Repository.Find().Root, "tests", "System", "Upgrades", "Runs");

    private static string FileOf(string release, string name) => Path.Combine(Folder, release, name);

    public static RecordedRun Read(string release) => JsonSerializer.Deserialize<RecordedRun>(File.ReadAllText(FileOf(release, "run.json")), JsonSerializerOptions.Web)!;

    public async Task WriteAsync(string release, LocalDeployment huzhu, IReadOnlyList<RecordedMessage> messages)
    {
        Directory.CreateDirectory(Path.Combine(Folder, release));
        foreach (var (service, text) in huzhu.Description.Databases)
            await WriteGzipAsync(FileOf(release, $"{service}.sql.gz"), await DumpAsync(text));
        await WriteGzipAsync(FileOf(release, "messages.jsonl.gz"), string.Concat(messages.Select(message => JsonSerializer.Serialize(message, JsonSerializerOptions.Web) + "\n")));
        await File.WriteAllTextAsync(FileOf(release, "run.json"), JsonSerializer.Serialize(this, new JsonSerializerOptions(JsonSerializerDefaults.Web) { WriteIndented = true }) + "\n");
    }

    /// <summary>Brings a database to what the release left in it, as a dump is read in anywhere.</summary>
    public static async Task RestoreAsync(string release, string service, string connectionString)
    {
        await using var database = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await using var command = database.CreateCommand(await ReadGzipAsync(FileOf(release, $"{service}.sql.gz")));
        command.CommandTimeout = 120;
        await command.ExecuteNonQueryAsync();
    }

    public static async Task<IReadOnlyList<RecordedMessage>> MessagesAsync(string release) =>
        [.. (await ReadGzipAsync(FileOf(release, "messages.jsonl.gz"))).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<RecordedMessage>(line, JsonSerializerOptions.Web)!)];

    private static async Task<string> DumpAsync(string connectionString)
    {
        var connection = new NpgsqlConnectionStringBuilder(connectionString);
        await using var database = NpgsqlDataSource.Create(connection.ConnectionString);
        await using var command = database.CreateCommand("select setting from pg_config() where name = 'BINDIR'");
        var program = Path.Combine((string)(await command.ExecuteScalarAsync())!, "pg_dump");
        // Rows as statements: whoever reads them in needs no program of PostgreSQL.
        var ran = await Tool.RunAsync(program,
            ["-h", connection.Host!, "-p", connection.Port.ToString(CultureInfo.InvariantCulture), "-U", connection.Username!, "--no-owner", "--no-privileges", "--rows-per-insert=100", connection.Database!],
            TimeSpan.FromMinutes(2), new Dictionary<string, string> { ["PGPASSWORD"] = connection.Password! });
        Assert.True(ran.Succeeded, ran.Tail);
        // Newer ones fence their output with commands of psql, which are no SQL.
        return string.Join('\n', ran.Output.Split('\n').Where(line => !line.StartsWith('\\') && !line.StartsWith("--", StringComparison.Ordinal) && line.Length > 0)) + "\n";
    }

    private static async Task WriteGzipAsync(string file, string text)
    {
        await using var gzip = new GZipStream(File.Create(file), CompressionLevel.SmallestSize);
        await gzip.WriteAsync(Encoding.UTF8.GetBytes(text));
    }

    private static async Task<string> ReadGzipAsync(string file)
    {
        await using var gzip = new GZipStream(File.OpenRead(file), CompressionMode.Decompress);
        using var reader = new StreamReader(gzip);
        return await reader.ReadToEndAsync();
    }
}

/// <summary>One message as the broker had it.</summary>
internal sealed record RecordedMessage(string Exchange, string? Id, string? ContentType, JsonNode Body)
{
    /// <summary>Every contract that goes over this broker from now on, until the last channel is closed.</summary>
    public static async Task<List<RecordedMessage>> RecordAsync(IChannel channel, Broker broker)
    {
        var seen = new List<RecordedMessage>();
        var tap = await broker.TapAsync(channel);
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, delivery) =>
        {
            var body = JsonNode.Parse(delivery.Body.Span)!;
            // Whose machine it was is nobody's business.
            body.AsObject().Remove("host");
            lock (seen)
                seen.Add(new RecordedMessage(delivery.Exchange, delivery.BasicProperties.MessageId, delivery.BasicProperties.ContentType, body));
            return Task.CompletedTask;
        };
        await channel.BasicConsumeAsync(tap, autoAck: true, consumer);
        return seen;
    }

    public async Task SendAsync(IChannel channel) => await channel.BasicPublishAsync(Exchange, "", mandatory: true,
        new BasicProperties { MessageId = Id, ContentType = ContentType, Persistent = true }, Encoding.UTF8.GetBytes(Body.ToJsonString()));
}
