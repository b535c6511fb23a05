using Huzhu.Contracts;
namespace Huzhu.Requests.Intake;

/// <summary>
/// The body of an intake, as front ends send it. Everything may be missing here: <see cref="IntakeCheck"/> says all that
/// is wrong at once.
/// </summary>
public sealed record IntakeForm
{
    public string? Source { get; init; }
    public string? ExternalId { get; init; }
    public string? Channel { get; init; }
    public string? ReceivedAt { get; init; }
    public string? OperatorId { get; init; }
    public CallerForm? Caller { get; init; }
    public OnBehalfOfForm? OnBehalfOf { get; init; }
    public LocationForm? Location { get; init; }
    public IReadOnlyList<NeedForm?>? Needs { get; init; }
    public string? Urgency { get; init; }
    public IReadOnlyList<string?>? Communication { get; init; }
    public string? OwnGroupId { get; init; }
    public ConsentForm? Consent { get; init; }
    public bool? CallbackOk { get; init; }

    /// <summary>The form of an intake that is there already, for new parts to be laid over.</summary>
    public static IntakeForm Of(CallForHelp call) => new()
    {
        Source = call.Source,
        ExternalId = call.ExternalId,
        Channel = call.Channel,
        ReceivedAt = call.ReceivedAt.ToString("O"),
        OperatorId = call.OperatorId,
        Caller = new CallerForm
        {
            Ref = call.Caller.Ref,
            Name = call.Caller.Name,
            Phone = call.Caller.Phone,
            Language = call.Caller.Language,
            Channels = [.. call.Caller.Channels.Select(channel => new ChannelForm { Kind = channel.Kind, Address = channel.Address })],
        },
        OnBehalfOf = call.Person.Ref is null ? null : new OnBehalfOfForm { Ref = call.Person.Ref, Name = call.Person.Name },
        Location = new LocationForm
        {
            Lat = call.Person.Place?.Lat,
            Lon = call.Person.Place?.Lon,
            AccuracyMetres = call.Person.Place?.AccuracyMetres,
            Text = call.Person.AddressText,
            SubDistrict = call.Person.SubDistrict,
        },
        Needs = [.. call.Needs.Select(need => new NeedForm { Kind = need.Kind, Mode = Words.Of(need.Mode), Quantity = need.Quantity, Note = need.Note })],
        Urgency = Words.Of(call.Urgency),
        Communication = [.. call.Communication.Select(Words.Of)],
        OwnGroupId = call.OwnGroupId?.ToString(),
        Consent = call.Consent is null ? null : new ConsentForm { Basis = call.Consent.Basis, At = call.Consent.At.ToString("O") },
        CallbackOk = call.CallbackOk,
    };

    /// <summary>This form with the parts that <paramref name="newer"/> has. Lists are replaced as a whole.</summary>
    public IntakeForm With(IntakeForm newer) => new()
    {
        Source = newer.Source ?? Source,
        ExternalId = newer.ExternalId ?? ExternalId,
        Channel = newer.Channel ?? Channel,
        ReceivedAt = newer.ReceivedAt ?? ReceivedAt,
        OperatorId = newer.OperatorId ?? OperatorId,
        Caller = newer.Caller is null ? Caller : new CallerForm
        {
            Ref = newer.Caller.Ref ?? Caller?.Ref,
            Name = newer.Caller.Name ?? Caller?.Name,
            Phone = newer.Caller.Phone ?? Caller?.Phone,
            Language = newer.Caller.Language ?? Caller?.Language,
            Channels = newer.Caller.Channels ?? Caller?.Channels,
        },
        OnBehalfOf = newer.OnBehalfOf is null ? OnBehalfOf : new OnBehalfOfForm
        {
            Ref = newer.OnBehalfOf.Ref ?? OnBehalfOf?.Ref,
            Name = newer.OnBehalfOf.Name ?? OnBehalfOf?.Name,
        },
        Location = newer.Location is null ? Location : new LocationForm
        {
            Lat = newer.Location.Lat ?? Location?.Lat,
            Lon = newer.Location.Lon ?? Location?.Lon,
            // The datum belongs to the position that it came with.
            Datum = newer.Location.Lat is null && newer.Location.Lon is null ? Location?.Datum : newer.Location.Datum,
            AccuracyMetres = newer.Location.AccuracyMetres ?? Location?.AccuracyMetres,
            Text = newer.Location.Text ?? Location?.Text,
            SubDistrict = newer.Location.SubDistrict ?? Location?.SubDistrict,
        },
        Needs = newer.Needs ?? Needs,
        Urgency = newer.Urgency ?? Urgency,
        Communication = newer.Communication ?? Communication,
        OwnGroupId = newer.OwnGroupId ?? OwnGroupId,
        Consent = newer.Consent ?? Consent,
        CallbackOk = newer.CallbackOk ?? CallbackOk,
    };
}

public sealed record CallerForm
{
    public string? Ref { get; init; }
    public string? Name { get; init; }
    public string? Phone { get; init; }
    public string? Language { get; init; }
    public IReadOnlyList<ChannelForm?>? Channels { get; init; }
}

public sealed record ChannelForm
{
    public string? Kind { get; init; }
    public string? Address { get; init; }
}

public sealed record OnBehalfOfForm
{
    public string? Ref { get; init; }
    public string? Name { get; init; }
}

public sealed record LocationForm
{
    public double? Lat { get; init; }
    public double? Lon { get; init; }
    /// <summary><c>WGS84</c> (default) or <c>GCJ02</c>.</summary>
    public string? Datum { get; init; }
    public double? AccuracyMetres { get; init; }
    public string? Text { get; init; }
    public string? SubDistrict { get; init; }
}

public sealed record NeedForm
{
    public string? Kind { get; init; }
    public string? Mode { get; init; }
    public int? Quantity { get; init; }
    public string? Note { get; init; }
}

public sealed record ConsentForm
{
    public string? Basis { get; init; }
    public string? At { get; init; }
}
