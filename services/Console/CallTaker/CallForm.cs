using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Huzhu.Contracts;
using Huzhu.ServiceDefaults;
using Huzhu.Web.Layout;

namespace Huzhu.Web.CallTaker;

/// <summary>One key for one choice: rows of the keyboard are rows of the form.</summary>
public sealed record Choice(string Value, string Key);

/// <summary>What is written down during a call, as the form's fields hold it. Personal: it lives in the form and nowhere else.</summary>
public sealed class CallForm
{
    public static readonly IReadOnlyList<Choice> Kinds =
    [
        new(ServiceKinds.Meals, "1"), new(ServiceKinds.Medicine, "2"), new(ServiceKinds.Water, "3"), new(ServiceKinds.BasicNeeds, "4"), new(ServiceKinds.Shelter, "5"),
        new(ServiceKinds.EpidemicControl, "6"), new(ServiceKinds.MedicalCare, "7"), new(ServiceKinds.Counselling, "8"), new(ServiceKinds.Goods, "9"), new(ServiceKinds.Money, "0"),
        new(ServiceKinds.Rescue, "Z"), new(ServiceKinds.Specialised, "X"), new(ServiceKinds.Donations, "C"),
    ];

    public static readonly IReadOnlyList<Choice> Urgencies = [new("life-threatening", "Q"), new("health", "W"), new("hardship", "E"), new("routine", "R")];

    public static readonly IReadOnlyList<Choice> Communications =
        [new("sign-language", "A"), new("text-only", "S"), new("voice-only", "D"), new("screen-reader", "F"), new("easy-read", "G"), new("interpreter", "H"), new("proxy", "J")];

    public static readonly IReadOnlyList<Choice> Modes = [new("offline", "N"), new("online", "M")];

    // Without letters that are heard or read as another: what is said over the telephone must arrive.
    private const string Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    private const int NumberLength = 8;

    /// <summary>The same when the form is sent again, so that the call is taken once.</summary>
    public string Number { get; private init; } = RandomNumberGenerator.GetString(Alphabet, NumberLength);
    public string ReceivedAt { get; private init; } = "";
    public string Phone { get; private init; } = "";
    public string Name { get; private init; } = "";
    public string Language { get; private init; } = "";
    public bool NoCallback { get; private init; }
    /// <summary>Somebody calls for this person; empty when they call for themselves.</summary>
    public string PersonName { get; private init; } = "";
    public bool ForAnother { get; private init; }
    public IReadOnlyList<string> Wanted { get; private init; } = [];
    public string Mode { get; private init; } = "offline";
    public string Quantity { get; private init; } = "1";
    public string Note { get; private init; } = "";
    public string Urgency { get; private init; } = "";
    public IReadOnlyList<string> Communication { get; private init; } = [];
    public string Address { get; private init; } = "";
    public string SubDistrict { get; private init; } = "";
    public string Latitude { get; private init; } = "";
    public string Longitude { get; private init; } = "";
    public bool Consent { get; private init; }

    public override string ToString() => nameof(CallForm);

