using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Features;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Channels.Open311;

/// <summary><c>POST requests</c>: turns a report of the city's into an intake, which goes the way of every other.</summary>
public static class PostRequest
{
    public const string Mode = "mode";
    public const string Communication = "communication";
    public const string Urgency = "urgency";
    public const string Quantity = "quantity";
    public const string ExternalId = "external_id";

    private const int MaxDescription = 4000;

    /// <summary>What an argument is called in the protocol, for what <see cref="IntakeCheck"/> finds wrong with it.</summary>
    private static readonly Dictionary<string, string> Names = new()
    {
        ["externalId"] = $"attribute[{ExternalId}]",
        ["caller.ref"] = "account_id, email, phone or device_id",
        ["caller.name"] = "first_name and last_name",
        ["caller.phone"] = "phone",
        ["location.lat"] = "lat",
        ["location.lon"] = "long",
        ["location.text"] = "address_string and address_id",
        ["needs[0].kind"] = "service_code",
        ["needs[0].mode"] = $"attribute[{Mode}]",
        ["needs[0].quantity"] = $"attribute[{Quantity}]",
        ["needs[0].note"] = "description and media_url together",
        ["urgency"] = $"attribute[{Urgency}]",
        ["communication"] = $"attribute[{Communication}]",
    };

    public static void Map(IEndpointRouteBuilder resources) => GeoReport.Map(resources, "POST", "requests", HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext http, Jurisdictions jurisdictions, Submissions submissions, Fingerprints fingerprints,
        SourceChannels channels, AdmissionControl admission, IDocumentStore store, TimeProvider time, CancellationToken cancellation)
    {
        var (call, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.Submit);
        if (call is null)
            return refused!;
        if (call.Arguments.HasFiles)
            return GeoReport.Error(http, 400, "Files are not taken; send the address of one as media_url.");
        var form = Read(call, channels, time.GetUtcNow(), out var wrong);
        var (help, errors) = IntakeCheck.Run(form, time.GetUtcNow());
        wrong.AddRange(errors.SelectMany(error => error.Value.Select(sentence => $"{NameOf(error.Key)}: {sentence}")));
        if (wrong.Count > 0 || help is null)
            return GeoReport.Error(http, 400, wrong);

        // Another copy of the same post may be on its way; then the second look finds it.
        for (var attempt = 1; ; attempt++)
        {
            await using var session = store.QuerySession();
            var (known, _) = await session.LoadRequestAsync(help.RequestId, cancellation);
            if (known.Exists)
                return await IsRepeatAsync(known, help, fingerprints, cancellation)
                    ? Taken(http, call, help.RequestId, known.IsPartial)
                    : GeoReport.Error(http, 400, $"attribute[{ExternalId}] was used for another request; use another one.");
            if (admission.Sheds(help.Urgency))
            {
                admission.Refuse(http, help.Urgency, help.Channel);
                return GeoReport.Error(http, 503, "More people call than can be helped at once, so for now only those in danger of life are taken in; send it again after the time that Retry-After says.");
            }
            var submission = new Submission(help, fingerprints.OfIdempotencyKey(call.By, help.ExternalId), call.By, Cause.Current());
            if (submissions.TryTake(submission) is not { } committed)
                return GeoReport.Busy(http);
            var outcome = await committed;
            if (outcome.Taken is { } taken)
                return Taken(http, call, taken.RequestId, taken.Content.Missing.Count > 0);
            if (attempt > 1)
                return GeoReport.Error(http, 400, outcome.Refusal!.Reason);
        }
    }

    /// <summary>The protocol has no time of the call, so a repeat differs from the first in that alone.</summary>
    private static Task<bool> IsRepeatAsync(RequestState known, CallForHelp help, Fingerprints fingerprints, CancellationToken cancellation) => fingerprints.IsOfAsync(
        known.Fingerprint, help with { ReceivedAt = known.ReceivedAt, Consent = help.Consent! with { At = known.ReceivedAt } }, cancellation);

