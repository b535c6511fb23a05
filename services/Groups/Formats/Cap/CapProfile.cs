using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Formats.Cap;

/// <summary>
/// What an alert means here: docs/integrators/cap.md in code. Most alerts of a public feed mean nothing: only one that
/// says so by a parameter of ours, or by an event code that the operator has chosen, becomes a measure or a closure.
/// </summary>
/// <param name="MeasureOfEventCode">The word for <c>huzhu:measure</c> that an event code stands for, by "valueName:value".</param>
public sealed record CapProfile(IReadOnlyDictionary<string, string> MeasureOfEventCode)
{
    public const string MeasureParameter = "huzhu:measure";
    public const string ProviderParameter = "huzhu:provider";
    private const int MaxProviders = 100;

    /// <summary>The name space of the ids of alerts and of what they ask for; it must never change.</summary>
    private static readonly Guid IdSpace = new("b6c4d0f2-6f0c-5a0e-9a35-3f7f8f1f6c1d");

    private static readonly Dictionary<string, (bool Seals, bool Closes)> Measures = new(StringComparer.Ordinal)
    {
        ["lockdown"] = (true, true),
        ["seal"] = (true, false),
        ["closure"] = (false, true),
    };

    public static CapProfile Read(IConfiguration configuration)
    {
        var codes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var code in configuration.GetSection("Cap:EventCodes").GetChildren())
        {
            if (code["ValueName"] is not { Length: > 0 } name || code["Value"] is not { Length: > 0 } value || code["Measure"] is not { } measure || !Measures.ContainsKey(measure))
                throw new InvalidOperationException($"{code.Path} needs ValueName, Value and Measure, the last one of {string.Join(", ", Measures.Keys)}.");
            codes[$"{name}:{value}"] = measure;
        }
        return new CapProfile(codes);
    }

    public static Guid IdOf(AlertReference alert) => DeterministicId.Of(IdSpace, $"{alert.Sender},{alert.Identifier},{alert.Sent.ToUnixTimeMilliseconds()}");

    /// <summary>Why the alert asks for nothing; null when it is to be taken in.</summary>
    public static string? WhyIgnored(CapAlert alert, AlertReceived plan) => alert switch
    {
        { MessageType: "Ack" or "Error" } => $"An alert of the type {alert.MessageType} is acknowledged and not kept.",
        { Status: "System" or "Test" or "Draft" } => $"An alert of the status {alert.Status} is acknowledged and does nothing.",
        _ when plan is { Measures.Count: 0, Closures.Count: 0, Replaces.Count: 0 } => "Nothing in it is a measure or a closure that is not over yet.",
        _ => null,
    };

    /// <summary>What the alert asks for; or what is wrong with it, under the path of each element.</summary>
    public (AlertReceived? Plan, IDictionary<string, string[]> Errors) Plan(CapAlert alert, string by, DateTimeOffset now)
    {
        var errors = new FieldErrors();
        var measures = new List<PlannedMeasure>();
        var closures = new List<PlannedClosure>();
        if (alert.MessageType is "Alert" or "Update")
        {
            foreach (var (index, info) in alert.Infos.Index())
            {
                var path = $"info[{index}]";
                if (info.Until <= info.From)
                    errors.Add($"{path}.expires", "The end must be after the beginning.");
                else if (!(info.Until <= now))
                    AddOf(info, path);
            }
        }
        // A sender speaks for itself: the alerts of another one are not its to end.
        var replaces = alert.MessageType is "Update" or "Cancel" ? alert.References.Where(reference => reference.Sender == alert.Reference.Sender).Distinct().ToList() : [];
        return errors.All is { Count: > 0 } wrong
            ? (null, wrong)
            : (new AlertReceived(alert.Reference, alert.Status == "Exercise", alert.MessageType == "Cancel", replaces, measures, closures, by, now), errors.All);

        void AddOf(CapInfo info, string path)
        {
            var words = info.Parameters[MeasureParameter].Concat(info.EventCodes.SelectMany(codes => codes.Select(code => MeasureOfEventCode.GetValueOrDefault($"{codes.Key}:{code}"))))
                .OfType<string>().Distinct().ToList();
            foreach (var word in words)
            {
                if (!Measures.TryGetValue(word, out var measure))
                    errors.Add($"{path}.parameter", $"{MeasureParameter} is one of {string.Join(", ", Measures.Keys)}.");
                else if (info.Shapes.Count == 0)
                    errors.Add($"{path}.area", "A measure needs an area with a polygon, or a circle with a radius: a geocode alone has no place here.");
                else
                    AddMeasures(info, word, measure.Seals, measure.Closes);
            }
            foreach (var provider in info.Parameters[ProviderParameter])
            {
                if (!Guid.TryParse(provider, out var id))
                    errors.Add($"{path}.parameter", $"{ProviderParameter} is the id of a provider in the directory, a UUID.");
                else if (!closures.Any(known => known.ProviderId.Value == id))
                    closures.Add(new PlannedClosure(new ResponderId(id), info.Title, info.From, info.Until));
            }
            if (closures.Count > MaxProviders)
                errors.Add($"{path}.parameter", $"An alert closes at most {MaxProviders} providers by name; more are closed by a measure.");
        }

        void AddMeasures(CapInfo info, string word, bool seals, bool closes)
        {
            foreach (var (shape, points) in info.Shapes)
            {
                var (area, problem) = Area.Of(points);
                if (problem is not null)
                    errors.Add(shape, problem);
                // The same in another language is the same measure.
                else if (!measures.Any(known => known.Area.SequenceEqual(area!.Ring) && known.From == info.From && known.Until == info.Until && (known.SealsZone, known.ClosesProviders) == (seals, closes)))
                    measures.Add(new PlannedMeasure(new MeasureId(DeterministicId.Of(IdOf(alert.Reference), $"{word} {shape}")), info.Title, area!.Ring, info.From, info.Until, seals, closes));
            }
        }
    }
}
