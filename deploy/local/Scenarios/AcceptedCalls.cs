using System.Text.Json;
using System.Text.Json.Serialization;

namespace Huzhu.Local.Scenarios;

/// <summary>What the runner asked a service for and got a 2xx to: a promise that the log must keep.</summary>
public enum Call
{
    Submit, CompleteIntake, Cancel, Confirm, Dispute, Concern,
    Accept, Decline, Start, Complete, Release,
    RegisterGroup, RegisterProvider, PublishClosure, PublishReopening, ImposeMeasure, LiftMeasure, ChangePolicy,
}

/// <param name="Subject">The request, offer, responder or measure that it is about.</param>
/// <param name="Needs">The needs that a submission was answered with, or the one that a word is about.</param>
/// <param name="Key">The caller's own name for it, such as the external id.</param>
public sealed record AcceptedCall(
    [property: JsonConverter(typeof(JsonStringEnumConverter<Call>))] Call Call,
    Guid Subject, IReadOnlyList<Guid> Needs, string Key, DateTimeOffset At);

/// <summary>The runner's own record of every 2xx, one JSON line each, written before the next thing is asked.</summary>
public sealed class AcceptedCalls(string file) : IDisposable
{
    static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    readonly StreamWriter _writer = new(file, append: false);
    readonly Lock _lock = new();

    public void Add(AcceptedCall call)
    {
        var line = JsonSerializer.Serialize(call, Options);
        lock (_lock)
            _writer.WriteLine(line);
    }

    public void Dispose()
    {
        lock (_lock)
            _writer.Dispose();
    }

    public static IReadOnlyList<AcceptedCall> Read(string file) =>
        [.. File.ReadLines(file).Select(line => JsonSerializer.Deserialize<AcceptedCall>(line, Options)!)];
}
