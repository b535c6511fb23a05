using System.Globalization;
using System.Text.RegularExpressions;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;

namespace Huzhu.Requests.Intake;

/// <summary>
/// Turns a form into a call for help, or says everything that is wrong with it, each under the field's path. Location,
/// needs and consent may be missing: the intake is then partial. Everything is bounded.
/// </summary>
public sealed partial class IntakeCheck
{
    private const int MaxNeeds = 20;
    private const int MaxChannels = 5;
    private const int MaxQuantity = 1000;
    private const int MaxId = 200;
    private const int MaxName = 200;
    private const int MaxText = 500;
    private const int MaxNote = 4000;
    private const double MaxAccuracyMetres = 1_000_000;
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromMinutes(5);

    private readonly DateTimeOffset _now;
    private readonly Dictionary<string, List<string>> _errors = [];

    private IntakeCheck(DateTimeOffset now) => _now = now;

    /// <returns>Either the call, or the errors.</returns>
    public static (CallForHelp? Call, IDictionary<string, string[]> Errors) Run(IntakeForm form, DateTimeOffset now)
    {
        var check = new IntakeCheck(now);
        var call = check.Read(form);
        var errors = check._errors.ToDictionary(pair => pair.Key, pair => pair.Value.ToArray());
        return (errors.Count == 0 ? call : null, errors);
    }

    private CallForHelp Read(IntakeForm form)
    {
        var source = Required("source", form.Source);
        if (source is not null && !SourcePattern().IsMatch(source))
            Fail("source", "Letters, digits, '.', '_' and '-', at most 200.");
        var externalId = Line("externalId", Required("externalId", form.ExternalId), MaxId);
        var channel = Word("channel", Required("channel", form.Channel));
        var receivedAt = Time("receivedAt", Required("receivedAt", form.ReceivedAt));
        var operatorId = Line("operatorId", form.OperatorId, MaxId);
        var (needs, notes) = Needs(form.Needs ?? []);
        return new CallForHelp(
            source ?? "", externalId ?? "", channel ?? "", receivedAt ?? default, operatorId,
            ReadCaller(form.Caller), Person(form, notes), needs, Word<Urgency>("urgency", Required("urgency", form.Urgency)),
            Communication(form.Communication ?? []), OwnGroup(form.OwnGroupId), ReadConsent(form.Consent), form.CallbackOk ?? true);
    }

    private Caller ReadCaller(CallerForm? form)
    {
        if (form is null)
        {
            Fail("caller", "Say who called: an object with at least 'ref'.");
            return new Caller("", null, null, [], null);
        }
        var phone = Text("caller.phone", form.Phone, MaxName);
        if (phone is not null && !PhonePattern().IsMatch(phone))
            Fail("caller.phone", "A phone number: digits, optionally with +, spaces, hyphens and brackets; 3 to 40 characters.");
        var language = Text("caller.language", form.Language, MaxName);
        if (language is not null && !LanguagePattern().IsMatch(language))
            Fail("caller.language", "A language tag such as 'zh' or 'zh-Hans'.");
        var channels = form.Channels ?? [];
        if (channels.Count > MaxChannels)
            Fail("caller.channels", $"At most {MaxChannels}.");
        return new Caller(
            Text("caller.ref", Required("caller.ref", form.Ref), MaxId) ?? "", Text("caller.name", form.Name, MaxName), phone,
            [.. channels.Take(MaxChannels).Select((channel, index) => Channel($"caller.channels[{index}]", channel))], language);
    }

    private ContactChannel Channel(string path, ChannelForm? form) => new(
        Word($"{path}.kind", Required($"{path}.kind", form?.Kind)) ?? "",
        Text($"{path}.address", Required($"{path}.address", form?.Address), MaxText) ?? "");

    private PersonInNeed Person(IntakeForm form, IReadOnlyList<string?> notes)
    {
        var behalf = form.OnBehalfOf;
        var reference = behalf is null ? null : Text("onBehalfOf.ref", Required("onBehalfOf.ref", behalf.Ref), MaxId);
        return new PersonInNeed(
            reference, Text("onBehalfOf.name", behalf?.Name, MaxName), Place(form.Location),
            Text("location.text", form.Location?.Text, MaxText), Line("location.subDistrict", form.Location?.SubDistrict, MaxName), notes);
    }

    private ExactPlace? Place(LocationForm? form)
    {
        if (form is null)
            return null;
        var isGcj = form.Datum?.ToUpperInvariant() switch
        {
            null or "WGS84" => false,
            "GCJ02" => true,
            _ => Fail("location.datum", "WGS84 or GCJ02."),
        };
        if (form.AccuracyMetres is not (null or >= 0 and <= MaxAccuracyMetres))
            Fail("location.accuracyMetres", $"0 to {MaxAccuracyMetres:0}.");
        if (form.Lat is null && form.Lon is null)
            return null;
        if (form.Lat is not (>= -90 and <= 90))
            Fail("location.lat", "Degrees from -90 to 90.");
        if (form.Lon is not (>= -180 and <= 180))
            Fail("location.lon", "Degrees from -180 to 180.");
        if (form is not { Lat: { } latitude, Lon: { } longitude })
            return null;
        var told = new GeoPoint(latitude, longitude);
        var place = isGcj ? Datum.FromGcj02(told) : told;
        return new ExactPlace(place.Latitude, place.Longitude, form.AccuracyMetres);
    }