    private static IResult Taken(HttpContext http, Call call, RequestId id, bool isPartial) => GeoReport.Of(http, "service_requests", new JsonArray(new JsonObject
    {
        ["service_request_id"] = id.ToString(),
        ["service_notice"] = isPartial ? "Nobody can be asked to help before a person has found the place: send lat and long where you can." : "",
        ["account_id"] = call["account_id"],
    }), 201);

    /// <summary>The intake that the arguments describe, and what is wrong with those that it has no place for.</summary>
    private static IntakeForm Read(Call call, SourceChannels channels, DateTimeOffset now, out List<string> wrong)
    {
        wrong = [];
        var kind = call["service_code"];
        var description = call["description"];
        if (description?.Length > MaxDescription)
            wrong.Add($"description: At most {MaxDescription} characters.");
        var media = call["media_url"];
        if (media is not null && !(Uri.TryCreate(media, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"))
            wrong.Add("media_url: An absolute http or https URL.");
        var (latitude, longitude) = (Number(call, "lat", wrong), Number(call, "long", wrong));
        if (latitude is null != longitude is null && wrong.Count == 0)
            wrong.Add("lat and long: both are needed, or neither.");
        string? address = string.Join(" / ", new[] { call["address_string"], call["address_id"] }.OfType<string>());
        if (latitude is null && address.Length == 0 && wrong.Count == 0)
            wrong.Add("lat and long, address_string or address_id was not provided.");

        var source = call.By;
        var reference = call["account_id"] ?? call["email"] ?? call["phone"] ?? call["device_id"] ?? Anonymous(kind, latitude, longitude, address, description);
        var listening = channels.Find(source, reference);
        var quantity = Number(call, $"attribute[{Quantity}]", wrong);
        if (quantity is { } counted && counted != Math.Floor(counted))
            wrong.Add($"attribute[{Quantity}]: A whole number.");
        return new IntakeForm
        {
            Source = source,
            ExternalId = call[$"attribute[{ExternalId}]"] ?? Guid.NewGuid().ToString("N"),
            Channel = "open311",
            ReceivedAt = now.ToString("O"),
            Caller = new CallerForm
            {
                Ref = reference,
                Name = string.Join(' ', new[] { call["first_name"], call["last_name"] }.OfType<string>()),
                Phone = call["phone"],
                // The desk that listens for this source comes first; an address of the caller's alone would silence it.
                Channels =
                [
                    .. listening is null ? [] : new[] { new ChannelForm { Kind = listening.Kind, Address = listening.Address } },
                    .. call["email"] is { } email ? [new ChannelForm { Kind = "email", Address = email }] : Array.Empty<ChannelForm>(),
                ],
            },
            Location = new LocationForm { Lat = latitude, Lon = longitude, Text = address },
            Needs =
            [
                new NeedForm
                {
                    Kind = kind,
                    Mode = call[$"attribute[{Mode}]"] ?? Words.Of(DeliveryMode.Offline),
                    // One that is out of range stays so, and is told.
                    Quantity = quantity is { } number ? (int)Math.Clamp(number, -1, int.MaxValue) : null,
                    Note = string.Join('\n', new[] { description, media }.OfType<string>()),
                },
            ],
            Urgency = call[$"attribute[{Urgency}]"] ?? Words.Of(Contracts.Urgency.Hardship),
            Communication = [.. call.Listed($"attribute[{Communication}]"), .. call.Listed($"attribute[{Communication}][]")],
            Consent = new ConsentForm { Basis = call.Jurisdiction.ConsentBasis, At = now.ToString("O") },
        };
    }

    /// <summary>Nobody says who called: the same words about the same place are taken for the same person's.</summary>
    private static string Anonymous(params IEnumerable<object?> said) =>
        $"anonymous-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', said.Select(part => Convert.ToString(part, CultureInfo.InvariantCulture))))))}";

    private static double? Number(Call call, string argument, List<string> wrong)
    {
        if (call[argument] is not { } text)
            return null;
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
            return number;
        wrong.Add($"{argument}: A number.");
        return null;
    }

    private static string NameOf(string path) =>
        Names.GetValueOrDefault(path) ?? Names.FirstOrDefault(argument => path.StartsWith(argument.Key, StringComparison.Ordinal)).Value
        ?? (path.StartsWith("caller.channels", StringComparison.Ordinal) ? "email" : path);
}
