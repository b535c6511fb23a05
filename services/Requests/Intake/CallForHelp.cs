using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Intake;

/// <summary>
/// One checked intake, personal data in clear: lives in memory only. <see cref="Person"/> and <see cref="Caller"/> are
/// what gets encrypted before anything is stored.
/// </summary>
public sealed record CallForHelp(
    string Source, string ExternalId, string Channel, DateTimeOffset ReceivedAt, string? OperatorId,
    Caller Caller, PersonInNeed Person, IReadOnlyList<WantedHelp> Needs, Urgency Urgency,
    IReadOnlyList<CommunicationNeed> Communication, ResponderId? OwnGroupId, Consent? Consent, bool CallbackOk)
{
    private static readonly Guid RequestSpace = new("6f2c1a54-0d0b-5c39-9d0e-6d2f2a7b8c11");
    private static readonly Guid NeedSpace = new("0b7f9c0e-7a35-5f0a-8f7e-4f0f6a1d2e22");
    private static readonly Guid PersonSpace = new("b9a1d7c2-3c4e-5e6f-8a9b-1c2d3e4f5a33");

    /// <summary>A source can use an external id once: by construction, because the request's id is made of both.</summary>
    [JsonIgnore]
    public RequestId RequestId => RequestIdOf(Source, ExternalId);

    [JsonIgnore]
    public PersonId PersonId => PersonOf(Source, Person.Ref ?? Caller.Ref);

    [JsonIgnore]
    public PersonId CallerId => PersonOf(Source, Caller.Ref);

    [JsonIgnore]
    public GeoPoint? ExactPlace => Person.Place is { } place ? new GeoPoint(place.Lat, place.Lon) : null;

    public static RequestId RequestIdOf(string source, string externalId) => new(DeterministicId.Of(RequestSpace, $"{source}\n{externalId}"));

    public static NeedId NeedIdOf(RequestId request, int index) => new(DeterministicId.Of(NeedSpace, $"{request}/{index}"));

    public static PersonId PersonOf(string source, string reference) => new(DeterministicId.Of(PersonSpace, $"{source}\n{reference}"));

    /// <summary>The intake as it was, from what is stored and what was decrypted.</summary>
    public static CallForHelp Restore(RequestState state, PersonInNeed person, Caller caller)
    {
        var content = state.Content ?? throw new InvalidOperationException("The state was not folded from the log.");
        return new CallForHelp(
            state.Source, state.ExternalId, state.Channel, state.ReceivedAt, state.OperatorId, caller, person,
            [.. content.Needs.Select((need, index) => new WantedHelp(need.Kind, need.Mode, need.Quantity, person.Notes.ElementAtOrDefault(index)))],
            content.Urgency, content.Communication, content.OwnGroupId, content.Consent, content.CallbackOk);
    }
}

/// <summary>Who called, for themselves or as a proxy. Personal data.</summary>
/// <param name="Ref">The front end's own name for the caller.</param>
/// <param name="Language">BCP 47, when told.</param>
public sealed record Caller(string Ref, string? Name, string? Phone, IReadOnlyList<ContactChannel> Channels, string? Language);

/// <summary>Where somebody can be told something: a webhook's URL, a phone number, whatever the kind asks for. Personal data.</summary>
public sealed record ContactChannel(string Kind, string Address);

/// <summary>Who needs the help, where, and what was noted about each need. Personal data.</summary>
/// <param name="Ref">Null when the caller calls for themselves.</param>
/// <param name="SubDistrict">As the front end told it, not as looked up.</param>
/// <param name="Notes">One for each need, in order.</param>
public sealed record PersonInNeed(
    string? Ref, string? Name, ExactPlace? Place, string? AddressText, string? SubDistrict, IReadOnlyList<string?> Notes);

/// <summary>WGS84, not snapped. Personal data.</summary>
public sealed record ExactPlace(double Lat, double Lon, double? AccuracyMetres);

/// <summary>One kind of help, as asked for. The note is personal data.</summary>
public sealed record WantedHelp(string Kind, DeliveryMode Mode, int Quantity, string? Note);
