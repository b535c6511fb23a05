using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Groups.Features;
using Huzhu.Local.Infrastructure;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.Tests.Unit.Contracts;

/// <summary>
/// The AsyncAPI description is made from the contracts themselves, and committed: a change of a contract is a change of
/// that file, for everybody to see.
/// </summary>
public class AsyncApiTests
{
    [Fact]
    public void the_committed_description_is_that_of_the_contracts() => CommittedDocument.AssertSame("docs/integrators/asyncapi.json", AsyncApi.Build());
}

internal static partial class AsyncApi
{
    private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web)
    {
        RespectNullableAnnotations = true,
        // What is written, not all that would be read.
        NumberHandling = JsonNumberHandling.Strict,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    private static readonly JsonSchemaExporterOptions Exporter = new()
    {
        TreatNullObliviousAsNonNullable = true,
        TransformSchemaNode = (context, schema) =>
        {
            var type = Nullable.GetUnderlyingType(context.TypeInfo.Type) ?? context.TypeInfo.Type;
            var isNullable = type != context.TypeInfo.Type;
            // A typed id has a converter of its own, which the exporter cannot look into.
            if (type.GetInterfaces().Any(one => one.IsGenericType && one.GetGenericTypeDefinition() == typeof(ITypedId<>)))
                return new JsonObject { ["type"] = isNullable ? new JsonArray("string", "null") : "string", ["format"] = "uuid" };
            return schema;
        },
    };

    public static JsonObject Build()
    {
        var (channels, operations, messages, schemas) = (new JsonObject(), new JsonObject(), new JsonObject(), new JsonObject());

        var contracts = typeof(Need).Assembly.GetExportedTypes().Where(type => type.Namespace!.Contains(".V1", StringComparison.Ordinal) && IsMessage(type)).OrderBy(type => type.FullName, StringComparer.Ordinal);
        foreach (var type in contracts)
        {
            var service = type.Namespace!.Split('.')[2];
            var name = $"{service}.{type.Name}";
            schemas[name] = SchemaOf(type);
            messages[name] = new JsonObject
            {
                ["name"] = name,
                ["summary"] = Summaries.Value.GetValueOrDefault(type.Name),
                ["contentType"] = "application/vnd.masstransit+json",
                ["payload"] = new JsonObject
                {
                    ["type"] = "object",
                    ["required"] = new JsonArray("messageId", "messageType", "message"),
                    ["properties"] = new JsonObject
                    {
                        ["messageId"] = new JsonObject { ["type"] = "string", ["format"] = "uuid", ["description"] = "Id of the stored event behind it: the same when it comes again." },
                        ["messageType"] = new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string" }, ["description"] = $"urn:message:{type.Namespace}:{type.Name}" },
                        ["message"] = new JsonObject { ["$ref"] = $"#/components/schemas/{name}" },
                    },
                },
            };
            Add(name, $"{type.Namespace}:{type.Name}", "fanout", "send", [name], $"What {service} tells the other services.");
        }

        schemas["ProviderWord"] = JsonNode.Parse($$"""
            {"type": "object", "required": ["reason"], "properties": {
              "reason": {"type": "string", "minLength": 1, "maxLength": {{ReasonBody.MaxReason}}},
              "from": {"type": ["string", "null"], "format": "date-time"}, "until": {"type": ["string", "null"], "format": "date-time"} } }
            """);
        foreach (var (name, type) in new[] { ("ProviderClosed", ProviderEventFormat.ClosedType), ("ProviderReopened", ProviderEventFormat.ReopenedType) })
        {
            messages[name] = CloudEvent($"{name}, structured", type, "ProviderWord", "The provider's id.");
            messages[$"{name}Binary"] = new JsonObject
            {
                ["name"] = $"{name}, binary",
                ["contentType"] = "application/json",
                ["headers"] = new JsonObject
                {
                    ["type"] = "object",
                    ["required"] = new JsonArray("cloudEvents_specversion", "cloudEvents_id", "cloudEvents_source", "cloudEvents_type", "cloudEvents_subject"),
                    ["properties"] = Attributes("cloudEvents_", type, "The provider's id."),
                },
                ["payload"] = new JsonObject { ["$ref"] = "#/components/schemas/ProviderWord" },
            };
        }
        Add("providers", ConsumeProviderEvents.Exchange, "topic", "receive", ["ProviderClosed", "ProviderClosedBinary", "ProviderReopened", "ProviderReopenedBinary"],
            "Closures and reopenings that providers' own systems publish. See providers.md.");

        schemas["Notification"] = SchemaOf(typeof(MessageBody.Data));
        schemas["Event"] = SchemaOf(typeof(MessageBody.ThinData));
        string[] told = [.. Enum.GetValues<MessageKind>().Where(kind => kind != MessageKind.Event).Select(MessageBody.TypeOf)];
        foreach (var type in told)
            messages[type] = Signed(CloudEvent(type, type, "Notification", "The need's id."));
        foreach (var type in Subscription.Types)
            messages[type] = Signed(CloudEvent(type, type, "Event", "The need's id."));
        AddWebhook("webhooks", told, "What people are told, by the webhook of their own front end. See webhooks.md.");
        AddWebhook("subscriptions", [.. Subscription.Types], "What subscribers hear. See subscriptions.md.");

        return new JsonObject
        {
            ["asyncapi"] = "3.0.0",
            ["info"] = new JsonObject
            {
                ["title"] = "Huzhu",
                ["version"] = "1.0.0",
                ["description"] = "Messages between Huzhu's services, what providers' systems publish, and the webhooks that integrators receive. Made from the contracts; a test keeps it so.",
                ["license"] = new JsonObject { ["name"] = "Apache-2.0", ["url"] = "https://www.apache.org/licenses/LICENSE-2.0" },
            },
            ["defaultContentType"] = "application/json",
            ["servers"] = new JsonObject { ["broker"] = new JsonObject { ["host"] = "broker.example:5671", ["pathname"] = "/huzhu", ["protocol"] = "amqps" } },
            ["channels"] = channels,
            ["operations"] = operations,
            ["components"] = new JsonObject { ["messages"] = messages, ["schemas"] = schemas },
        };

        void Add(string name, string address, string exchange, string action, string[] carries, string description)
        {
            AddChannel(name, address, carries, description);
            channels[name]!["servers"] = new JsonArray(new JsonObject { ["$ref"] = "#/servers/broker" });
            channels[name]!["bindings"] = JsonNode.Parse($$"""
                {"amqp": {"is": "routingKey", "exchange": {"name": "{{address}}", "type": "{{exchange}}", "durable": true, "autoDelete": false} } }
                """);
            operations[$"{action}.{name}"] = new JsonObject { ["action"] = action, ["channel"] = new JsonObject { ["$ref"] = $"#/channels/{name}" } };
        }

        void AddWebhook(string name, string[] carries, string description)
        {
            AddChannel(name, null, carries, description);
            operations[$"send.{name}"] = JsonNode.Parse($$"""{"action": "send", "channel": {"$ref": "#/channels/{{name}}"}, "bindings": {"http": {"method": "POST"} } }""");
        }

        void AddChannel(string name, string? address, string[] carries, string description) => channels[name] = new JsonObject
        {
            ["address"] = address,
            ["description"] = description,
            ["messages"] = new JsonObject(carries.Select(message => KeyValuePair.Create<string, JsonNode?>(message, new JsonObject { ["$ref"] = $"#/components/messages/{message}" }))),
        };
    }

    private static JsonObject CloudEvent(string name, string type, string data, string subject)
    {
        var properties = Attributes("", type, subject);
        properties["datacontenttype"] = new JsonObject { ["type"] = "string" };
        properties["data"] = new JsonObject { ["$ref"] = $"#/components/schemas/{data}" };
        return new JsonObject
        {
            ["name"] = name,
            ["contentType"] = "application/cloudevents+json",
            ["payload"] = new JsonObject { ["type"] = "object", ["required"] = new JsonArray("specversion", "id", "source", "type", "subject", "data"), ["properties"] = properties },
        };
    }

    private static JsonObject Attributes(string prefix, string type, string subject) => new()
    {
        [prefix + "specversion"] = new JsonObject { ["type"] = "string", ["const"] = "1.0" },
        [prefix + "id"] = new JsonObject { ["type"] = "string", ["maxLength"] = 500 },
        [prefix + "source"] = new JsonObject { ["type"] = "string", ["maxLength"] = 500 },
        [prefix + "type"] = new JsonObject { ["type"] = "string", ["const"] = type },
        [prefix + "subject"] = new JsonObject { ["type"] = "string", ["format"] = "uuid", ["description"] = subject },
        [prefix + "time"] = new JsonObject { ["type"] = "string", ["format"] = "date-time" },
    };

    private static JsonObject Signed(JsonObject message)
    {
        message["headers"] = JsonNode.Parse("""
            {"type": "object", "required": ["webhook-id", "webhook-timestamp", "webhook-signature"], "properties": {
              "webhook-id": {"type": "string", "format": "uuid", "description": "The same on every try, and the event's id."},
              "webhook-timestamp": {"type": "string", "description": "Seconds since 1970."},
              "webhook-signature": {"type": "string", "description": "v1,base64 of HMAC-SHA256, one for each secret, separated by spaces."}}}
            """);
        return message;
    }

    private static JsonNode SchemaOf(Type type) => Web.GetJsonSchemaAsNode(type, Exporter);

    /// <summary>What is published, and not a part of it: parts have no moment of their own.</summary>
    private static bool IsMessage(Type type) => type.GetProperty("At") is not null;

    /// <summary>The comment above each record of the contracts.</summary>
    private static readonly Lazy<Dictionary<string, string>> Summaries = new(() => Directory
        .EnumerateFiles(Path.Combine(Repository.Find().Root, "services", "Contracts"), "*.cs")
        .SelectMany(file => CommentedRecord().Matches(File.ReadAllText(file)))
        .GroupBy(match => match.Groups["name"].Value)
        .ToDictionary(group => group.Key, group => PlainText(group.First().Groups["text"].Value)));

    private static string PlainText(string comment) => Blanks().Replace(Markup().Replace(comment.Replace("///", "", StringComparison.Ordinal), "$1"), " ").Trim();

    [GeneratedRegex(@"/// <summary>(?<text>(?:(?!</summary>).)*)</summary>(?:\s*///[^\n]*\n|\s)*public sealed record (?<name>\w+)\(", RegexOptions.Singleline)]
    private static partial Regex CommentedRecord();

    [GeneratedRegex("""<\w+ (?:name|cref)="([^"]+)" ?/>""")]
    private static partial Regex Markup();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