    public static CallForm New(TimeProvider time) => new() { ReceivedAt = time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture) };

    public static CallForm Read(IFormCollection form, TimeProvider time)
    {
        string Text(string name) => form[name].ToString().Trim();
        IReadOnlyList<string> Chosen(string name, IReadOnlyList<Choice> among) => [.. among.Select(choice => choice.Value).Where(value => form[name].Contains(value))];
        var number = Text("number");
        return new CallForm
        {
            Number = number.Length == NumberLength && number.All(Alphabet.Contains) ? number : RandomNumberGenerator.GetString(Alphabet, NumberLength),
            ReceivedAt = Text("receivedAt") is { Length: > 0 } at ? at : New(time).ReceivedAt,
            Phone = Text("phone"),
            Name = Text("name"),
            Language = Text("language"),
            NoCallback = form.ContainsKey("noCallback"),
            ForAnother = form.ContainsKey("forAnother"),
            PersonName = Text("personName"),
            Wanted = Chosen("kind", Kinds),
            Mode = Chosen("mode", Modes).FirstOrDefault() ?? "offline",
            Quantity = Text("quantity"),
            Note = Text("note"),
            Urgency = Chosen("urgency", Urgencies).FirstOrDefault() ?? "",
            Communication = Chosen("communication", Communications),
            Address = Text("address"),
            SubDistrict = Text("subDistrict"),
            Latitude = Text("lat"),
            Longitude = Text("lon"),
            Consent = form.ContainsKey("consent"),
        };
    }

    /// <summary>The form again, for a page that asks whether it is right.</summary>
    public IEnumerable<(string Name, string Value)> Fields()
    {
        (string, string)[] texts =
        [
            ("number", Number), ("receivedAt", ReceivedAt), ("phone", Phone), ("name", Name), ("language", Language), ("personName", PersonName), ("mode", Mode), ("quantity", Quantity),
            ("note", Note), ("urgency", Urgency), ("address", Address), ("subDistrict", SubDistrict), ("lat", Latitude), ("lon", Longitude),
        ];
        (string, bool)[] ticks = [("noCallback", NoCallback), ("forAnother", ForAnother), ("consent", Consent)];
        return [.. texts.Where(text => text.Item2.Length > 0), .. ticks.Where(tick => tick.Item2).Select(tick => (tick.Item1, "on")),
            .. Wanted.Select(kind => ("kind", kind)), .. Communication.Select(way => ("communication", way))];
    }

    /// <summary>What is missing or cannot be meant, before the services are asked: by the path that they would name.</summary>
    public IEnumerable<string> Missing()
    {
        if (Wanted.Count == 0)
            yield return "needs";
        if (Urgency.Length == 0)
            yield return "urgency";
        if (ForAnother && PersonName.Length == 0)
            yield return "onBehalfOf.name";
        if (!int.TryParse(Quantity, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            yield return "needs[0].quantity";
    }

    public (double Lat, double Lon, double? AccuracyMetres)? Place(District district) =>
        double.TryParse(Latitude, NumberStyles.Float, CultureInfo.InvariantCulture, out var lat) && double.TryParse(Longitude, NumberStyles.Float, CultureInfo.InvariantCulture, out var lon)
            ? (lat, lon, null)
            : district.Find(SubDistrict) is { } known ? (known.Middle.Latitude, known.Middle.Longitude, known.RadiusMetres) : null;

    /// <summary>The body of <c>POST /v1/requests</c>; docs/integrators/intake.md.</summary>
    public object Intake(Callers callers, District district, string operatorId)
    {
        var place = Place(district);
        return new
        {
            source = Callers.Source,
            externalId = Number,
            channel = "phone",
            receivedAt = ReceivedAt,
            operatorId,
            caller = new
            {
                @ref = callers.RefOf(Phone, Number),
                name = Optional(Name),
                phone = Optional(Phone),
                language = Optional(Language),
                channels = callers.ChannelsOf(Phone),
            },
            onBehalfOf = ForAnother ? new { @ref = callers.RefOfAnother(Phone, PersonName, Number), name = Optional(PersonName) } : null,
            location = new { lat = place?.Lat, lon = place?.Lon, accuracyMetres = place?.AccuracyMetres, text = Optional(Address), subDistrict = Optional(SubDistrict) },
            needs = Wanted.Select(kind => new { kind, mode = Mode, quantity = int.TryParse(Quantity, CultureInfo.InvariantCulture, out var count) ? count : 0, note = Optional(Note) }),
            urgency = Urgency,
            communication = Communication,
            consent = Consent ? new { basis = "explicit", at = ReceivedAt } : null,
            callbackOk = !NoCallback,
        };
    }

    private static string? Optional(string text) => text.Length > 0 ? text : null;
}

/// <summary>
/// What callers are called elsewhere. A pseudonym outlives the erasure of a person, so a telephone number never is one:
/// it goes through a keyed hash, the same for the same number (<c>Console:CallerKey</c>).
/// </summary>
public sealed class Callers
{
    public const string Source = "console";
    private readonly byte[] _key;
    private readonly string? _kind, _address;

    /// <exception cref="InvalidOperationException">A setting is missing.</exception>
    public Callers(IConfiguration configuration, IHostEnvironment environment)
    {
        _key = Security.ReadKey(configuration, "Console:CallerKey", required: environment.IsProduction()) ?? RandomNumberGenerator.GetBytes(32);
        (_kind, _address) = (configuration["Console:CallerChannel:Kind"], configuration["Console:CallerChannel:Address"]);
        if (_kind is null != _address is null)
            throw new InvalidOperationException("Console:CallerChannel needs both Kind and Address.");
    }

    public string RefOf(string name, string number)
    {
        var told = new string([.. name.Where(char.IsLetterOrDigit)]);
        return told.Length == 0
            ? $"call-{number}"
            : $"tel-{System.Buffers.Text.Base64Url.EncodeToString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(told)))[..22]}";
    }

    /// <summary>Somebody that this caller calls for: the same name from another number is somebody else.</summary>
    public string RefOfAnother(string phone, string person, string number) => $"for-{RefOf(phone.Length > 0 ? $"{phone}/{person}" : "", number)}";

    /// <summary>Where a caller with this number is told what becomes of the call: text messages, where a gateway is configured.</summary>
    public object[] ChannelsOf(string phone)
    {
        var digits = new string([.. phone.Where(character => char.IsAsciiDigit(character) || character == '+')]);
        return digits.Length == 0 || _kind is null ? [] : [new { kind = _kind, address = _address!.Replace("{phone}", digits, StringComparison.Ordinal) }];
    }
}
