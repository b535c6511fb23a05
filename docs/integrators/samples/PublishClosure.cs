// Says on Huzhu's broker that a provider is closed, or that it is open again.
//
//   dotnet run PublishClosure.cs amqp://clinic-rota:…@broker.example/huzhu 6f9619ff-8b86-4d01-b42d-00cf4fc964ff closed
//   dotnet run PublishClosure.cs amqp://clinic-rota:…@broker.example/huzhu 6f9619ff-8b86-4d01-b42d-00cf4fc964ff reopened
#:property PublishAot=false
#:package CloudNative.CloudEvents.SystemTextJson@2.9.0
#:package RabbitMQ.Client@7.2.2

using System.Net.Mime;
using System.Text.Json;
using CloudNative.CloudEvents;
using CloudNative.CloudEvents.SystemTextJson;
using RabbitMQ.Client;

var (broker, provider, word) = (args[0], args[1], args[2]);
var said = new CloudEvent
{
    Id = Guid.NewGuid().ToString(), // the same event sent again keeps its id
    Source = new Uri("//clinic.example/rota", UriKind.RelativeOrAbsolute),
    Type = $"org.huzhu.provider.{word}.v1",
    Subject = provider,
    Time = DateTimeOffset.UtcNow,
    DataContentType = MediaTypeNames.Application.Json,
    Data = new { reason = word == "closed" ? "lockdown" : "the measure is over" },
};

var formatter = new JsonEventFormatter();
var properties = new BasicProperties { Persistent = true };
ReadOnlyMemory<byte> body;
if (word == "closed")
{
    // Binary mode: the attributes are headers, the body is the data.
    body = JsonSerializer.SerializeToUtf8Bytes(said.Data);
    properties.ContentType = MediaTypeNames.Application.Json;
    properties.Headers = said.GetPopulatedAttributes().Where(pair => pair.Key.Name != "datacontenttype")
        .ToDictionary(pair => $"cloudEvents_{pair.Key.Name}", object? (pair) => pair.Key.Format(pair.Value));
    properties.Headers["cloudEvents_specversion"] = "1.0";
}
else
{
    // Structured mode: the whole event is the body. Either mode does for either word.
    body = formatter.EncodeStructuredModeMessage(said, out var contentType);
    properties.ContentType = contentType.MediaType;
}

await using var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync();
await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
// Returns after the broker's confirm; throws when no queue takes it.
await channel.BasicPublishAsync("huzhu.providers", $"{provider}.{word}", mandatory: true, properties, body);