    private (IReadOnlyList<WantedHelp> Needs, IReadOnlyList<string?> Notes) Needs(IReadOnlyList<NeedForm?> forms)
    {
        if (forms.Count > MaxNeeds)
            Fail("needs", $"At most {MaxNeeds}; send several requests.");
        var needs = forms.Take(MaxNeeds).Select((form, index) => ReadNeed($"needs[{index}]", form)).ToList();
        return (needs, [.. needs.Select(need => need.Note)]);
    }

    private WantedHelp ReadNeed(string path, NeedForm? form)
    {
        var kind = Required($"{path}.kind", form?.Kind);
        if (kind is not null && !ServiceKinds.IsKnown(kind))
            Fail($"{path}.kind", $"Not a known service kind. Known: {string.Join(", ", ServiceKinds.All)}.");
        if (form?.Quantity is not (null or >= 1 and <= MaxQuantity))
            Fail($"{path}.quantity", $"1 to {MaxQuantity}.");
        return new WantedHelp(
            kind ?? "", Word<DeliveryMode>($"{path}.mode", Required($"{path}.mode", form?.Mode)), form?.Quantity ?? 1,
            Text($"{path}.note", form?.Note, MaxNote));
    }

    private List<CommunicationNeed> Communication(IReadOnlyList<string?> words)
    {
        if (words.Count > Enum.GetValues<CommunicationNeed>().Length)
        {
            Fail("communication", $"Each of {Words.List<CommunicationNeed>()} at most once.");
            return [];
        }
        // In one order, so that the same set is the same intake.
        return [.. words.Select((word, index) => Word<CommunicationNeed>($"communication[{index}]", Required($"communication[{index}]", word))).Distinct().Order()];
    }

    private ResponderId? OwnGroup(string? text)
    {
        if (text is null)
            return null;
        if (ResponderId.TryParse(text, null, out var id))
            return id;
        Fail("ownGroupId", "A UUID.");
        return null;
    }

    private Consent? ReadConsent(ConsentForm? form)
    {
        if (form is null)
            return null;
        var basis = Word("consent.basis", Required("consent.basis", form.Basis));
        var at = Time("consent.at", Required("consent.at", form.At));
        return basis is null || at is null ? null : new Consent(basis, at.Value);
    }

    private string? Required(string path, string? value)
    {
        if (!string.IsNullOrWhiteSpace(value))
            return value;
        Fail(path, "Required.");
        return null;
    }

    /// <summary>Free text. It is encrypted before it is stored, so any character may be in it.</summary>
    private string? Text(string path, string? value, int maxLength)
    {
        if (value?.Length > maxLength)
            Fail(path, $"At most {maxLength} characters.");
        return string.IsNullOrWhiteSpace(value) ? null : value;
    }

    /// <summary>Text that is stored in clear: one line, no control characters.</summary>
    private string? Line(string path, string? value, int maxLength)
    {
        if (value is not null && value.Any(char.IsControl))
            Fail(path, "No control characters.");
        return Text(path, value, maxLength);
    }

    private string? Word(string path, string? value)
    {
        if (value is not null && !WordPattern().IsMatch(value))
            Fail(path, "A word in lower case: letters, digits and hyphens, at most 40.");
        return value;
    }

    private T Word<T>(string path, string? value) where T : struct, Enum
    {
        if (!Words.TryRead<T>(value, out var word) && value is not null)
            Fail(path, $"One of {Words.List<T>()}.");
        return word;
    }

    private DateTimeOffset? Time(string path, string? value)
    {
        if (value is null)
            return null;
        // Without an offset it would be read in the server's own zone.
        if (!OffsetPattern().IsMatch(value) || !DateTimeOffset.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time))
        {
            Fail(path, "A time in ISO 8601 with its offset, such as 2022-04-01T08:30:00+08:00.");
            return null;
        }
        if (time > _now + ClockTolerance)
            Fail(path, "It lies in the future.");
        return time.ToUniversalTime();
    }

    private bool Fail(string path, string message)
    {
        if (!_errors.TryGetValue(path, out var messages))
            _errors[path] = messages = [];
        messages.Add(message);
        return false;
    }

    [GeneratedRegex(@"^[A-Za-z0-9._-]{1,200}\z")]
    private static partial Regex SourcePattern();

    [GeneratedRegex(@"^[a-z0-9]+(-[a-z0-9]+)*\z(?<=^.{1,40})")]
    private static partial Regex WordPattern();

    [GeneratedRegex(@"^(?=(?:\D*\d){3})[+0-9 ()./#*,x-]{3,40}\z")]
    private static partial Regex PhonePattern();

    [GeneratedRegex(@"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}\z")]
    private static partial Regex LanguagePattern();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)\z")]
    private static partial Regex OffsetPattern();
}
