using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Xml;
using Huzhu.Contracts;
using Huzhu.ServiceDefaults;
using Microsoft.Extensions.Primitives;

namespace Huzhu.Requests.Channels.Open311;

/// <summary>Open311, which brings whole intakes and not messages.</summary>
public sealed class GeoReportFrontEnd : IFrontEnd
{
    public void Add(IServiceCollection services, IConfiguration configuration) => services.AddSingleton(new Jurisdictions(configuration));
    public void Map(IEndpointRouteBuilder app) => app.MapOpen311();
}

/// <summary>
/// Open311 GeoReport v2 under <c>/open311/v2</c>, with mySociety's extension for updates: where its resources are, who may
/// use them, and how answers are written. XML is the default, <c>.json</c> asks for JSON.
/// </summary>
public static class GeoReport
{
    public const string Prefix = "/open311/v2";

    private static readonly XmlWriterSettings Xml = new() { Encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false) };

    /// <summary>What an item of a list is called in XML.</summary>
    private static readonly FrozenDictionary<string, string> Items = new Dictionary<string, string>
    {
        ["services"] = "service",
        ["attributes"] = "attribute",
        ["values"] = "value",
        ["service_requests"] = "request",
        ["service_request_updates"] = "request_update",
        ["endpoints"] = "endpoint",
        ["formats"] = "format",
        ["errors"] = "error",
    }.ToFrozenDictionary();

    public static void MapOpen311(this IEndpointRouteBuilder app)
    {
        var jurisdictions = app.ServiceProvider.GetRequiredService<Jurisdictions>();
        var resources = app.MapGroup(Prefix).AllowAnonymous().KnownBy(http => KeyOfAsync(http, jurisdictions)).ExcludeFromDescription().AddEndpointFilter(AnswerFailuresAsync);
        Discovery.Map(resources);
        PostRequest.Map(resources);
        GetRequests.Map(resources);
        Updates.Map(resources);
        resources.Map("/{**path}", (HttpContext http) => Error(http, 404, "There is no such resource."));
    }

    /// <summary>Maps a resource with and without the suffix of a format.</summary>
    public static void Map(IEndpointRouteBuilder resources, string method, string resource, Delegate handler)
    {
        foreach (var suffix in new[] { "", ".xml", ".json" })
            resources.MapMethods($"/{resource}{suffix}", [method], handler);
    }

    /// <summary>The last segment of the address without the suffix of a format.</summary>
    public static string WithoutSuffix(string segment) =>
        segment.EndsWith(".xml", StringComparison.OrdinalIgnoreCase) ? segment[..^4]
        : segment.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? segment[..^5] : segment;

    /// <summary>The name of the key that a call brings, for the limits; null when it brings none of ours.</summary>
    private static async ValueTask<string?> KeyOfAsync(HttpContext http, Jurisdictions jurisdictions)
    {
        IFormCollection? fields = null;
        try
        {
            // Read here, it is kept for whoever handles the call. A body that is not read is received all the same.
            fields = http.Request.HasFormContentType ? await http.Request.ReadFormAsync(http.RequestAborted) : null;
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException)
        {
            // Whoever handles the call meets it again, and says so.
        }
        var arguments = new Arguments(http.Request.Query, fields);
        var jurisdiction = arguments["jurisdiction_id"] is { } id ? jurisdictions.Find(id) : jurisdictions.Only;
        return jurisdiction?.FindKey(arguments["api_key"]) is { } key ? jurisdiction.SourceOf(key) : null;
    }

    /// <summary>Lets a call in: finds its jurisdiction and, where a scope is asked for, a key that has it.</summary>
    /// <returns>Either the call, or the answer that refuses it.</returns>
    public static async Task<(Call? Call, IResult? Refused)> AdmitAsync(HttpContext http, Jurisdictions jurisdictions, Scope scope)
    {
        IFormCollection? fields;
        try
        {
            fields = http.Request.HasFormContentType ? await http.Request.ReadFormAsync(http.RequestAborted) : null;
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException and not BadHttpRequestException)
        {
            return (null, Error(http, 400, "The body is not a form, or has more or longer fields than are accepted."));
        }
        var arguments = new Arguments(http.Request.Query, fields);
        var jurisdiction = arguments["jurisdiction_id"] is { } id ? jurisdictions.Find(id) : jurisdictions.Only;
        if (jurisdiction is null)
            return (null, arguments["jurisdiction_id"] is null ? Error(http, 400, "jurisdiction_id was not provided.") : Error(http, 404, "jurisdiction_id was not found."));
        var key = scope == Scope.None ? null : jurisdiction.FindKey(arguments["api_key"]);
        if (scope == Scope.None || key?.Scopes.HasFlag(scope) == true)
            return (new Call(arguments, jurisdiction, key), null);
        return (null, Error(http, 403, key is null ? "api_key is missing or not valid." : $"This api_key may not do that: it does not have the scope {Words.Of(scope)}."));
    }

    public static IResult Error(HttpContext http, int status, params IEnumerable<string> sentences) => Of(http, "errors",
        new JsonArray([.. sentences.Select(sentence => new JsonObject { ["code"] = status, ["description"] = sentence })]), status);

    public static IResult Busy(HttpContext http)
    {
        http.Response.Headers.RetryAfter = "1";
        return Error(http, 503, "Not taken in for now; send it again.");
    }

    /// <param name="root">The outermost element in XML; JSON is the content alone.</param>
    public static IResult Of(HttpContext http, string root, JsonNode content, int status = 200)
    {
        if (http.Request.Path.Value!.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
            return Results.Text(content.ToJsonString(), "application/json", Encoding.UTF8, status);
        using var written = new MemoryStream();
        using (var writer = XmlWriter.Create(written, Xml))
            Write(writer, root, content);
        return Results.Text(Encoding.UTF8.GetString(written.ToArray()), "text/xml", Encoding.UTF8, status);
    }

    private static void Write(XmlWriter writer, string name, JsonNode? content)
    {
        writer.WriteStartElement(name);
        if (content is JsonArray items)
            foreach (var item in items)
                Write(writer, Items[name], item);
        else if (content is JsonObject fields)
            foreach (var (field, value) in fields)
                Write(writer, field, value);
        else if (content is not null)
            writer.WriteString(Writable(content.GetValueKind() == JsonValueKind.String ? content.GetValue<string>() : content.ToJsonString()));
        writer.WriteEndElement();
    }

    /// <summary>XML cannot hold every character that a person can send.</summary>
    private static string Writable(string text)
    {
        var written = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            written.Append(rune.Value is '\t' or '\n' or '\r' or >= ' ' and not (0xFFFE or 0xFFFF) ? rune : Rune.ReplacementChar);
        return written.ToString();
    }

    /// <summary>A failure has the form of this protocol too, not that of the other resources.</summary>
    private static async ValueTask<object?> AnswerFailuresAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        try
        {
            return await next(context);
        }
        catch (BadHttpRequestException exception)
        {
            return Error(context.HttpContext, exception.StatusCode, exception.StatusCode == 413 ? "The body is larger than is accepted." : "The request could not be read.");
        }
        catch (Exception exception) when (exception is TimeoutException || Messaging.IsServerAway(exception))
        {
            return Busy(context.HttpContext);
        }
    }
}

/// <summary>What a call says, in its form or else in its address.</summary>
public sealed record Arguments(IQueryCollection Query, IFormCollection? Form)
{
    /// <summary>Null when it is missing or blank.</summary>
    public string? this[string name] => All(name).FirstOrDefault(value => !string.IsNullOrWhiteSpace(value))?.Trim();

    /// <summary>The values of a list, said with commas or one by one.</summary>
    public IReadOnlyList<string> Listed(string name) =>
        [.. All(name).SelectMany(value => value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];

    public bool HasFiles => Form?.Files.Count > 0;

    private IEnumerable<string> All(string name)
    {
        var values = StringValues.Empty;
        return (Form?.TryGetValue(name, out values) ?? false) || Query.TryGetValue(name, out values) ? values.OfType<string>() : [];
    }
}

/// <summary>A call that was let in.</summary>
/// <param name="Key">Null where none is asked for.</param>
public sealed record Call(Arguments Arguments, Jurisdiction Jurisdiction, ApiKey? Key)
{
    public string? this[string argument] => Arguments[argument];

    public IReadOnlyList<string> Listed(string argument) => Arguments.Listed(argument);

    /// <summary>Who is behind what is stored.</summary>
    public string By => Jurisdiction.SourceOf(Key!);
}
